// What stands beside LocalModel's plots: the key, the losses of the steps, the eigenvalues, the length of the gradient
// on the walk.
import { keyItem } from "../kit/colors.js";
import { make, show } from "../kit/kit.js";

export const COLORS = { newton: "var(--cf-rule-newton)", gradient: "var(--cf-rule-gradient_descent)" };
export const SHORT = { newton: "Newton", gradient: "gradient" };
export const NAMES = { minimum: "minimum", saddle: "saddle", maximum: "maximum", singular: "singular" };
const WALK = 5; // points whose slope is written out

/** What the lines over the contours mean. */
export function key(parent) {
  const box = make(parent, "div", "cf-local-key");
  for (const [name, d, text, color] of [
    ["cf-jump", "M1,6H18M12,2L18,6L12,10", "Newton's step", COLORS.newton],
    ["cf-jump", "M1,6H18M12,2L18,6L12,10", "gradient step", COLORS.gradient],
    ["cf-model-through", "M1,6H18", "model", ""],
    ["cf-model-flat", "M5,2l8,8M5,10l8,-8", "where it is flat", ""],
  ]) {
    keyItem(box, "cf-local-item", text, [20, 12], (svg) => {
      const mark = make(svg, "path", name, { d });
      if (color) mark.style.setProperty("--rule", color);
    });
  }
  return box;
}

/** The losses, by step: now, promised, reached, and the ratio of the reductions; returns a function that shows them. */
export function table(parent) {
  const node = make(parent, "table", "cf-local-table"),
    head = make(make(node, "thead"), "tr"),
    body = make(node, "tbody");
  make(head, "td");
  const columns = Object.entries(SHORT).map(([name, text]) => {
    const cell = make(head, "th", "cf-local-head", { scope: "col" });
    cell.style.setProperty("--rule", COLORS[name]);
    cell.textContent = text;
    return name;
  });
  const first = make(body, "tr");
  make(first, "th", "", { scope: "row" }).textContent = "loss now";
  const now = make(first, "td", "cf-local-now", { colspan: 2 });
  const rows = [
    ["promised", "model promises"],
    ["reached", "loss reached"],
    ["ratio", "actual / promised drop"],
  ].map(([part, text]) => {
    const row = make(body, "tr", `cf-local-${part}`);
    make(row, "th", "", { scope: "row" }).textContent = text;
    return [part, columns.map((name) => make(row, "td", "", { "data-step": name }))];
  });
  return ({ loss, steps }, chosen) => {
    now.textContent = show(loss);
    for (const [part, cells] of rows)
      cells.forEach((cell, k) => {
        const step = steps[columns[k]];
        cell.textContent = !step.end || (part === "ratio" && Number.isNaN(step.ratio)) ? "none" : show(step[part]);
        cell.classList.toggle("cf-chosen", columns[k] === chosen);
      });
  };
}

/** The eigenvalues of H and of H + μI, and what they make of the stationary point. */
export function curvatureTable(parent) {
  const node = make(parent, "table", "cf-local-table cf-local-bends"),
    body = make(node, "tbody");
  make(node, "caption").textContent = "eigenvalues";
  const rows = ["H", "H + μI"].map((text) => {
    const row = make(body, "tr");
    make(row, "th", "", { scope: "row" }).textContent = text;
    return Array.from({ length: 3 }, () => make(row, "td"));
  });
  return ({ curvatures, damped_curvatures, kind, damped_kind }) => {
    [
      [curvatures, kind],
      [damped_curvatures, damped_kind],
    ].forEach(([values, name], k) => {
      [...values.map(show), NAMES[name]].forEach((text, j) => (rows[k][j].textContent = text));
    });
  };
}

/** The length of the gradient at the last points of the walk: its digits double where Newton arrives. */
export function walkStrip(parent) {
  const box = make(parent, "div", "cf-walk cf-far", {
    role: "group",
    "aria-label": "Length of the gradient over the walk",
  });
  make(box, "span", "cf-walk-title").textContent = "‖g‖ on the walk";
  const cells = Array.from({ length: WALK }, () => {
    const cell = make(box, "span", "cf-walk-cell");
    return [make(cell, "small"), make(cell, "span")];
  });
  return (points, slope) => {
    const first = Math.max(0, points.length - WALK);
    cells.forEach(([step, value], k) => {
      const known = first + k < points.length;
      step.textContent = known ? (first + k ? `step ${first + k}` : "start") : " ";
      value.textContent = known ? show(slope(points[first + k])) : " ";
    });
  };
}
