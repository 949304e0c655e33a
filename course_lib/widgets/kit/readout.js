// What stands at the step that is shown, read off as numbers: a row for each quantity, a column for each run.
import { make, show, write } from "./kit.js";

/** Some numbers as a reader reads them off: one, or a point. */
export const numbersOf = (values) => (values.length > 1 ? `(${values.map(show).join(", ")})` : values.map(show).join());

/** The length of the step that led from `before` to `w`, as a text; a dash where no step did. */
export const stepLength = (w, before) => (before ? show(Math.hypot(w[0] - before[0], w[1] - before[1])) : "–");

/**
 * A table in `parent`; `runs`: [{ label, color }], `names` are the quantities. Returns `draw(caption, columns)` with an
 * array of cells for each run, or null for a run that is not there; a cell is a text or a function that fills it.
 */
export function readout(parent, runs, names) {
  const node = make(parent, "table", "cf-readout");
  const caption = make(node, "caption");
  make(make(node, "colgroup"), "col");
  const head = make(make(node, "thead"), "tr");
  make(head, "td");
  const heads = runs.map(({ label, color }) => {
    const cell = write(head, "th", "", label, { scope: "col" });
    cell.style.setProperty("--rule", color);
    return cell;
  });
  const body = make(node, "tbody");
  const rows = names.map((name) => {
    const row = make(body, "tr");
    write(row, "th", "", name, { scope: "row" });
    return runs.map(() => make(row, "td"));
  });

  return (words, columns) => {
    caption.textContent = words;
    head.hidden = columns.filter(Boolean).length < 2;
    columns.forEach((cells, k) => {
      for (const cell of [heads[k], ...rows.map((row) => row[k])]) cell.hidden = !cells;
      cells?.forEach((text, j) => {
        const cell = rows[j][k];
        if (typeof text === "function") text(cell);
        else if (cell.textContent !== text) cell.textContent = text;
      });
    });
  };
}
