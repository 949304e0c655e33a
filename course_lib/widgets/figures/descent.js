// Descent: a rule walks on a surface. State: start, steps, step (of the scrubber) and one trait for each hyperparameter.
import { button, slider } from "../kit/controls.js";
import { COARSE, FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { load, make, onNextFrame, onResize, put, show } from "../kit/kit.js";
import { lossPlot } from "../kit/loss_plot.js";
import { statePlot } from "./descent_states.js";

/**
 * @typedef {{ key: string, label: string, color: string, column: number, width: number }} Run
 * @typedef {{ key: string, title: string, color: string, columns: number[] }} Watched
 * @typedef {{ runs: Run[], watched: Watched[], domain: number[][], controls: object[], surface: string[], hyper: string[] }} Spec
 */

export async function render({ model, el }) {
  /** @type {Spec} */
  const spec = model.get("spec");
  const code = await load(model.get("code"));
  const root = make(el, "div", "cf", { role: "group", "aria-label": spec.title });
  const columns = make(root, "div", "cf-grid");
  const plots = make(columns, "div", "cf-main");
  const side = make(columns, "div", "cf-side");
  const results = make(side, "div", "cf-results", { role: "status" });
  const rows = Object.fromEntries([...spec.runs, RECORDED].map((run) => [run.key, resultRow(results, run)]));
  const lossBox = make(side, "div", "cf-loss");
  const controls = make(side, "div", "cf-controls");

  const contour = contourPlot(plots, spec.domain, (start) => put(model, { start }));
  const losses = lossPlot(lossBox, spec.minimum_known ? "loss above the minimum" : "loss");
  const scrubber = stepScrubber(plots, model);
  spec.controls.forEach((control) => slider(controls, model, control));
  const buttons = make(controls, "div", "cf-buttons");
  button(buttons, "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  const states = statePanels(root, spec.watched);

  let surface = null;
  const hyper = () => Object.fromEntries(spec.hyper.map((name) => [name, model.get(name)]));

  let refine = 0;

  /** Contours of the surface as it is now: coarse at once where it changes, fine when it rests. */
  function drawSurface(values) {
    const shape = spec.surface.map((name) => values[name]),
      key = JSON.stringify(shape);
    if (surface?.key === key) return;
    clearTimeout(refine);
    if (surface) refine = setTimeout(() => contourSurface(key, shape, FINE), REST);
    contourSurface(key, shape, surface ? COARSE : FINE);
  }

  function contourSurface(key, shape, columns) {
    const loss = (x, y) => code.loss(x, y, ...shape);
    const cells = grid(loss, spec.domain, columns);
    const minima = pairs(code.minima ? [code.minima(...shape)].flat() : []);
    const floor = minima.length ? loss(...minima[0]) : Math.min(0, cells.lowest);
    surface = { key, loss, floor, top: 10 * (cells.highest - floor) };
    contour.surface(cells, floor, minima);
  }

  function draw() {
    const values = hyper(),
      steps = model.get("steps"),
      start = model.get("start"),
      step = Math.min(model.get("step"), steps);
    drawSurface(values);
    const walks = Object.fromEntries(spec.runs.map(({ key }) => [key, code[key](start, steps, values)]));
    const runs = spec.runs.map((run) => ({ ...run, ...walk(walks[run.key], code[run.key].columns.length, surface) }));
    const recorded = model.get("recorded");
    if (recorded?.length) runs.push({ ...RECORDED, ...replay(recorded, surface) });
    contour.paths(runs, step, start);
    losses.curves(runs, steps, step, surface.top);
    for (const [key, row] of Object.entries(rows))
      showResult(
        row,
        runs.find((r) => r.key === key),
        step,
      );
    states.draw((key, column) => every(walks[key], column, code[key].columns.length), step);
    scrubber(step, steps);
    contour.node.setAttribute(
      "aria-label",
      `${spec.title}. ${runs.map((r) => `${r.label}: ${result(r, step)}`).join(". ")}.`,
    );
    losses.node.setAttribute(
      "aria-label",
      `Loss over ${steps} steps. ${runs.map((r) => `${r.label} ends ${result(r, steps)}`).join(". ")}.`,
    );
  }

  const ask = onNextFrame(draw);
  const traits = [...spec.hyper, "start", "steps", "step", "recorded"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take the sliders' arrow keys
  const stop = [
    onResize(plots, (width) => {
      contour.resize(width);
      draw();
    }),
    onResize(lossBox, (width) => losses.resize(width)),
  ];
  if (spec.watched.length)
    stop.push(
      onResize(states.node, (width) => {
        states.resize(width);
        ask();
      }),
    );
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    clearTimeout(refine);
    traits.forEach((name) => model.off(`change:${name}`, ask));
  };
}

const REST = 150; // ms without a change, then the contours are drawn finely

const RECORDED = { key: "recorded", label: "recorded path", color: "var(--cf-recorded)" };

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);

/** A traced run's rows as points and losses above the floor, up to where it diverged: { points, above, diverged }. */
function walk(rows, width, surface) {
  const count = rows.length / width;
  const points = new Array(count),
    above = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    points[k] = [rows[k * width + 1], rows[k * width + 2]];
    above[k] = rows[k * width] - surface.floor;
  }
  return cut(points, above, surface.top);
}

/** A path that came from Python. */
function replay(points, surface) {
  return cut(
    points,
    Float64Array.from(points, ([x, y]) => surface.loss(x, y) - surface.floor),
    surface.top,
  );
}

/** A run has diverged if it ends far above everything in the picture; it is drawn up to the first such step. */
function cut(points, above, top) {
  const out = (z) => !(z < top);
  const diverged = out(above[above.length - 1]) ? above.findIndex(out) : -1;
  const drawable = points.filter(([x, y]) => Math.abs(x) < 1e6 && Math.abs(y) < 1e6);
  return { points: diverged < 0 ? drawable : drawable.slice(0, diverged + 1), above, diverged };
}

function result({ above, diverged }, step) {
  if (diverged >= 0 && step >= diverged) return `diverged at step ${diverged}`;
  return `${show(above[Math.min(step, above.length - 1)])} at step ${Math.min(step, above.length - 1)}`;
}

function resultRow(parent, run) {
  const row = make(parent, "div", "cf-result");
  row.style.setProperty("--rule", run.color);
  make(row, "span", "cf-label").textContent = run.label;
  make(row, "span", "cf-number");
  make(row, "span", "cf-unit");
  return row;
}

function showResult(row, run, step) {
  row.hidden = !run;
  if (!run) return;
  const gone = run.diverged >= 0 && step >= run.diverged;
  const [, number, unit] = row.children;
  row.classList.toggle("cf-diverged", gone);
  number.textContent = gone ? "diverged" : show(run.above[Math.min(step, run.above.length - 1)]);
  unit.textContent = `at step ${gone ? run.diverged : Math.min(step, run.above.length - 1)}`;
}

/** One column of a run's rows. */
const every = (rows, column, width) => Array.from({ length: rows.length / width }, (_, k) => rows[k * width + column]);

/** The plots of what the rules remember, side by side: { node, resize(width), draw(read, step) } with `read(key, column)`. */
function statePanels(parent, watched) {
  const node = make(parent, "div", "cf-states");
  node.hidden = !watched.length;
  const panels = watched.map((state) => ({ ...state, plot: statePlot(node, state.title, state.color) }));
  if (watched.length)
    make(node, "p", "cf-note").textContent = "What the rule remembers, over the steps: x solid, y dashed.";
  return {
    node,
    resize(width) {
      const columns = Math.min(panels.length, Math.max(1, Math.floor(width / 220)));
      panels.forEach(({ plot }) => plot.resize(Math.floor(width / columns)));
    },
    draw(read, step) {
      panels.forEach(({ key, columns, plot }) =>
        plot.draw(
          columns.map((column) => read(key, column)),
          step,
        ),
      );
    },
  };
}

/** The slider under the plot that goes back and forth in time. */
function stepScrubber(parent, model) {
  const row = make(parent, "label", "cf-scrubber");
  make(row, "span", "cf-name").textContent = "step";
  const input = make(row, "input", "", { type: "range", min: 0, step: 1, name: "step", "aria-label": "Step shown" });
  const value = make(row, "output", "cf-value");
  input.addEventListener("input", () => put(model, { step: +input.value }));
  return (step, steps) => {
    input.max = steps;
    input.value = step;
    value.textContent = step;
  };
}
