// The surface as quiet contours, and on it the paths: a ring to drag, a line with fading dots, the current step.
import { axisBottom, axisLeft, contours, line, scaleLinear, select } from "./vendor/d3.js";
import { make, onArrows, onDrag, showChosen } from "./kit.js";

const MARGIN = { top: 8, right: 10, bottom: 26, left: 34 };
const CELLS = 110; // of the grid along x
const LEVELS = 14;

let clips = 0;

/** Loss on a grid over the domain: { values (row by row, from the top), columns, rows, highest }. */
export function grid(loss, [[x0, x1], [y0, y1]]) {
  const columns = CELLS, rows = Math.round((CELLS * (y1 - y0)) / (x1 - x0));
  const values = new Float64Array(columns * rows);
  let highest = -Infinity, lowest = Infinity;
  for (let j = 0, k = 0; j < rows; j++)
    for (let i = 0; i < columns; i++, k++) {
      const z = loss(x0 + ((i + 0.5) / columns) * (x1 - x0), y1 - ((j + 0.5) / rows) * (y1 - y0));
      values[k] = z;
      if (z > highest) highest = z;
      if (z < lowest) lowest = z;
    }
  return { values, columns, rows, highest, lowest };
}

/** Paths of the regions above each of some levels, evenly spaced in the logarithm of the loss above `floor`. */
function contourPaths({ values, columns, rows, highest }, floor, width, height) {
  const low = Math.log10(Math.max(1e-12, (highest - floor) * 10 ** -4.5)), high = Math.log10(Math.max(1e-12, highest - floor));
  const levels = Array.from({ length: LEVELS }, (_, k) => low + ((k + 0.5) / LEVELS) * (high - low));
  const logs = Array.from(values, (z) => Math.log10(Math.max(1e-300, z - floor)));
  const point = ([x, y]) => `${((x / columns) * width).toFixed(1)},${((y / rows) * height).toFixed(1)}`;
  return contours().size([columns, rows]).thresholds(levels)(logs)
    .map(({ coordinates }) => coordinates.flat().map((ring) => `M${ring.map(point).join("L")}Z`).join(""));
}

/**
 * A contour plot in `parent`. `moveStart([x, y])` is called when the reader drags, taps or uses the arrow keys.
 * Returns { resize(width), surface(grid, floor, minima), paths(runs, step, start), node }.
 */
export function contourPlot(parent, domain, moveStart) {
  const [[x0, x1], [y0, y1]] = domain;
  const x = scaleLinear([x0, x1], [0, 1]), y = scaleLinear([y0, y1], [1, 0]);
  const node = make(parent, "svg", "cf-contour-plot", { role: "img" });
  const clip = `cf-clip-${++clips}`;
  const clipRect = make(make(make(node, "defs"), "clipPath", "", { id: clip }), "rect");
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-back");
  const levels = make(inside, "g", "cf-contours");
  const crosses = make(inside, "g", "cf-minima");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const drawn = make(inside, "g", "", { "clip-path": `url(#${clip})` });
  const ring = make(inside, "g", "cf-start", { tabindex: 0, role: "slider", "aria-label": "Start point. Arrow keys move it." });
  make(ring, "circle", "cf-touch", { r: 20 });
  make(ring, "circle", "cf-ring", { r: 8 });
  const hint = make(ring, "text", "cf-hint", { y: -14, "text-anchor": "middle" });
  hint.textContent = "drag me";
  let width = 0, height = 0, last = null, shown = null;

  const at = (event) => {
    const box = back.getBoundingClientRect();
    return [x.invert(event.clientX - box.left), y.invert(event.clientY - box.top)];
  };
  const keep = ([a, b]) => [Math.min(x1, Math.max(x0, a)), Math.min(y1, Math.max(y0, b))].map((v) => +v.toPrecision(3));
  const move = (point) => { hint.remove(); moveStart(keep(point)); };
  onDrag(ring, (event) => move(at(event)));
  back.addEventListener("click", (event) => move(at(event)));
  onArrows(ring, (dx, dy) => shown && move([shown[0] + (dx * (x1 - x0)) / 200, shown[1] + (dy * (x1 - x0)) / 200]));

  function drawSurface() {
    if (!last || !width) return;
    const { cells, floor, minima } = last;
    select(levels).selectAll("path").data(contourPaths(cells, floor, width, height)).join("path").attr("d", (d) => d);
    select(crosses).selectAll("path").data(minima).join("path").attr("d", ([a, b]) => `M${x(a) - 5},${y(b)}h10M${x(a)},${y(b) - 5}v10`);
  }

  /** Where a path is seen last, in pixels. */
  function exit(points) {
    const seen = points.filter(([a, b]) => a >= x0 && a <= x1 && b >= y0 && b <= y1);
    const [a, b] = seen.at(-1) ?? points[0];
    return [x(a), y(b)];
  }

  return {
    node,
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      height = Math.round((width * (y1 - y0)) / (x1 - x0));
      x.range([0, width]);
      y.range([height, 0]);
      for (const [key, value] of [["width", total], ["height", height + MARGIN.top + MARGIN.bottom]]) node.setAttribute(key, value);
      for (const rect of [clipRect, back]) { rect.setAttribute("width", width); rect.setAttribute("height", height); }
      axes[0].setAttribute("transform", `translate(0,${height})`);
      select(axes[0]).call(axisBottom(x).ticks(Math.max(3, width / 80)).tickSize(4).tickSizeOuter(0));
      select(axes[1]).call(axisLeft(y).ticks(Math.max(3, height / 60)).tickSize(4).tickSizeOuter(0));
      drawSurface();
    },
    surface(cells, floor, minima) {
      last = { cells, floor, minima };
      drawSurface();
    },
    /** `runs`: [{ color, points: [[x, y], …], diverged }]; a run that diverged has points up to that step, the others -1. */
    paths(runs, step, start) {
      shown = start;
      const path = line((p) => x(p[0]).toFixed(1), (p) => y(p[1]).toFixed(1));
      select(drawn).selectAll("g").data(runs).join("g").each(function ({ color, points, diverged }) {
        const upto = points.slice(0, step + 1), gone = diverged >= 0 && step >= diverged, fade = Math.max(12, upto.length);
        const group = select(this).style("--rule", color);
        group.selectAll(".cf-path").data([upto]).join("path").attr("class", "cf-path").attr("d", path);
        group.selectAll(".cf-dot").data(upto.slice(1)).join("circle").attr("class", "cf-dot").attr("r", 2.2)
          .attr("cx", (p) => x(p[0]).toFixed(1)).attr("cy", (p) => y(p[1]).toFixed(1))
          .attr("opacity", (_, k) => (0.25 + (0.65 * (k + 1)) / fade).toFixed(2));
        group.selectAll(".cf-now").data(upto.slice(-1)).join("circle").attr("class", "cf-now").attr("r", 5)
          .attr("cx", (p) => x(p[0]).toFixed(1)).attr("cy", (p) => y(p[1]).toFixed(1));
        group.selectAll(".cf-gone").data(gone ? [exit(upto)] : []).join("text").attr("class", "cf-gone").text(`diverged at step ${diverged}`)
          .attr("x", ([a]) => Math.min(width - 130, Math.max(6, a + 8))).attr("y", ([, b]) => Math.min(height - 8, Math.max(16, b)));
      });
      ring.setAttribute("transform", `translate(${x(start[0])},${y(start[1])})`);
      ring.setAttribute("aria-valuetext", `x ${showChosen(start[0])}, y ${showChosen(start[1])}`);
      ring.setAttribute("aria-valuenow", start[0]);
    },
  };
}
