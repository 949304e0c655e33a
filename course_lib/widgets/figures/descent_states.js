// What a rule remembers, step by step: a small plot for each state variable, a line for each coordinate.
import { axisBottom, axisLeft, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { make, power, show, showChosen } from "../kit/kit.js";

const MARGIN = { top: 22, right: 12, bottom: 22, left: 58 };
const HEIGHT = 132;
const DASHES = ["none", "3 4"]; // of the coordinates x and y
const NAMES = ["x", "y"];
const WIDE = 30; // a state that stays positive and spans more than this ratio is drawn on a log axis

/** The axis for some numbers: logarithmic where they are all positive and far apart. */
function axisFor(numbers, height) {
  const finite = numbers.filter(Number.isFinite);
  const low = Math.min(...finite),
    high = Math.max(...finite);
  if (low > 0 && high / low > WIDE) return { y: scaleLog([low, high], [height, 0]), log: true };
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  return { y: scaleLinear([low - margin, high + margin], [height, 0]), log: false };
}

/** One plot in `parent`. Returns { resize(width), draw(series, step), node }; `series` has an array of numbers a coordinate. */
export function statePlot(parent, title, color) {
  const node = make(parent, "svg", "cf-state-plot", { role: "img", height: HEIGHT });
  node.style.setProperty("--rule", color);
  make(node, "text", "cf-title", { x: 4, y: 12 }).textContent = title;
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const now = make(inside, "line", "cf-now-line", { y1: 0, y2: height });
  const lines = make(inside, "g");
  const x = scaleLinear();
  return {
    node,
    resize(total) {
      node.setAttribute("width", total);
      x.range([0, total - MARGIN.left - MARGIN.right]);
    },
    draw(series, step) {
      const { y, log } = axisFor(series.flat(), height),
        width = x.range()[1];
      x.domain([0, series[0].length - 1]);
      const path = (values) => {
        const end = values.findIndex((z) => !Number.isFinite(z));
        return values
          .slice(0, end < 0 ? undefined : end)
          .map((z, k) => `${k ? "L" : "M"}${x(k).toFixed(1)},${y(z).toFixed(1)}`)
          .join("");
      };
      select(axes[0]).call(
        axisBottom(x)
          .ticks(Math.min(4, width / 50))
          .tickSize(4)
          .tickSizeOuter(0),
      );
      const ticks = log ? y.ticks(3).filter((z) => Number.isInteger(Math.log10(z))) : y.ticks(3);
      select(axes[1]).call(
        axisLeft(y)
          .tickValues(ticks)
          .tickFormat(log ? (z) => power(Math.round(Math.log10(z))) : showChosen)
          .tickSize(-width)
          .tickSizeOuter(0),
      );
      select(lines)
        .selectAll("path")
        .data(series)
        .join("path")
        .attr("class", "cf-path")
        .attr("stroke-dasharray", (_, k) => DASHES[k])
        .attr("d", path);
      for (const end of ["x1", "x2"]) now.setAttribute(end, x(step));
      node.setAttribute(
        "aria-label",
        `${title} over the steps. At step ${step}: ${series.map((values, k) => `${NAMES[k]} ${show(values[step])}`).join(", ")}.`,
      );
    },
  };
}
