// Data points to drag, a curve through them, and the residuals between.
import { axisBottom, axisLeft, scaleLinear, select } from "../kit/vendor/d3.js";
import { make, onArrows, onDrag, showChosen } from "../kit/kit.js";

const MARGIN = { top: 20, right: 10, bottom: 38, left: 34 };
const HEIGHT = 250;
const CURVE = 160; // points of the curve
const ROOM = 0.35; // beyond the data, as a part of their range: room for an outlier

let clips = 0;

/** The range of some numbers with room on both sides. */
function widened(values, room) {
  const low = Math.min(...values),
    high = Math.max(...values),
    more = (high - low || 1) * room;
  return [low - more, high + more];
}

/** `moved(k, x, y)` is called while point k is dragged. Returns { node, frame(x, y), holds(x, y), resize(width), draw(x, y, predict) }. */
export function dataPlot(parent, moved) {
  const node = make(parent, "svg", "cf-data-plot", { role: "img", height: HEIGHT });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = "data y and prediction f(x; θ)";
  const foot = make(node, "text", "cf-title", { y: HEIGHT - 6, "text-anchor": "end" });
  foot.textContent = "x";
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const clip = make(make(make(node, "defs"), "clipPath", "", { id: `cf-data-clip-${++clips}` }), "rect");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const residuals = make(inside, "path", "cf-residuals", { "clip-path": `url(#cf-data-clip-${clips})` });
  const curve = make(inside, "path", "cf-fitted", { "clip-path": `url(#cf-data-clip-${clips})` });
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  const x = scaleLinear([0, 1], [0, 1]),
    y = scaleLinear([0, 1], [height, 0]);
  const points = [];
  let width = 0,
    shown = [[], []];
  axes[0].setAttribute("transform", `translate(0,${height})`);

  const keep = (value, [low, high]) => +Math.min(high, Math.max(low, value)).toPrecision(3);
  const move = (k, a, b) => {
    const to = [keep(a, x.domain()), keep(b, y.domain())];
    shown = shown.map((row, i) => row.map((v, j) => (j === k ? to[i] : v))); // at once: keys may come faster than frames
    moved(k, ...to);
  };
  const place = (event) => {
    const box = node.getBoundingClientRect();
    return [x.invert(event.clientX - box.left - MARGIN.left), y.invert(event.clientY - box.top - MARGIN.top)];
  };

  function point(k) {
    const one = make(inside, "g", "cf-datum", {
      tabindex: 0,
      role: "slider",
      "aria-label": `Data point ${k + 1}. Arrow keys move it.`,
    });
    make(one, "circle", "cf-touch", { r: 13 });
    make(one, "circle", "cf-point", { r: 4.5 });
    onDrag(one, (event) => move(k, ...place(event)));
    const step = (scale) => (scale.domain()[1] - scale.domain()[0]) / 100;
    onArrows(one, (dx, dy) => move(k, shown[0][k] + dx * step(x), shown[1][k] + dy * step(y)));
    return one;
  }

  function drawAxes() {
    if (!width) return;
    select(axes[0]).call(
      axisBottom(x)
        .ticks(Math.max(3, width / 80))
        .tickSize(4)
        .tickSizeOuter(0),
    );
    select(axes[1]).call(axisLeft(y).ticks(5).tickSize(-width).tickSizeOuter(0));
  }

  return {
    node,
    /** Fit the axes to these data. */
    frame(xs, ys) {
      x.domain(widened(xs, 0.06));
      y.domain(widened(ys, ROOM));
      drawAxes();
    },
    /** Whether all data lie inside the axes, give or take a rounding. */
    holds: (xs, ys) =>
      [
        [xs, x],
        [ys, y],
      ].every(([values, scale]) => {
        const [low, high] = scale.domain(),
          slack = (high - low) / 100;
        return values.every((v) => v >= low - slack && v <= high + slack);
      }),
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      node.setAttribute("width", total);
      foot.setAttribute("x", total - MARGIN.right);
      for (const [name, value] of [
        ["width", width],
        ["height", height],
      ])
        clip.setAttribute(name, value);
      x.range([0, width]);
      drawAxes();
    },
    draw(xs, ys, predict) {
      shown = [xs, ys];
      const at = (a, b) => `${x(a).toFixed(1)},${Math.max(-1e4, Math.min(1e4, y(b))).toFixed(1)}`;
      const [low, high] = x.domain();
      const grid = Array.from({ length: CURVE + 1 }, (_, k) => low + (k / CURVE) * (high - low));
      curve.setAttribute("d", `M${grid.map((a) => at(a, predict(a))).join("L")}`);
      residuals.setAttribute("d", xs.map((a, k) => `M${at(a, ys[k])}L${at(a, predict(a))}`).join(""));
      while (points.length < xs.length) points.push(point(points.length));
      points.forEach((one, k) => {
        one.setAttribute("transform", `translate(${x(xs[k])},${y(ys[k])})`);
        one.setAttribute("aria-valuetext", `x ${showChosen(xs[k])}, y ${showChosen(ys[k])}`);
        one.setAttribute("aria-valuenow", ys[k]);
      });
    },
  };
}
