// The loss above its floor, step by step, on a log axis.
import { ENDS, REACHED } from "./ends.js";
import { make, set } from "./kit.js";
import { linePlot, through } from "./line_plot.js";

const SMALLEST = 1e-16; // as far as doubles tell a loss from its floor
const finite = (z, instead) => (Number.isFinite(z) ? z : instead);

/**
 * The curve of some losses up to step `end`, { d }. Where several steps share a pixel, `d` is the highest of them, and
 * `band` reaches down to the lowest: a run that jumps at each step would be a solid bar.
 */
function curve(above, end, x, y) {
  const points = [];
  let crowded = false;
  for (let k = 0; k <= end; k++) {
    const [at, z] = [Math.round(x(k)), y(above[k])];
    const last = points.at(-1);
    if (last?.at === at) {
      crowded = true;
      last.top = Math.min(last.top, z);
      last.bottom = Math.max(last.bottom, z);
    } else points.push({ at, x: x(k), top: z, bottom: z });
  }
  const upper = points.map((p) => [p.x, p.top]);
  const lower = points.map((p) => [p.x, p.bottom]).reverse();
  return { d: through(upper), band: crowded ? `${through([...upper, ...lower])}Z` : "" };
}

/** A loss curve in `parent`. Returns linePlot's parts and curves(runs, steps, step, top). */
export function lossPlot(parent, title, options = {}) {
  const plot = linePlot(parent, { title, foot: "step", height: 182, bottom: 38, ...options });
  const marks = make(plot.inside, "g", "cf-end-marks");

  /**
   * `runs`: [{ color, above: Float64Array of losses above the floor, diverged, ended }]; the axis spans what they take,
   * up to `most` for one that diverged. The mark of how it ended stands on each run that has one.
   */
  function curves(runs, steps, step, most) {
    const limit = ({ diverged = 0 }) => (diverged < 0 ? Infinity : most);
    const seen = runs
      .flatMap((run) => Array.from(run.above, (z) => (z > SMALLEST && z < limit(run) ? z : NaN)))
      .filter(Number.isFinite);
    const low = 10 ** Math.floor(Math.log10(seen.reduce((a, b) => Math.min(a, b), most / 10)));
    const high = 10 ** Math.ceil(Math.log10(seen.reduce((a, b) => Math.max(a, b), 10 * low)));
    const top = Math.max(most, high);
    const { x, y } = plot.frame({ x: [0, steps], y: [low, high] });
    const upto = (above) =>
      Math.min(
        steps,
        above.findLastIndex((z) => Number.isFinite(z) && z < top),
      );
    const within = (z) => y(Math.max(low, Math.min(high, z)));
    const drawn = runs.map(({ color, above }) => ({ color, ...curve(above, upto(above), x, within) }));
    plot.curves([
      ...drawn.filter(({ band }) => band).map(({ color, band }) => ({ color, d: band, name: "cf-band" })),
      ...drawn,
    ]);
    plot.mark(x(step));
    const ended = runs.filter((run) => run.ended);
    while (marks.childElementCount < ended.length) make(marks, "text", "cf-end-mark", { "text-anchor": "middle" });
    while (marks.childElementCount > ended.length) marks.lastChild.remove();
    ended.forEach(({ above, diverged, ended: { end, late } }, k) => {
      const at = Math.min(steps, end === REACHED ? late : diverged >= 0 ? diverged : above.length - 1);
      const place = { x: x(at), y: Math.max(10, y(Math.max(low, Math.min(high, finite(above[at], high)))) - 5) };
      set(marks.children[k], place);
      marks.children[k].textContent = ENDS[end].mark;
      marks.children[k].style.fill = ENDS[end].color;
    });
  }

  return { ...plot, curves: (...what) => plot.draw(() => curves(...what)) };
}
