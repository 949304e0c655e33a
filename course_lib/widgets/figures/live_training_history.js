// What was reported so far, thinned out as it grows: the curves, and where a setting was changed.

const MOST = 600; // reports that are kept

/** { add(report), changed(t), clear(), reports, changes }. */
export function history() {
  const past = { reports: [], changes: [], add, changed, clear };

  function add(report) {
    if (report.t < (past.reports.at(-1)?.t ?? 0)) clear(); // it began again
    if (report.t === past.reports.at(-1)?.t) past.reports.pop();
    past.reports.push(report);
    if (past.reports.length > MOST) past.reports = past.reports.filter((_, k) => k % 2 === 0 || k > MOST - 20);
  }

  function changed(t) {
    if (past.changes.at(-1) !== t) past.changes.push(t);
  }

  function clear() {
    past.reports = [];
    past.changes = [];
  }

  return past;
}
