// Data points to drag, a curve through them, and the residuals between.
import { handle } from "../kit/handle.js";
import { make, set, showChosen, uniqueId } from "../kit/kit.js";
import { linePlot } from "../kit/line_plot.js";

const CURVE = 160; // points of the curve
const ROOM = 0.35; // beyond the data, as a part of their range: room for an outlier
const OPTIONS = {
  name: "cf-data-plot",
  role: "group",
  height: 250,
  top: 20,
  right: 10,
  bottom: 38,
  left: 34,
  foot: "x",
};

/** The range of some numbers with room on both sides. */
function widened(values, room) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const more = (high - low || 1) * room;
  return [low - more, high + more];
}

/**
 * `moved(k, x, y)` is called while point k is dragged. Returns { say, frame(x, y), holds(x, y), resize(width), draw(x,
 * y, predict) }.
 */
export function dataPlot(parent, moved) {
  const plot = linePlot(parent, { title: "data y and prediction f(x; θ)", ...OPTIONS });
  const id = uniqueId("data");
  const clip = make(make(make(plot.node, "defs"), "clipPath", "", { id }), "rect", "", { height: plot.height });
  const lines = make(plot.inside, "g", "", { "clip-path": `url(#${id})` });
  const residuals = make(lines, "path", "cf-residuals");
  const curve = make(lines, "path", "cf-fitted");
  const points = [];
  let domains = [
    [0, 1],
    [0, 1],
  ];
  let scales = null;
  let shown = [[], []];

  const move = (k, a, b) => {
    const to = [a, b].map((value, i) => +Math.min(domains[i][1], Math.max(domains[i][0], value)).toPrecision(3));
    // at once: keys may come faster than frames
    shown = shown.map((row, i) => row.map((v, j) => (j === k ? to[i] : v)));
    moved(k, ...to);
  };
  const place = (event) => {
    const box = plot.node.getBoundingClientRect();
    const [a, b] = [event.clientX - box.left - OPTIONS.left, event.clientY - box.top - OPTIONS.top];
    return [scales.x.invert(a), scales.y.invert(b)];
  };

  function point(k) {
    const step = (axis) => (domains[axis][1] - domains[axis][0]) / 100;
    return handle(plot.inside, {
      label: `Data point ${k + 1}. Arrow keys move it.`,
      name: "cf-datum",
      touch: 13,
      ring: 4.5,
      drag: (event) => move(k, ...place(event)),
      arrows: (dx, dy) => move(k, shown[0][k] + dx * step(0), shown[1][k] + dy * step(1)),
    });
  }

  function draw(xs, ys, predict) {
    shown = [xs, ys];
    const width = plot.width();
    set(clip, { width });
    scales = plot.frame({ x: domains[0], y: domains[1], yLog: false, xTicks: Math.max(3, width / 80) });
    const { x, y } = scales;
    const at = (a, b) => `${x(a).toFixed(1)},${Math.max(-1e4, Math.min(1e4, y(b))).toFixed(1)}`;
    const [low, high] = domains[0];
    const places = Array.from({ length: CURVE + 1 }, (_, k) => low + (k / CURVE) * (high - low));
    set(curve, { d: `M${places.map((a) => at(a, predict(a))).join("L")}` });
    set(residuals, { d: xs.map((a, k) => `M${at(a, ys[k])}L${at(a, predict(a))}`).join("") });
    while (points.length < xs.length) points.push(point(points.length));
    points.forEach((one, k) => one.place(x(xs[k]), y(ys[k]), `x ${showChosen(xs[k])}, y ${showChosen(ys[k])}`, ys[k]));
  }

  return {
    ...plot,
    draw: (...what) => plot.draw(() => draw(...what)),
    /** Fit the axes to these data. */
    frame: (xs, ys) => (domains = [widened(xs, 0.06), widened(ys, ROOM)]),
    /** Whether all data lie inside the axes, give or take a rounding. */
    holds: (xs, ys) =>
      [xs, ys].every((values, k) => {
        const [low, high] = domains[k];
        const slack = (high - low) / 100;
        return values.every((v) => v >= low - slack && v <= high + slack);
      }),
  };
}
