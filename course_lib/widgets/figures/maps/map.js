// Map: how runs end, over two hyperparameters or over the start point, each pixel a run; and the run at the ring in detail.
import { button } from "../../kit/controls.js";
import { COARSE, FINE, contourPlot, grid } from "../../kit/contour_plot.js";
import { load, make, onResize, onTheme, put, show, showChosen } from "../../kit/kit.js";
import { lossPlot } from "../../kit/loss_plot.js";
import { centers } from "./map_axes.js";
import { scan } from "./map_cpu.js";
import { inks, legend, summary } from "./map_colors.js";
import { mapStage } from "./map_stage.js";

const REST = 150; // ms without a change, then the contours are drawn finely
const ZOOM = 1.5;

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const value = (name) => (name === "w0" || name === "w1" ? model.get("start")[+name[1]] : model.get(name));
  const stage = mapStage(
    { model, el },
    { title: `Map of ${spec.title}`, factor: ZOOM, value, setting: (values) => setting(model, values) },
  );
  const { root, bar, main, side } = stage;
  const toggles = make(bar, "div", "cf-choice", { role: "group", "aria-label": "What the colors show" });
  const views = spec.views.map((view) =>
    button(toggles, WORDS[view], `Color the map by ${TITLES[view]}`, () => put(model, { view })),
  );
  const keys = legend(bar, spec.views);
  const result = headline(side, spec.run);
  const contourBox = make(side, "div"),
    lossBox = make(side, "div");
  const contour = contourPlot(contourBox, spec.domain, (start) => put(model, { start }));
  const losses = lossPlot(lossBox, "loss above the minimum");
  stage.controls(main, "cf-map-controls");

  const shapeOf = (values) => spec.surface.map((name) => values[name]);
  const minima = () => (code.minima ? pairs([code.minima(...shapeOf(stage.hyper()))].flat()) : []);
  const lossAt = (shape) => (a, b) => code.loss(a, b, ...shape);
  let paint = inks(root),
    surface = null,
    refine = 0;

  /** What a job needs besides: the surface, and where a run starts and should end. */
  function own() {
    const found = minima(),
      lowest = found.length ? lossAt(shapeOf(stage.hyper()))(...found[0]) : 0;
    return { surface: spec.surface, start: model.get("start"), goal: model.get("goal"), lowest };
  }

  /** The finished picture in words. */
  function words({ floats, columns, rows }) {
    const steps = model.get("steps"),
      found = summary(floats, steps),
      percent = (u) => `${Math.round(100 * u)} %`;
    const at = [found.best % columns, Math.floor(found.best / columns)],
      cells = [columns, rows];
    const place = (axis, k) => `${axis.label} ${show(centers(axis, stage.bounds()[k], cells[k])[at[k]])}`;
    const best =
      found.fewest < Infinity ? ` The fewest steps, ${found.fewest}, at ${spec.axes.map(place).join(", ")}.` : "";
    return `Map of ${spec.title} by ${TITLES[model.get("view")]}, over ${stage.over()}. In ${steps} steps ${percent(found.arrived)} come to stay within ${showChosen(model.get("goal"))} of the minimum, ${percent(found.lost)} diverge.${best}`;
  }

  function drawSurface(values) {
    const shape = shapeOf(values),
      key = JSON.stringify(shape);
    if (surface?.key === key) return;
    clearTimeout(refine);
    const draw = (columns) => {
      const loss = lossAt(shape),
        cells = grid(loss, spec.domain, columns),
        found = minima();
      const floor = found.length ? loss(...found[0]) : 0,
        ground = found.length ? floor : Math.min(0, cells.lowest);
      surface = { key, floor, top: 10 * (cells.highest - floor) };
      contour.surface(cells, ground, found);
    };
    if (surface) refine = setTimeout(() => draw(FINE), REST);
    draw(surface ? COARSE : FINE);
  }

  /** The run at the ring: its path, its loss, and what it amounts to. */
  function draw() {
    const values = stage.hyper(),
      steps = model.get("steps"),
      start = model.get("start"),
      goal = model.get("goal");
    drawSurface(values);
    const run = walk(code.run(start, steps, values), code.run.columns.length, surface.floor, spec.bound, goal);
    contour.paths([{ ...spec.run, ...run }], steps, start);
    losses.curves([{ ...spec.run, above: run.above }], steps, steps, surface.top);
    const ends = result(run, steps, goal, stage.where(), model.get("view"));
    contour.node.setAttribute("aria-label", `${spec.title}: the run at the ring: ${ends}.`);
    losses.node.setAttribute(
      "aria-label",
      `Loss of the run at the ring over ${steps} steps: it ends at ${show(run.above[steps])}.`,
    );
    views.forEach((b, k) => b.setAttribute("aria-pressed", spec.views[k] === model.get("view")));
  }

  const { ask, repaint, close } = stage.begin({
    code,
    scan,
    own,
    traits: ["start", "goal"],
    words,
    draw,
    paint: (floats, pixels) => paint(model.get("view"), model.get("steps"), floats, pixels),
  });

  /** The same picture in other colors. */
  function recolor() {
    paint = inks(root);
    root.classList.toggle("cf-by-minimum", model.get("view") === "minimum");
    keys(model.get("view"), model.get("steps"), minima(), model.get("goal"));
    repaint();
    ask();
  }

  for (const name of ["view", "steps", "goal"]) model.on(`change:${name}`, recolor);
  const stop = [
    onResize(contourBox, (width) => {
      contour.resize(width);
      ask();
    }),
    onResize(lossBox, (width) => losses.resize(width)),
    onTheme(recolor),
  ];
  requestAnimationFrame(recolor); // when the figure is in the page and has its colors
  return () => {
    stop.forEach((end) => end());
    close();
    clearTimeout(refine);
    for (const name of ["view", "steps", "goal"]) model.off(`change:${name}`, recolor);
  };
}

const WORDS = { steps: "steps", loss: "final loss", minimum: "which minimum" };
const TITLES = { steps: "steps to the minimum", loss: "final loss", minimum: "the minimum that is reached" };

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);

/** Values by name as traits: w0 and w1 are parts of `start`. */
function setting(model, values) {
  const { w0 = model.get("start")[0], w1 = model.get("start")[1], ...hyper } = values;
  return "w0" in values || "w1" in values ? { ...hyper, start: [w0, w1] } : hyper;
}

/** A traced run's rows as { points, above, diverged, late }: by the map's own rule, a run that once leaves the bound has diverged. */
function walk(rows, width, floor, bound, goal) {
  const points = [],
    above = new Float64Array(rows.length / width);
  let late = 0,
    diverged = -1;
  for (let k = 0; k < above.length; k++) {
    const [loss, a, b] = rows.subarray(k * width, k * width + 3);
    above[k] = loss - floor;
    if (above[k] > goal) late = k + 1;
    if (diverged >= 0) continue;
    if (!(Number.isFinite(loss) && Math.abs(a) <= bound && Math.abs(b) <= bound)) diverged = k;
    if (Math.abs(a) < 1e6 && Math.abs(b) < 1e6) points.push([a, b]);
  }
  return { points, above, diverged: diverged < 0 ? -1 : Math.min(diverged, points.length - 1), when: diverged, late };
}

/** The large number; returns a function of (run, steps, goal, where, view) that gives the words. */
function headline(parent, { color }) {
  const box = make(parent, "div", "cf-result", { role: "status" });
  box.style.setProperty("--rule", color);
  const label = make(box, "span", "cf-label"),
    number = make(box, "span", "cf-number"),
    note = make(box, "span", "cf-note");
  return ({ above, when, late }, steps, goal, where, view) => {
    const end = show(above[steps]),
      arrived = when < 0 && late <= steps;
    label.textContent = `at ${where}`;
    number.textContent = when >= 0 ? "diverged" : arrived ? `${late} ${late === 1 ? "step" : "steps"}` : "not in time";
    note.textContent =
      when >= 0 ? `at step ${when}` : arrived ? `to stay within ${showChosen(goal)}` : `ends ${end} above the minimum`;
    if (view === "loss" && when < 0) [number.textContent, note.textContent] = [end, "above the minimum at the end"];
    box.classList.toggle("cf-diverged", when >= 0);
    return `${number.textContent}, ${note.textContent}`;
  };
}
