// What a rule remembers, step by step: a small plot for each state variable, a line for each coordinate.
import { show, showChosen } from "../kit/kit.js";
import { linePlot, tenTo, through } from "../kit/line_plot.js";

const DASHES = ["none", "3 4"]; // of the coordinates x and y
const NAMES = ["x", "y"];
const WIDE = 30; // a state that stays positive and spans more than this ratio is drawn on a log axis

/** The axis for some numbers: logarithmic where they are all positive and far apart. */
function axisFor(numbers) {
  const finite = numbers.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (low > 0 && high / low > WIDE) return { y: [low, high], yLog: true, yFormat: tenTo };
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
    const { x, y } = plot.frame({ x: domain, xTicks: Math.min(4, plot.width() / 50), ...axisFor(series.flat()) });
    const path = (values) => {
      const end = values.findIndex((z) => !Number.isFinite(z));
      return through(values.slice(0, end < 0 ? undefined : end).map((z, k) => [x(k), y(z)]));
    };
    plot.curves(series.map((values, k) => ({ d: path(values), dash: DASHES[k], color })));
    plot.mark(x(step));
    const words = series.map((values, k) => `${NAMES[k]} ${show(values[step])}`);
    plot.say(`${title} over the steps. At step ${step}: ${words.join(", ")}.`);
  }

  return { node: plot.node, resize: plot.resize, draw: (series, step) => plot.draw(() => draw(series, step)) };
}
