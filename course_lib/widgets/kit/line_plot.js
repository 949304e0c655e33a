// Curves over one axis, each axis linear or logarithmic: the one plot of losses, states, shares and sections.
import { axisBottom, axisLeft, scaleLinear, scaleLog, select } from "./vendor/d3.js";
import { make, power, set, write } from "./kit.js";

const exponent = (v) => Math.round(Math.log10(v));

/** A power of ten as an axis shows it. */
export const tenTo = (v) => power(exponent(v));

/** A power of ten as digits where these are few: 0.01 to 100. */
export const digitsOrPower = (v) => (v >= 0.01 && v <= 100 ? String(+v.toPrecision(3)) : tenTo(v));

/** At most `most` whole powers of ten between two numbers. */
export function decades([low, high], most = 5) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const stride = Math.max(1, Math.ceil((last - first + 1) / most));
  const count = Math.max(0, Math.floor((last - first) / stride) + 1);
  return Array.from({ length: count }, (_, k) => 10 ** (first + k * stride));
}

/**
 * A plot in `parent`; the four sides are its margins in pixels, `name` its classes, `role` "group" if it holds what can
 * be focused. Returns { node, inside, title, height, width(), resize(total), draw(paint), frame(axes), curves(list),
 * mark(place), say(words) }.
 */
export function linePlot(parent, options) {
  const { title = null, foot = null, name = "cf-loss-plot", role = "img", height: total = 170 } = options;
  const { top = 18, right = 16, bottom = 26, left = 40 } = options;
  const node = make(parent, "svg", name, { role, height: total });
  const text = (words, place) => (words === null ? null : write(node, "text", "cf-title", words, place));
  const head = text(title, { x: 4, y: 11 });
  const under = text(foot, { y: total - 6, "text-anchor": "end" });
  const inside = make(node, "g", "", { transform: `translate(${left},${top})` });
  const height = total - top - bottom;
  const axes = [`translate(0,${height})`, ""].map((transform) => make(inside, "g", "cf-axis", { transform }));
  const drawn = make(inside, "g");
  let width = 0;
  let paint = null;
  let axesDrawn = "";
  let now = null;

  function drawAxes(x, y, { xTicks, yTicks, xFormat, yFormat }) {
    const key = JSON.stringify([width, x.domain(), y.domain(), xTicks, yTicks, yFormat === tenTo]);
    if (key === axesDrawn) return;
    axesDrawn = key;
    const across = axisBottom(x).tickSize(4).tickSizeOuter(0);
    const up = axisLeft(y).tickSize(-width).tickSizeOuter(0);
    for (const [axis, ticks, format] of [
      [across, xTicks, xFormat],
      [up, yTicks, yFormat],
    ]) {
      Array.isArray(ticks) ? axis.tickValues(ticks) : axis.ticks(ticks);
      if (format) axis.tickFormat(format);
    }
    select(axes[0]).call(across);
    select(axes[1]).call(up);
  }

  const plot = {
    node,
    inside,
    title: head,
    foot: under,
    height,
    width: () => width,
    resize(wide) {
      width = wide - left - right;
      set(node, { width: wide });
      if (under) set(under, { x: wide - right });
      if (paint && width > 1) paint();
    },
    /** Call `paint()` now, if there is room, and again when the width changes. */
    draw(how) {
      paint = how;
      if (width > 1) paint();
    },
    /** Axes over the domains `x` and `y`, `xLog` and `yLog` say which are logarithmic; returns the scales { x, y }. */
    frame({ x: across, y: up, xLog = false, yLog = true, ...ticks }) {
      const x = (xLog ? scaleLog : scaleLinear)(across, [0, width]);
      const y = (yLog ? scaleLog : scaleLinear)(up, [height, 0]);
      const xTicks = xLog ? decades(across) : Math.min(5, width / 50);
      const yTicks = yLog ? decades(up) : 5;
      drawAxes(x, y, { xTicks, yTicks, xFormat: xLog ? tenTo : null, yFormat: yLog ? tenTo : null, ...ticks });
      return { x, y };
    },
    /** The lines: [{ d, color, name, dash }], drawn in this order. */
    curves(list) {
      select(drawn)
        .selectAll("path")
        .data(list)
        .join("path")
        .attr("class", (c) => c.name ?? "cf-path")
        .attr("stroke-dasharray", (c) => c.dash ?? null)
        .style("--rule", (c) => c.color)
        .attr("d", (c) => c.d);
    },
    /** A dashed line from top to bottom, in pixels from the left. */
    mark(place) {
      now ??= inside.insertBefore(make(inside, "line", "cf-now-line", { y1: 0, y2: height }), drawn);
      set(now, { x1: place, x2: place });
    },
    /** Its text alternative. */
    say: (words) => node.setAttribute("aria-label", words),
  };
  return plot;
}

/** "M…L…" through points in pixels. */
export const through = (points) =>
  points.length ? `M${points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join("L")}` : "";
