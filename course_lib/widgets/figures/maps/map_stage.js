// The stage of a map: its picture with axes and ring, the buttons and the note below; and when what is drawn. What a
// pixel means is the figure's own.
import { button, slider } from "../../kit/controls.js";
import { make, onNextFrame, onResize, put, showChosen } from "../../kit/kit.js";
import { centers, complaint } from "./map_axes.js";
import { painter } from "./map_painter.js";
import { picture as paintedOn } from "./map_picture.js";
import { mapPlot } from "./map_plot.js";

const RANGES = ["x_range", "y_range"];
const SHARPEST = 2; // pixels of the picture to one of the page, at most

/**
 * Makes what stands in the page: { root, bar, main, side, … }, of which `bar` and `side` are still empty. `title`: the
 * map in words; `factor`: how much closer a press on + gets. `value(name)`: the ring's value on an axis;
 * `setting(values)`: such values as traits, null for one that may be anything.
 */
export function mapStage(
  { model, el },
  { title, factor, value = (name) => model.get(name), setting = (values) => values },
) {
  const spec = model.get("spec"),
    { axes } = spec,
    names = axes.map((axis) => axis.name);
  const root = make(el, "div", "cf cf-mapped", { role: "group", "aria-label": title });
  const bar = make(root, "div", "cf-map-bar"),
    columns = make(root, "div", "cf-grid cf-ordered");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const atRing = (values) => setting(Object.fromEntries(names.map((name, k) => [name, values[k]])));
  const look = (bounds) => put(model, Object.fromEntries(RANGES.map((name, k) => [name, bounds[k]])));
  const plot = mapPlot(main, axes, { look, choose: (values) => put(model, atRing(values)) });
  plot.node.setAttribute("aria-label", `${title}, being computed.`);
  const under = make(main, "div", "cf-buttons cf-map-buttons cf-far");
  button(under, "+", "Zoom in around the ring", () => plot.zoom(1 / factor));
  button(under, "−", "Zoom out", () => plot.zoom(factor));
  button(under, "Whole map", "Back to the ranges it began with", () => look(axes.map((axis) => axis.initial)));
  const working = workPart(under);
  const note = make(main, "p", "cf-note cf-map-note cf-far", { role: "status" });
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take the arrow keys

  const hyper = () => Object.fromEntries(spec.hyper.map((name) => [name, model.get(name)]));
  const bounds = () => RANGES.map((name) => model.get(name));
  const wrong = () => axes.map((axis, k) => complaint(axis, bounds()[k])).find(Boolean) ?? "";

  function controls(parent, className) {
    const box = make(parent, "div", className);
    spec.controls.forEach((control) => slider(box, model, control));
    button(make(box, "div", "cf-buttons"), "Reset", "Back to the start values", () => put(model, { ...spec.initial }));
  }

  /**
   * Computes and draws from now on. A job has the places, the hyperparameters, the steps and the bound, and what
   * `own()` adds from these `traits`. `scan` does a job where there is no graphics chip; `paint(floats, pixels)` colors
   * a row of results after `fit(floats)` saw all of them, coarsely first; `words(picture)` describes all of them;
   * `draw()` shows the run at the ring. Returns { ask, repaint, close }: `ask()` for another `draw`, `repaint()` for
   * the same results in new colors.
   */
  function begin({ code, scan, own = () => ({}), traits = [], paint, fit = () => false, words, draw }) {
    const picture = paintedOn(plot.canvas, paint),
      all = [...spec.hyper, "steps", ...RANGES, ...traits];
    let machine = "",
      computedFor = "";

    /** What the map computes: everything as it is now, in this many pixels. */
    function job(columns, rows) {
      const values = hyper(),
        [x, y] = axes.map((axis, k) => centers(axis, bounds()[k], k ? rows : columns));
      return {
        x,
        y,
        axes: names,
        hyper: values,
        values: Object.values(values),
        steps: model.get("steps"),
        bound: spec.bound,
        ...own(),
      };
    }

    const painting = painter(
      { shader: model.get("shader"), text: model.get("code"), code, scan },
      {
        box: plot.box,
        read: job,
        size: () =>
          wrong()
            ? [0, 0]
            : plot.size().map((length) => Math.round(length * Math.min(SHARPEST, devicePixelRatio || 1))),
        show(part) {
          if (part.coarse) fit(part.floats);
          picture.rows(part);
        },
        progress: working.show,
        done: describe,
        tell(said, why) {
          machine = said;
          if (why) console.info(`${title}: ${why}`);
          say();
        },
      },
    );
    working.stop = painting.stop;
    plot.box.state = Object.defineProperty(painting.state, "picture", { get: picture.now });

    function say() {
      note.textContent = wrong() || machine;
      plot.canvas.classList.toggle("cf-hidden", Boolean(wrong()));
    }

    function describe() {
      if (picture.now() && fit(picture.now().floats)) picture.repaint();
      if (picture.now()) plot.node.setAttribute("aria-label", words(picture.now()));
    }

    function redraw() {
      plot.axes(bounds());
      plot.ring(names.map(value));
      draw();
      say();
    }

    const ask = onNextFrame(redraw);
    /** Redraws the run; and computes the map, unless only the ring moved on it. */
    const change = () => {
      const now = Object.fromEntries(all.map((name) => [name, model.get(name)])),
        key = JSON.stringify({ ...now, ...atRing([null, null]) });
      if (key !== computedFor) painting.ask();
      computedFor = key;
      ask();
    };
    all.forEach((name) => model.on(`change:${name}`, change));
    const end = onResize(plot.box, (width) => {
      plot.resize(width);
      redraw();
      computedFor = "";
      change();
    });

    return {
      ask,
      repaint() {
        picture.repaint();
        describe();
      },
      close() {
        end();
        painting.close();
        ask.cancel();
        all.forEach((name) => model.off(`change:${name}`, change));
      },
    };
  }

  return {
    root,
    bar,
    main,
    side,
    hyper,
    bounds,
    controls,
    begin,
    /** The axes with what they show, and the ring's place on them, in words. */
    over: () => axes.map((axis, k) => `${axis.label} from ${bounds()[k].map(showChosen).join(" to ")}`).join(" and "),
    where: () => axes.map((axis) => `${axis.symbol} ${showChosen(value(axis.name))}`).join(", "),
  };
}

/** The progress of a picture that takes long, and the button that ends it; hidden, but in its place, when there is none. */
function workPart(parent) {
  const box = make(parent, "span", "cf-map-work cf-hidden");
  const bar = make(box, "progress", "", { max: 1, value: 0, "aria-label": "Share of the map that is computed" });
  const part = {
    stop: () => {},
    show(share) {
      box.classList.toggle("cf-hidden", share === null);
      if (share !== null) bar.value = share;
    },
  };
  button(box, "Stop", "Leave the map as it is now", () => part.stop());
  return part;
}
