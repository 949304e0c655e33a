// Trainability: a network in every pixel, trained on the reader's graphics chip; and the loss of the one at the ring.
import { button, slider } from "./controls.js";
import { load, make, onNextFrame, onResize, onTheme, put, show, showChosen } from "./kit.js";
import { lossPlot } from "./loss_plot.js";
import { centers, complaint } from "./map_axes.js";
import { fates, fatesLegend } from "./map_colors.js";
import { painter } from "./map_painter.js";
import { picture as paintedOn } from "./map_picture.js";
import { mapPlot } from "./map_plot.js";

const RANGES = ["x_range", "y_range"];
const GOAL = 0.01; // a loss below it counts as trained, in words
const TOP = 1e6;

/** The shader's results for each network in rows `from` to `to`, by the traced loops. Uses nothing but its arguments: it is also a worker's text. */
export function scan({ train }, { x, y, axes, hyper, steps, goal, bound }, from, to) {
  const columns = x.length, floats = new Float32Array(4 * columns * (to - from)), setting = { ...hyper };
  for (let j = from, at = 0; j < to; j++) {
    setting[axes[1]] = y[j];
    for (let i = 0; i < columns; i++, at += 4) {
      setting[axes[0]] = x[i];
      const losses = train(setting, steps, bound);
      let late = 0, total = 0, k = 0;
      for (; k <= steps && losses[k] <= bound; k++) {
        if (losses[k] > goal) late = k + 1;
        total += losses[k] / losses[0];
      }
      const lost = k <= steps;
      floats.set([lost ? k : late, lost ? Infinity : losses[steps], total / (steps + 1), lost ? 1 : 0], at);
    }
  }
  return floats;
}

export async function render({ model, el }) {
  const spec = model.get("spec"), text = model.get("code"), code = await load(text);
  const names = spec.axes.map((axis) => axis.name);
  const root = make(el, "div", "cf cf-mapped cf-trained", { role: "group", "aria-label": `Map of trainability: ${spec.title}` });
  const bar = make(root, "div", "cf-map-bar");
  fatesLegend(bar);
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"), side = make(columns, "div", "cf-side");
  const look = (bounds) => put(model, Object.fromEntries(RANGES.map((name, k) => [name, bounds[k]])));
  const plot = mapPlot(main, spec.axes, { look, choose: (chosen) => put(model, Object.fromEntries(names.map((name, k) => [name, chosen[k]]))) });
  plot.node.setAttribute("aria-label", `Map of trainability: ${spec.title}, being computed.`);
  const under = make(main, "div", "cf-buttons cf-map-buttons");
  button(under, "+", "Zoom in around the ring", () => plot.zoom(1 / 2));
  button(under, "−", "Zoom out", () => plot.zoom(2));
  button(under, "Whole map", "Back to the ranges it began with", () => look(spec.axes.map((axis) => axis.initial)));
  const note = make(main, "p", "cf-note cf-map-note", { role: "status" });
  const box = make(side, "div", "cf-result", { role: "status" });
  const where = make(box, "span", "cf-label"), number = make(box, "span", "cf-number"), ends = make(box, "span", "cf-note");
  const lossBox = make(side, "div"), losses = lossPlot(lossBox, "loss, step by step");
  const controls = make(side, "div", "cf-trained-controls");
  spec.controls.forEach((control) => slider(controls, model, control));
  button(make(controls, "div", "cf-buttons"), "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  const hyper = () => Object.fromEntries(spec.hyper.map((name) => [name, model.get(name)]));
  const bounds = () => RANGES.map((name) => model.get(name));
  const wrong = () => spec.axes.map((axis, k) => complaint(axis, bounds()[k])).find(Boolean) ?? "";
  let paint = fates(), machine = "";
  const picture = paintedOn(plot.canvas, (floats, pixels) => paint(model.get("steps"), floats, pixels));

  /** What the map computes: everything as it is now, in this many pixels. */
  const job = (width, height) => ({
    x: centers(spec.axes[0], bounds()[0], width), y: centers(spec.axes[1], bounds()[1], height), axes: names, hyper: hyper(),
    values: spec.hyper.map((name) => model.get(name)), start: [0], steps: model.get("steps"), goal: GOAL, lowest: 0, bound: spec.bound,
  });

  const own = painter({ shader: model.get("shader"), text, code, scan }, {
    box: plot.box,
    read: job,
    size: () => (wrong() ? [0, 0] : plot.size().map((length) => Math.round(length * Math.min(2, devicePixelRatio || 1)))),
    show: picture.rows,
    done: describe,
    tell(words, why) {
      machine = words;
      if (why) console.info(`Trainability: ${why}`);
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
    const { floats } = picture.now(), percent = (u) => `${Math.round((400 * u) / floats.length)} %`;
    let lost = 0, trained = 0;
    for (let at = 0; at < floats.length; at += 4) floats[at + 3] ? lost++ : (trained += floats[at + 1] < GOAL);
    const over = spec.axes.map((axis, k) => `${axis.label} from ${bounds()[k].map(showChosen).join(" to ")}`).join(" and ");
    plot.node.setAttribute("aria-label", `Map of trainability over ${over}. In ${model.get("steps")} steps ${percent(trained)} of the networks reach a loss below ${GOAL}, ${percent(lost)} diverge.`);
  }

  /** The run at the ring. */
  function draw() {
    const steps = model.get("steps"), run = code.train(hyper(), steps, spec.bound), when = run.findIndex((z) => !(z <= spec.bound));
    plot.axes(bounds());
    plot.ring(names.map((name) => model.get(name)));
    losses.curves([{ color: "var(--cf-own-0)", above: run }], steps, steps, TOP);
    where.textContent = `at ${spec.axes.map((axis) => `${axis.symbol} ${showChosen(model.get(axis.name))}`).join(", ")}`;
    number.textContent = when >= 0 ? "diverges" : run[steps] < GOAL ? "trains" : "does not settle low";
    ends.textContent = when >= 0 ? `at step ${when}` : `loss ${show(run[0])} → ${show(run[steps])}`;
    box.classList.toggle("cf-diverged", when >= 0);
    losses.node.setAttribute("aria-label", `Loss of the network at the ring over ${steps} steps: it ${number.textContent}, ${ends.textContent}.`);
    say();
  }

  function recolor() {
    paint = fates();
    picture.repaint();
  }

  const ask = onNextFrame(draw);
  let drawnFor = "";
  /** Redraws the run; and the map, unless only the ring moved on it. */
  const change = () => {
    const key = JSON.stringify([spec.hyper.map((name) => (names.includes(name) ? null : model.get(name))), model.get("steps"), bounds()]);
    if (key !== drawnFor) own.ask();
    drawnFor = key;
    ask();
  };
  const traits = [...spec.hyper, "steps", ...RANGES];
  traits.forEach((name) => model.on(`change:${name}`, change));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(main, (width) => { plot.resize(width); draw(); drawnFor = ""; change(); }),
    onResize(lossBox, (width) => losses.resize(width)),
    onTheme(recolor),
  ];
  requestAnimationFrame(recolor); // when the figure is in the page and has its colors
  return () => {
    stop.forEach((end) => end());
    own.close();
    ask.cancel();
    traits.forEach((name) => model.off(`change:${name}`, change));
  };
}
