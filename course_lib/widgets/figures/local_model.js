// LocalModel: the quadratic model of a loss at θ, Newton's step and the gradient's. State: surface, w, trail, damping, lr, gradient_lr, direction.
import { button, slider } from "../kit/controls.js";
import { load, make, onNextFrame, onResize, put, show, showChosen } from "../kit/kit.js";
import { modelPlot } from "./local_model_plot.js";
import { sectionPlot } from "./local_model_section.js";

const TRAITS = ["surface", "w", "trail", "damping", "lr", "gradient_lr", "direction"];
const COLORS = { newton: "var(--cf-rule-newton)", gradient: "var(--cf-rule-gradient_descent)" };
const SHORT = { newton: "Newton", gradient: "gradient" };
const FAR = 1e6; // a step that ends beyond leads nowhere
const WALK = 5; // points whose slope is written out
const LONGEST_TRAIL = 200;

/** @typedef {{ name: string, label: string, domain: number[][], w: number[], gradient_lr: number, minima: number[][] }} Surface */

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const root = make(el, "div", "cf cf-local", {
    role: "group",
    "aria-label": "A loss and its quadratic model at one point",
  });
  const columns = make(root, "div", "cf-grid cf-halves");
  const left = make(columns, "div", "cf-local-side"),
    right = make(columns, "div", "cf-local-side");
  const surfaces = choices(left, "Surface", spec.surfaces, (one) =>
    put(model, { surface: one.name, w: one.w, gradient_lr: one.gradient_lr, trail: [] }),
  );
  left.firstChild.hidden = spec.surfaces.length < 2;
  const plotBox = make(left, "div");
  key(left);
  const steps = make(left, "div", "cf-buttons");
  const take = Object.keys(spec.directions).map((name) =>
    colored(
      button(steps, `Take ${spec.directions[name]}`, `Move θ to the end of ${spec.directions[name]}`, () => walk(name)),
      name,
    ),
  );
  const undo = button(steps, "Back", "Undo the last step", back);
  button(steps, "Reset", "Back to the start", () => put(model, structuredClone(spec.initial)));
  const slopes = walkStrip(left);
  const directions = choices(
    right,
    "Section along",
    Object.entries(spec.directions).map(([name, label]) => ({ name, label })),
    ({ name }) => put(model, { direction: name }),
    "along",
  );
  const sectionBox = make(right, "div"),
    section = sectionPlot(sectionBox);
  const numbers = table(right);
  const bends = curvatureTable(right);
  const say = make(right, "p", "cf-note cf-local-note", { role: "status" });
  const sliders = make(root, "div", "cf-local-sliders");
  for (const control of spec.controls) {
    const row = slider(sliders, model, control);
    if (control.name === "damping")
      row
        .querySelector("input")
        .addEventListener("input", ({ target }) => +target.value === 0 && put(model, { damping: 0 })); // a log scale has no 0 of its own
  }

  const program = (name) => code[`${model.get("surface")}_${name}`];
  const settings = () => ["damping", "lr", "gradient_lr"].map((name) => model.get(name));
  const here = (w = model.get("w")) => judged(spec.fields, program("at")(...w, ...settings()));
  let drawn = null,
    width = 0;

  function walk(name) {
    const now = here(),
      end = now.steps[name].end;
    if (!end) return;
    drawn?.seen();
    put(model, { trail: [...model.get("trail"), model.get("w")].slice(-LONGEST_TRAIL), w: end });
  }

  function back() {
    const trail = model.get("trail");
    if (trail.length) put(model, { trail: trail.slice(0, -1), w: trail.at(-1) });
  }

  /** A plot of its own for each surface, as each has its own domain. */
  function plotOf(one) {
    if (drawn?.name === one.name) return;
    plotBox.replaceChildren();
    drawn = modelPlot(
      plotBox,
      one,
      (x, y) => code[`${one.name}_loss`](x, y),
      (w) => put(model, { w, trail: [] }),
    );
    if (width) drawn.plot.resize(width);
  }

  function draw() {
    const one = spec.surfaces.find(({ name }) => name === model.get("surface")),
      w = model.get("w"),
      trail = model.get("trail"),
      chosen = model.get("direction");
    plotOf(one);
    const now = here(w);
    surfaces(one.name);
    directions(chosen);
    const arrows = Object.entries(now.steps)
      .map(([name, step]) => ({ name, color: COLORS[name], end: step.end }))
      .reverse(); // Newton's on top
    drawn.draw({ w, trail, now, arrows, model: program("model") });
    const line = program("along"),
      step = now.steps[chosen],
      d = step.end?.map((x, k) => x - w[k]);
    if (!step.end || !d.some((x) => x !== 0))
      section.empty(step.end ? "The step has the length 0." : "There is no such step here.");
    else
      section.draw({
        ...step,
        loss: now.loss,
        color: COLORS[chosen],
        name: spec.directions[chosen],
        along: (s) => line(...w, ...d, s),
      });
    numbers(now, chosen);
    bends(now, model.get("damping"));
    say.textContent = inWords(now, one.domain);
    slopes([...trail, w], (point) => here(point).slope);
    take.forEach((node, k) => node.setAttribute("aria-disabled", !now.steps[Object.keys(spec.directions)[k]].end));
    undo.setAttribute("aria-disabled", !trail.length);
    const judgments = Object.entries(now.steps).map(([name, { end, promised, reached, ratio }]) =>
      end
        ? `${spec.directions[name]} ends at ${pair(end)}: promised ${show(promised)}, reached ${show(reached)}, ratio ${ratioText(ratio)}`
        : `no ${SHORT[name]} step`,
    );
    drawn.plot.node.setAttribute(
      "aria-label",
      `Contours of ${one.label} and of its quadratic model at ${pair(w)}, where the loss is ${show(now.loss)}. Curvatures ${now.curvatures.map(show).join(" and ")}: ${NAMES[now.kind]}. ${judgments.join(". ")}.`,
    );
  }

  const ask = onNextFrame(draw);
  TRAITS.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(plotBox, (wide) => {
      width = wide;
      drawn?.plot.resize(wide);
      draw();
    }),
    onResize(sectionBox, (wide) => {
      section.resize(wide);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    TRAITS.forEach((name) => model.off(`change:${name}`, ask));
  };
}

const NAMES = { minimum: "minimum", saddle: "saddle", maximum: "maximum", singular: "singular" };
const pair = (point) => `(${point.map(show).join(", ")})`;
const ratioText = (ratio) => (Number.isNaN(ratio) ? "none" : show(ratio));

/** What `at` returned, by name; `steps` has an `end` only where the step exists and leads somewhere. */
function judged(fields, flat) {
  const now = {};
  let k = 0;
  for (const [name, size] of fields) {
    now[name] = size > 1 ? flat.slice(k, k + size) : flat[k];
    k += size;
  }
  const kind = ([low, high]) =>
    low === 0 || high === 0 ? "singular" : low > 0 ? "minimum" : high < 0 ? "maximum" : "saddle";
  now.kind = kind(now.curvatures);
  now.damped_kind = kind(now.damped_curvatures);
  now.steps = Object.fromEntries(
    ["newton", "gradient"].map((name) => {
      const [end, promised, reached, ratio, flatAt, bend] = ["end", "promised", "reached", "ratio", "flat", "bend"].map(
        (part) => now[`${name}_${part}`],
      );
      const exists = (name === "gradient" || now.damped_kind !== "singular") && end.every((x) => Math.abs(x) < FAR);
      return [name, { end: exists ? end : null, promised, reached, ratio, flat: flatAt, bend }];
    }),
  );
  return now;
}

/** Where Newton's step leads, by the signs of the eigenvalues of H + μI, and whether its end can be seen. */
function inWords({ damped_kind, slope, steps, damped_curvatures: [low] }, [[x0, x1], [y0, y1]]) {
  if (slope === 0) return "The gradient is 0: θ is a stationary point, and both steps have the length 0.";
  if (damped_kind === "singular") return "H + μI is singular: Newton's step does not exist. Move θ or change μ.";
  const { end } = steps.newton;
  if (!end)
    return `H + μI is nearly singular, with the eigenvalue ${show(low)}: Newton's step leads out of all bounds.`;
  const lead = {
    minimum: "H + μI is positive definite: Newton's step goes downhill at first.",
    saddle: "H + μI is indefinite: Newton's step aims at a saddle.",
    maximum: "H + μI is negative definite: Newton's step climbs, toward a maximum.",
  }[damped_kind];
  const seen = end[0] >= x0 && end[0] <= x1 && end[1] >= y0 && end[1] <= y1;
  return seen ? lead : `${lead} It ends outside the picture, at ${pair(end)}.`;
}

function colored(node, name) {
  node.style.setProperty("--rule", COLORS[name]);
  node.classList.add("cf-taker");
  return node;
}

/** Buttons of which one is pressed; returns a function that presses one by its name. */
function choices(parent, label, all, choose, text = "") {
  const box = make(parent, "div", "cf-choice", { role: "group", "aria-label": label });
  if (text) make(box, "span", "cf-choice-text").textContent = text;
  const nodes = all.map((one) => button(box, one.label, `${label} ${one.label}`, () => choose(one)));
  return (name) => nodes.forEach((node, k) => node.setAttribute("aria-pressed", all[k].name === name));
}

/** What the lines over the contours mean. */
function key(parent) {
  const box = make(parent, "div", "cf-local-key");
  for (const [name, d, text, color] of [
    ["cf-jump", "M1,6H18M12,2L18,6L12,10", "Newton's step", COLORS.newton],
    ["cf-jump", "M1,6H18M12,2L18,6L12,10", "gradient step", COLORS.gradient],
    ["cf-model-through", "M1,6H18", "model", ""],
    ["cf-model-flat", "M5,2l8,8M5,10l8,-8", "where it is flat", ""],
  ]) {
    const item = make(box, "span", "cf-local-item"),
      svg = make(item, "svg", "", { width: 20, height: 12, "aria-hidden": "true" });
    const mark = make(svg, "path", name, { d });
    if (color) mark.style.setProperty("--rule", color);
    item.append(text);
  }
}

/** The losses, by step: now, promised, reached, and the ratio of the reductions; returns a function that shows them. */
function table(parent) {
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
function curvatureTable(parent) {
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
function walkStrip(parent) {
  const box = make(parent, "div", "cf-walk", { role: "group", "aria-label": "Length of the gradient over the walk" });
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
