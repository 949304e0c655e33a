// The loss above its floor, step by step, on a log axis.
import { axisBottom, axisLeft, scaleLinear, scaleLog, select } from "./vendor/d3.js";
import { make, power } from "./kit.js";

const MARGIN = { top: 18, right: 16, bottom: 26, left: 40 }; // on the right half of "1,000"
const HEIGHT = 170;
const SMALLEST = 1e-16; // as far as doubles tell a loss from its floor

/** Ticks at some whole powers of ten between two losses, at most `most`. */
function decades([low, high], most) {
  const first = Math.ceil(Math.log10(low) - 1e-9),
    last = Math.floor(Math.log10(high) + 1e-9);
  const stride = Math.max(1, Math.ceil((last - first + 1) / most));
  return Array.from(
    { length: Math.max(0, Math.floor((last - first) / stride) + 1) },
    (_, k) => 10 ** (first + k * stride),
  );
}

/** A loss curve in `parent`. Returns { resize(width), curves(runs, steps, step, top), node }. */
export function lossPlot(parent, title) {
  const node = make(parent, "svg", "cf-loss-plot", { role: "img", height: HEIGHT });
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = title;
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const now = make(inside, "line", "cf-now-line", { y1: 0, y2: height });
  const drawn = make(inside, "g");
  const x = scaleLinear(),
    y = scaleLog().range([height, 0]);
  let again = () => {},
    axesDrawn = "";

  function drawAxes(width) {
    const key = [width, ...x.domain(), ...y.domain()].join();
    if (key === axesDrawn) return;
    axesDrawn = key;
    select(axes[0]).call(
      axisBottom(x)
        .ticks(Math.min(5, width / 50))
        .tickSize(4)
        .tickSizeOuter(0),
    );
    const ticks = decades(y.domain(), 5);
    select(axes[1]).call(
      axisLeft(y)
        .tickValues(ticks)
        .tickFormat((v) => power(Math.round(Math.log10(v))))
        .tickSize(-width)
        .tickSizeOuter(0),
    );
  }

  return {
    node,
    resize(total) {
      node.setAttribute("width", total);
      x.range([0, total - MARGIN.left - MARGIN.right]);
      again();
    },
    /** `runs`: [{ color, above: Float64Array of losses above the floor }]; the axis spans what they take, up to `top`. */
    curves(runs, steps, step, top) {
      again = () => this.curves(runs, steps, step, top);
      const width = x.range()[1];
      if (width <= 1) return;
      const seen = runs.flatMap(({ above }) => Array.from(above)).filter((z) => z > SMALLEST && z < top);
      const low = 10 ** Math.floor(Math.log10(Math.min(top / 10, ...seen)));
      y.domain([low, 10 ** Math.ceil(Math.log10(Math.max(10 * low, ...seen)))]);
      x.domain([0, steps]);
      drawAxes(width);
      const places = Array.from({ length: steps + 1 }, (_, k) => x(k).toFixed(1));
      const curve = (above) => {
        let d = "";
        const end = Math.min(
          steps,
          above.findLastIndex((z) => Number.isFinite(z) && z < top),
        );
        for (let k = 0; k <= end; k++)
          d += `${k ? "L" : "M"}${places[k]},${y(Math.max(low, Math.min(top, above[k]))).toFixed(1)}`;
        return d;
      };
      select(drawn)
        .selectAll("path")
        .data(runs)
        .join((enter) => enter.append("path").attr("class", "cf-path"))
        .style("--rule", (r) => r.color)
        .attr("d", (r) => curve(r.above));
      for (const end of ["x1", "x2"]) now.setAttribute(end, x(step));
    },
  };
}
