// Map: how runs end, over two hyperparameters or over the start point, each pixel a run; and the run at the ring in detail.
import { button, slider } from "./controls.js";
import { COARSE, FINE, contourPlot, grid } from "./contour_plot.js";
import { load, make, onNextFrame, onResize, onTheme, put, show, showChosen } from "./kit.js";
import { lossPlot } from "./loss_plot.js";
import { centers, complaint } from "./map_axes.js";
import { scan } from "./map_cpu.js";
import { inks, legend, summary } from "./map_colors.js";
import { painter } from "./map_painter.js";
import { picture as paintedOn } from "./map_picture.js";
import { mapPlot } from "./map_plot.js";

const REST = 150; // ms without a change, then the contours are drawn finely
const RANGES = ["x_range", "y_range"];

export async function render({ model, el }) {
  const spec = model.get("spec"), text = model.get("code"), code = await load(text);
  const [x, y] = spec.axes.map((axis) => axis.name);
  const root = make(el, "div", "cf cf-mapped", { role: "group", "aria-label": `Map of ${spec.title}` });
  const bar = make(root, "div", "cf-map-bar");
  const toggles = make(bar, "div", "cf-choice", { role: "group", "aria-label": "What the colors show" });
  const views = spec.views.map((view) => button(toggles, WORDS[view], `Color the map by ${TITLES[view]}`, () => put(model, { view })));
  const keys = legend(bar, spec.views);
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"), side = make(columns, "div", "cf-side");
  const value = (name) => (name === "w0" || name === "w1" ? model.get("start")[+name[1]] : model.get(name));
  const look = (bounds) => put(model, Object.fromEntries(RANGES.map((name, k) => [name, bounds[k]])));
  const plot = mapPlot(main, spec.axes, { look, choose: ([a, b]) => put(model, setting(model, { [x]: a, [y]: b })) });
  plot.node.setAttribute("aria-label", `Map of ${spec.title}, being computed.`);
  const under = make(main, "div", "cf-buttons cf-map-buttons");
  button(under, "+", "Zoom in around the ring", () => plot.zoom(1 / 1.5));
  button(under, "−", "Zoom out", () => plot.zoom(1.5));
  button(under, "Whole map", "Back to the ranges it began with", () => look(spec.axes.map((axis) => axis.initial)));
  const note = make(main, "p", "cf-note cf-map-note", { role: "status" });
  const result = headline(side, spec.run);
  const contourBox = make(side, "div"), lossBox = make(side, "div");
  const contour = contourPlot(contourBox, spec.domain, (start) => put(model, { start }));
  const losses = lossPlot(lossBox, "loss above the minimum");
  const controls = make(main, "div", "cf-map-controls");
  spec.controls.forEach((control) => slider(controls, model, control));
  button(make(controls, "div", "cf-buttons"), "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  const hyper = () => Object.fromEntries(spec.hyper.map((name) => [name, model.get(name)]));
  const bounds = () => RANGES.map((name) => model.get(name));
  const wrong = () => spec.axes.map((axis, k) => complaint(axis, bounds()[k])).find(Boolean) ?? "";
  const minima = () => (code.minima ? pairs([code.minima(...spec.surface.map((name) => model.get(name)))].flat()) : []);
  const lossAt = (shape) => (a, b) => code.loss(a, b, ...shape);

  let paint = inks(root), machine = "", surface = null, refine = 0;
  const picture = paintedOn(plot.canvas, (floats, pixels) => paint(model.get("view"), model.get("steps"), floats, pixels));

  /** What the map computes: everything as it is now, in this many pixels. */
  function job(columns, rows) {
    const values = hyper(), shape = spec.surface.map((name) => values[name]), found = minima();
    return {
      x: centers(spec.axes[0], bounds()[0], columns), y: centers(spec.axes[1], bounds()[1], rows), axes: [x, y],
      hyper: values, values: spec.hyper.map((name) => values[name]), surface: spec.surface, start: model.get("start"),
      steps: model.get("steps"), goal: model.get("goal"), lowest: found.length ? lossAt(shape)(...found[0]) : 0, bound: spec.bound,
    };
  }

  const own = painter({ shader: model.get("shader"), text, code, scan }, {
    box: plot.box,
    read: job,
    size: () => (wrong() ? [0, 0] : plot.size().map((side) => Math.round(side * Math.min(2, devicePixelRatio || 1)))),
    show: picture.rows,
    done: describe,
    tell(words, why) {
      machine = words;
      if (why) console.info(`Map: ${why}`);
      say();
    },
  });
  plot.box.state = Object.defineProperty(own.state, "picture", { get: picture.now });

  function say() {
    note.textContent = wrong() || machine;
    plot.canvas.classList.toggle("cf-hidden", Boolean(wrong()));
  }

  /** The finished picture in words. */
  function describe() {
    const drawn = picture.now();
    if (!drawn) return;
    const steps = model.get("steps"), found = summary(drawn.floats, steps), percent = (u) => `${Math.round(100 * u)} %`;
    const [column, row] = [found.best % drawn.columns, Math.floor(found.best / drawn.columns)];
    const best = found.fewest < Infinity && ` The fewest steps, ${found.fewest}, at ${spec.axes.map((axis, k) => `${axis.label} ${show(centers(axis, bounds()[k], k ? drawn.rows : drawn.columns)[k ? row : column])}`).join(", ")}.`;
    plot.node.setAttribute("aria-label", `Map of ${spec.title} by ${TITLES[model.get("view")]}, over ${spec.axes.map((axis, k) => `${axis.label} from ${bounds()[k].map(showChosen).join(" to ")}`).join(" and ")}. In ${steps} steps ${percent(found.arrived)} come to stay within ${showChosen(model.get("goal"))} of the minimum, ${percent(found.lost)} diverge.${best || ""}`);
  }

  function drawSurface(values) {
    const shape = spec.surface.map((name) => values[name]), key = JSON.stringify(shape);
    if (surface?.key === key) return;
    clearTimeout(refine);
    const draw = (columns) => {
      const loss = lossAt(shape), cells = grid(loss, spec.domain, columns), found = minima();
      const floor = found.length ? loss(...found[0]) : 0, ground = found.length ? floor : Math.min(0, cells.lowest);
      surface = { key, floor, top: 10 * (cells.highest - floor) };
      contour.surface(cells, ground, found);
    };
    if (surface) refine = setTimeout(() => draw(FINE), REST);
    draw(surface ? COARSE : FINE);
  }

  /** The run at the ring: its path, its loss, and what it amounts to. */
  function draw() {
    const values = hyper(), steps = model.get("steps"), start = model.get("start"), goal = model.get("goal");
    drawSurface(values);
    const run = walk(code.run(start, steps, values), code.run.columns.length, surface.floor, spec.bound, goal);
    plot.axes(bounds());
    plot.ring([value(x), value(y)]);
    contour.paths([{ ...spec.run, ...run }], steps, start);
    losses.curves([{ ...spec.run, above: run.above }], steps, steps, surface.top);
    const words = result(run, steps, goal, spec.axes.map((axis) => `${axis.symbol} ${showChosen(value(axis.name))}`).join(", "), model.get("view"));
    contour.node.setAttribute("aria-label", `${spec.title}: the run at the ring: ${words}.`);
    losses.node.setAttribute("aria-label", `Loss of the run at the ring over ${steps} steps: it ends at ${show(run.above[steps])}.`);
    views.forEach((b, k) => b.setAttribute("aria-pressed", spec.views[k] === model.get("view")));
    say();
  }

  /** The same picture in other colors. */
  function recolor() {
    paint = inks(root);
    root.classList.toggle("cf-by-minimum", model.get("view") === "minimum");
    keys(model.get("view"), model.get("steps"), minima(), model.get("goal"));
    picture.repaint();
    describe();
    ask();
  }

  const ask = onNextFrame(draw);
  let drawnFor = "";
  /** Redraws the run; and the map, unless only the ring moved on it. */
  const change = () => {
    const now = job(1, 1), off = (name, v) => (name === x || name === y ? null : v);
    const key = JSON.stringify([spec.hyper.map((name, k) => off(name, now.values[k])), now.start.map((w, k) => off(`w${k}`, w)), now.steps, now.goal, bounds()]);
    if (key !== drawnFor) own.ask();
    drawnFor = key;
    ask();
  };
  const traits = [...spec.hyper, "start", "steps", "goal", ...RANGES];
  traits.forEach((name) => model.on(`change:${name}`, change));
  for (const name of ["view", "steps", "goal"]) model.on(`change:${name}`, recolor);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(main, (width) => { plot.resize(width); draw(); drawnFor = ""; change(); }),
    onResize(contourBox, (width) => { contour.resize(width); ask(); }),
    onResize(lossBox, (width) => losses.resize(width)),
    onTheme(recolor),
  ];
  requestAnimationFrame(recolor); // when the figure is in the page and has its colors
  return () => {
    stop.forEach((end) => end());
    own.close();
    ask.cancel();
    clearTimeout(refine);
    traits.forEach((name) => model.off(`change:${name}`, change));
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
  const points = [], above = new Float64Array(rows.length / width);
  let late = 0, diverged = -1;
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
  const label = make(box, "span", "cf-label"), number = make(box, "span", "cf-number"), note = make(box, "span", "cf-note");
  return ({ above, when, late }, steps, goal, where, view) => {
    const end = show(above[steps]), arrived = when < 0 && late <= steps;
    label.textContent = `at ${where}`;
    number.textContent = when >= 0 ? "diverged" : arrived ? `${late} ${late === 1 ? "step" : "steps"}` : "not in time";
    note.textContent = when >= 0 ? `at step ${when}` : arrived ? `to stay within ${showChosen(goal)}` : `ends ${end} above the minimum`;
    if (view === "loss" && when < 0) [number.textContent, note.textContent] = [end, "above the minimum at the end"];
    box.classList.toggle("cf-diverged", when >= 0);
    return `${number.textContent}, ${note.textContent}`;
  };
}
