// Map: how runs end, over two hyperparameters or over the start point, each pixel a run; and the run at the ring in
// detail.
import { contourPlot } from "../../kit/contour_plot.js";
import { choice, headline } from "../../kit/controls.js";
import { DIVERGED, REACHED, endOf } from "../../kit/ends.js";
import { load, make, onResize, onTheme, put, show, showChosen } from "../../kit/kit.js";
import { lossPlot } from "../../kit/loss_plot.js";
import { cut, lossesAbove, minimaOf, pointsOf } from "../../kit/rows.js";
import { centers } from "./map_axes.js";
import { inks, legend, spans, summary } from "./map_colors.js";
import { scan } from "./map_cpu.js";
import { mapStage } from "./map_stage.js";

const ZOOM = 1.5;
const RECOLORED = ["view", "steps", "goal"]; // what changes colors or the legend

export async function render({ model, el }) {
  const spec = model.get("spec");
  const code = await load(model.get("code"));
  const value = (name) => (name === "w0" || name === "w1" ? model.get("start")[+name[1]] : model.get(name));
  const stage = mapStage(
    { model, el },
    { title: `Map of ${spec.title}`, factor: ZOOM, value, setting: (values) => setting(model, values) },
  );
  const { root, bar, main, side } = stage;
  const words = Object.fromEntries(spec.views.map((view) => [view, WORDS[view]]));
  const titles = (word) => `Color the map by ${TITLES[spec.views.find((view) => WORDS[view] === word)]}`;
  const views = choice(bar, "What the colors show", words, (view) => put(model, { view }), { title: titles });
  const keys = legend(bar, spec.views);
  const ringBox = make(side, "div", "cf-map-run");
  const result = headline(ringBox, spec.run.color, { label: "", number: "", note: "" });
  const contourBox = make(ringBox, "div");
  const lossBox = make(side, "div", "cf-far");
  const contour = contourPlot(contourBox, spec.domain, (start) => put(model, { start }));
  const losses = lossPlot(lossBox, "loss above the minimum");
  stage.controls(main, "cf-map-controls cf-far");

  const shapeOf = (values) => spec.surface.map((name) => values[name]);
  const minima = () => minimaOf(code, shapeOf(stage.hyper()));
  const lossAt = (shape) => (a, b) => code.loss(a, b, ...shape);
  /** The loss at the minimum; 0 where none is known. */
  const lowest = (shape, found) => (found.length ? lossAt(shape)(...found[0]) : 0);
  let paint = inks(root);
  let span = { steps: [1, model.get("steps")], loss: [1e-6, 1e3] };

  /** Fits the colors to what the map takes; whether they changed. */
  function fit(floats) {
    const next = spans(floats, model.get("steps"));
    if (JSON.stringify(next) === JSON.stringify(span)) return false;
    span = next;
    keys(model.get("view"), span, minima(), model.get("goal"));
    return true;
  }

  /** What a job needs besides: the surface, and where a run starts and should end. */
  function own() {
    const goal = model.get("goal");
    const floor = lowest(shapeOf(stage.hyper()), minima());
    return { surface: spec.surface, start: model.get("start"), goal, lowest: floor };
  }

  /** The finished picture in words. */
  function described({ floats, columns, rows }) {
    const steps = model.get("steps");
    const found = summary(floats, steps);
    const percent = (u) => `${Math.round(100 * u)} %`;
    const at = [found.best % columns, Math.floor(found.best / columns)];
    const place = (axis, k) => `${axis.label} ${show(centers(axis, stage.bounds()[k], [columns, rows][k])[at[k]])}`;
    const best =
      found.fewest < Infinity ? ` The fewest steps, ${found.fewest}, at ${spec.axes.map(place).join(", ")}.` : "";
    return (
      `Map of ${spec.title} by ${TITLES[model.get("view")]}, over ${stage.over()}. ` +
      `In ${steps} steps ${percent(found.arrived)} come to stay within ${showChosen(model.get("goal"))} of the minimum, ` +
      `${percent(1 - found.arrived - found.lost)} have not settled, ${percent(found.lost)} diverge.${best}`
    );
  }

  /** The run at the ring: its path, its loss, and what it amounts to. */
  function draw() {
    const [steps, start, goal, view] = ["steps", "start", "goal", "view"].map((name) => model.get(name));
    const values = stage.hyper();
    const shape = shapeOf(values);
    const found = minima();
    const floor = lowest(shape, found);
    const shown = contour.surface(JSON.stringify(shape), lossAt(shape), { minima: found });
    const rows = code.run(start, steps, values);
    const run = walk(code, rows, { floor, bound: spec.bound, goal, top: shown.top + shown.floor - floor });
    contour.paths([{ ...spec.run, ...run }], steps, start);
    losses.curves([{ ...spec.run, ...run }], steps, steps, shown.top + 10 * (shown.floor - floor));
    const now = outcome(run, steps, goal, view);
    result.show({ label: `at ${stage.where()}`, ...now }, run.ended.end === DIVERGED);
    contour.say(`${spec.title}: the run at the ring: ${now.number}, ${now.note}.`);
    losses.say(`Loss of the run at the ring over ${steps} steps: it ends at ${show(run.above[steps])}.`);
    views.mark(view);
  }

  const { ask, repaint, close } = stage.begin({
    code,
    scan,
    own,
    traits: ["start", "goal"],
    words: described,
    draw,
    fit,
    paint: (...row) => paint(model.get("view"), model.get("steps"), span, ...row),
  });

  /** The same picture in other colors. */
  function recolor() {
    paint = inks(root);
    root.classList.toggle("cf-by-minimum", model.get("view") === "minimum");
    keys(model.get("view"), span, minima(), model.get("goal"));
    repaint();
    ask();
  }

  for (const name of RECOLORED) model.on(`change:${name}`, recolor);
  const stop = [
    onResize(contourBox, (width) => {
      contour.resize(width);
      ask();
    }),
    onResize(lossBox, losses.resize),
    onTheme(recolor),
  ];
  requestAnimationFrame(recolor); // when the figure is in the page and has its colors
  return () => {
    stop.forEach((end) => end());
    close();
    contour.close();
    for (const name of RECOLORED) model.off(`change:${name}`, recolor);
  };
}

const WORDS = { steps: "steps", loss: "final loss", minimum: "which minimum" };
const TITLES = { steps: "steps to the minimum", loss: "final loss", minimum: "the minimum that is reached" };

/** Values by name as traits: w0 and w1 are parts of `start`. */
function setting(model, values) {
  const { w0 = model.get("start")[0], w1 = model.get("start")[1], ...hyper } = values;
  return "w0" in values || "w1" in values ? { ...hyper, start: [w0, w1] } : hyper;
}

/** A traced run as it is drawn. As on the map, one that gets beyond the bound has diverged, wherever it ends. */
function walk(code, rows, { floor, bound, goal, top }) {
  const width = code.run.columns.length;
  const above = lossesAbove(rows, width, floor);
  const points = pointsOf(rows, width);
  const ended = endOf(code, above, goal);
  if (points.some((w) => !w.every((x) => Math.abs(x) <= bound))) ended.end = DIVERGED;
  return cut(points, above, top, ended);
}

/** What the run at the ring amounts to: { number, note }. */
function outcome({ above, diverged, ended }, steps, goal, view) {
  const { end, late, high } = ended;
  if (end === DIVERGED) return { number: "diverged", note: `at step ${diverged}` };
  if (view === "loss") return { number: show(above[steps]), note: "above the minimum at the end" };
  if (end !== REACHED)
    return { number: "not settled", note: `ends ${show(above[steps])} above, stays below ${show(high)}` };
  return { number: `${late} ${late === 1 ? "step" : "steps"}`, note: `to stay within ${showChosen(goal)}` };
}
