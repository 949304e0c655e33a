// What a rule remembers, step by step: a small plot for each state variable, a line for each coordinate.
import { show, showChosen } from "../kit/kit.js";
import { decades, linePlot, tenTo, through } from "../kit/line_plot.js";

const DASHES = ["none", "3 4"]; // of the coordinates x and y
const NAMES = ["x", "y"];
const WIDE = 30; // a state that is never negative and spans more than this ratio is drawn on a log axis
const DEEP = 1e-16; // of its largest value, at the floor of the axis

/**
 * The axis for some numbers: logarithmic where none is negative and those that are not zero are far apart, with zeros
 * on its floor.
 */
function axisFor(numbers) {
  const finite = numbers.filter(Number.isFinite);
  const extremes = (list) => list.reduce(([a, b], z) => [Math.min(a, z), Math.max(b, z)], [Infinity, -Infinity]);
  const [low, high] = extremes(finite);
  const least = Math.max(extremes(finite.filter((z) => z > 0))[0], high * DEEP);
  if (low >= 0 && high / least > WIDE)
    return { y: [least, high], yLog: true, yFormat: tenTo, yTicks: decades([least, high], 4) };
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  return { y: [low - margin, high + margin], yLog: false, yFormat: showChosen, yTicks: 3 };
}

/**
 * One plot in `parent`. Returns { resize(width), draw(series, step), node }; `series` has an array of numbers a
 * coordinate.
 */
export function statePlot(parent, title, color) {
  const plot = linePlot(parent, {
    title,
    name: "cf-state-plot",
    height: 132,
    top: 22,
    right: 12,
    bottom: 22,
    left: 58,
  });
  plot.node.style.setProperty("--rule", color);

  function draw(series, step) {
    const domain = [0, series[0].length - 1];
    const axis = axisFor(series.flat());
    const { x, y } = plot.frame({ x: domain, xTicks: Math.min(4, plot.width() / 50), ...axis });
    const log = axis.yLog;
    const path = (values) => {
      const end = values.findIndex((z) => !Number.isFinite(z));
      const floor = y.domain()[0];
      return through(values.slice(0, end < 0 ? undefined : end).map((z, k) => [x(k), y(log ? Math.max(z, floor) : z)]));
    };
    plot.curves(series.map((values, k) => ({ d: path(values), dash: DASHES[k], color })));
    plot.mark(x(step));
    const words = series.map((values, k) => `${NAMES[k]} ${show(values[step])}`);
    plot.say(`${title} over the steps. At step ${step}: ${words.join(", ")}.`);
  }

  return { node: plot.node, resize: plot.resize, draw: (series, step) => plot.draw(() => draw(series, step)) };
}
