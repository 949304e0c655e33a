// The surface as quiet contours, and on it the paths: a ring to drag, a line with fading dots, the current step.
import { axisBottom, axisLeft, contours, scaleLinear, select } from "./vendor/d3.js";
import { handle } from "./handle.js";
import { make, set, showChosen, uniqueId, write } from "./kit.js";

const MARGIN = { top: 24, right: 10, bottom: 26, left: 38 };
const FINE = 220; // cells of the grid along x: fewer tear the floor of a narrow valley to pieces
const COARSE = 28; // while the surface changes from frame to frame
const REST = 150; // ms without a change, then the contours are drawn finely
const LEVELS = 14;
const LOWEST = 4e-4; // of the highest loss in the picture, where the levels begin
const KEY = 56; // pixels of the legend's strip
const NARROW = 250; // pixels of a plot whose legend has numbers alone
const SHADES = 6; // of the dots along a path

/**
 * Loss on a grid over the domain, `columns` wide: { values (row by row, from the top), columns, rows, highest, lowest
 * }.
 */
export function grid(loss, [[x0, x1], [y0, y1]], columns) {
  const rows = Math.round((columns * (y1 - y0)) / (x1 - x0));
  const values = new Float64Array(columns * rows);
  let highest = -Infinity,
    lowest = Infinity;
  for (let j = 0, k = 0; j < rows; j++)
    for (let i = 0; i < columns; i++, k++) {
      const z = loss(x0 + ((i + 0.5) / columns) * (x1 - x0), y1 - ((j + 0.5) / rows) * (y1 - y0));
      values[k] = z;
      if (z > highest) highest = z;
      if (z < lowest) lowest = z;
    }
  return { values, columns, rows, highest, lowest };
}

/** The ends of the levels, as logarithms. */
const levelEnds = ({ highest }, floor) =>
  [LOWEST, 1].map((share) => Math.log10(Math.max(1e-12, (highest - floor) * share)));

/** Paths of the regions above each of some levels, evenly spaced in the logarithm of the loss above `floor`. */
function contourPaths(cells, floor, width, height) {
  const { values, columns, rows } = cells;
  const [low, high] = levelEnds(cells, floor);
  const levels = Array.from({ length: LEVELS }, (_, k) => low + ((k + 0.5) / LEVELS) * (high - low));
  const logs = Array.from(values, (z) => Math.log10(Math.max(1e-300, z - floor)));
  const point = ([x, y]) =>
    // faster than toFixed
    `${Math.round((x / columns) * width * 10) / 10},${Math.round((y / rows) * height * 10) / 10}`;
  return contours()
    .size([columns, rows])
    .thresholds(levels)(logs)
    .map(({ coordinates }) =>
      coordinates
        .flat()
        .map((ring) => `M${ring.map(point).join("L")}Z`)
        .join(""),
    );
}

/**
 * The marks of one run: the path, its dots from the faintest to the darkest, the current step, words where it diverged.
 * They are made once and then changed: a few elements, and one element for each shade of dots, so that a redraw is
 * short.
 */
function runMarks(parent) {
  const node = make(parent, "g");
  const path = make(node, "path", "cf-path");
  const shades = Array.from({ length: SHADES }, (_, s) =>
    make(node, "path", "cf-dots", { opacity: 0.25 + (0.65 * (s + 1)) / SHADES }),
  );
  const now = make(node, "circle", "cf-now", { r: 5 }),
    gone = make(node, "text", "cf-gone");
  return {
    remove: () => node.remove(),
    /**
     * `places`: "x,y" in pixels for each step up to the current one; `end`: where the words go, if there are any;
     * `name`: a class.
     */
    draw(color, places, words, end, name) {
      node.setAttribute("class", name);
      node.style.setProperty("--rule", color);
      path.setAttribute("d", `M${places.join("L")}`);
      const dots = shades.map(() => ""),
        count = Math.max(12, places.length);
      for (let k = 1; k < places.length; k++) dots[Math.floor(((k - 1) * SHADES) / count)] += `M${places[k]}h0`;
      shades.forEach((shade, s) => shade.setAttribute("d", dots[s]));
      const [x, y] = places.at(-1).split(",");
      now.setAttribute("cx", x);
      now.setAttribute("cy", y);
      gone.textContent = words;
      if (words) for (const [k, name] of ["x", "y"].entries()) gone.setAttribute(name, end[k]);
    },
  };
}

/** The legend above a plot: a strip from low, which is bright in every theme, to high; returns { place(width), show(ends) }. */
function levelKey(parent) {
  const node = make(parent, "g", "cf-level-key");
  let narrow = false;
  const ends = ["end", "start"].map((anchor) => write(node, "text", "cf-title", "", { y: 12, "text-anchor": anchor }));
  const strip = make(node, "g", "cf-contours");
  make(strip, "rect", "cf-lowest", { x: 0, y: 3, width: KEY, height: 10 });
  for (let k = 1; k <= LEVELS; k++) {
    const x = (k / (LEVELS + 1)) * KEY;
    make(strip, "path", "", { d: `M${x},3H${KEY}v10H${x}Z` });
  }
  return {
    place(right) {
      narrow = right < NARROW;
      const left = right - (narrow ? 46 : 86) - KEY;
      strip.setAttribute("transform", `translate(${left},0)`);
      set(ends[0], { x: left - 5 });
      set(ends[1], { x: left + KEY + 5 });
    },
    show([low, high]) {
      ends[0].textContent = `${narrow ? "" : "loss: low, "}${showShort(10 ** low)}`;
      ends[1].textContent = `${showShort(10 ** high)}${narrow ? "" : ", high"}`;
    },
  };
}

/** A number of one digit, for a level that nobody reads closer. */
const showShort = (z) => showChosen(+z.toPrecision(1));

/**
 * A contour plot in `parent`. `moveStart([x, y])` is called when the reader drags, taps or uses the arrow keys; `label`
 * names the ring that is dragged, `names` the axes. Returns { node, resize(width), surface(key, loss, more), paths(runs, step, start),
 * layer(name, under), pixel(point), size(), at(event), inside(point), handle, seen(), close(), say(words) }.
 */
export function contourPlot(parent, domain, moveStart, label = "Start point. Arrow keys move it.", names = ["x", "y"]) {
  const [[x0, x1], [y0, y1]] = domain;
  const x = scaleLinear([x0, x1], [0, 1]);
  const y = scaleLinear([y0, y1], [1, 0]);
  const node = make(parent, "svg", "cf-contour-plot", { role: "group" });
  const clip = uniqueId("clip");
  // the contours' outer edge stays out
  const clipRect = make(make(make(node, "defs"), "clipPath", "", { id: clip }), "rect", "", { x: 1, y: 1 });
  const whole = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(whole, "rect", "cf-back");
  const levels = make(whole, "g", "cf-contours", { "clip-path": `url(#${clip})` });
  const crosses = make(whole, "g", "cf-minima");
  const axes = [make(whole, "g", "cf-axis"), make(whole, "g", "cf-axis")];
  const titles = names.map((name) => write(whole, "text", "cf-title cf-axis-name", name));
  const legend = levelKey(node);
  const drawn = make(whole, "g", "", { "clip-path": `url(#${clip})` });
  const at = (event) => {
    const box = back.getBoundingClientRect();
    return [x.invert(event.clientX - box.left), y.invert(event.clientY - box.top)];
  };
  const ring = handle(whole, {
    label,
    drag: (event) => move(at(event)),
    arrows: (dx, dy) => shown && move([shown[0] + (dx * (x1 - x0)) / 200, shown[1] + (dy * (x1 - x0)) / 200]),
  });
  const hint = write(ring.node, "text", "cf-hint", "drag me", { y: -14, "text-anchor": "middle" });
  const marks = [];
  let width = 0;
  let height = 0;
  let last = null;
  let shown = null;
  let refine = 0;

  /** The nearest point of the picture, with the digits that a reader reads. */
  const keep = ([a, b]) => [Math.min(x1, Math.max(x0, a)), Math.min(y1, Math.max(y0, b))].map((v) => +v.toPrecision(3));
  const move = (point) => {
    hint.remove();
    moveStart((shown = keep(point))); // at once: keys may come faster than frames
  };
  const pixel = ([a, b]) => [x(a), y(b)];
  const inside = ([a, b]) => a >= x0 && a <= x1 && b >= y0 && b <= y1;
  back.addEventListener("click", (event) => move(at(event)));

  function drawSurface() {
    if (!last || !width) return;
    const { cells, floor, minima } = last;
    legend.show(levelEnds(cells, floor));
    select(levels)
      .selectAll("path")
      .data(contourPaths(cells, floor, width, height))
      .join("path")
      .attr("d", (d) => d);
    select(crosses)
      .selectAll("path")
      .data(minima)
      .join("path")
      .attr("d", ([a, b]) => `M${x(a) - 5},${y(b)}h10M${x(a)},${y(b) - 5}v10`);
  }

  /** Where words about a path stand, in pixels: beside the last point of it that is seen. */
  function exit(points) {
    const [a, b] = pixel(points.filter(inside).at(-1) ?? points[0]);
    return [Math.min(width - 130, Math.max(6, a + 8)), Math.min(height - 8, Math.max(16, b))];
  }

  return {
    node,
    handle: ring,
    domain,
    pixel,
    inside,
    at,
    keep,
    size: () => [width, height],
    say: (words) => node.setAttribute("aria-label", words),
    seen: () => hint.remove(),
    close() {
      clearTimeout(refine);
      node.remove();
    },
    /** A group over the contours and inside the frame, below the "minima", the "ring", or nothing; `clipped` or not. */
    layer(name = "", under = "", clipped = true) {
      const layer = make(whole, "g", name, clipped ? { "clip-path": `url(#${clip})` } : {});
      if (under) whole.insertBefore(layer, { minima: crosses, ring: ring.node }[under]);
      return layer;
    },
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      height = Math.round((width * (y1 - y0)) / (x1 - x0));
      x.range([0, width]);
      y.range([height, 0]);
      set(node, { width: total, height: height + MARGIN.top + MARGIN.bottom });
      set(clipRect, { width: width - 2, height: height - 2 });
      set(back, { width, height });
      legend.place(total - MARGIN.right);
      set(titles[0], { x: width - 6, y: height - 6, "text-anchor": "end" });
      set(titles[1], { x: 6, y: 15 });
      set(axes[0], { transform: `translate(0,${height})` });
      const ticks = [axisBottom(x).ticks(Math.max(3, width / 80)), axisLeft(y).ticks(Math.max(3, height / 60))];
      ticks.forEach((axis, k) => select(axes[k]).call(axis.tickSize(4).tickSizeOuter(0)));
      drawSurface();
    },
    /**
     * The contours of `loss(x, y)`: where `key` is new, coarse at once while it changes, fine when it rests. `minima`
     * are crosses; levels start above `floor`: the loss at the first of them, or the least in the picture if that is
     * below 0. `see(cells)` may return other cells, minima and floor for the grid. Returns { floor, top }: a run above
     * `top` is lost.
     */
    surface(key, loss, { minima = [], floor, coarse = COARSE, see = (cells) => ({ cells }) } = {}) {
      if (last?.key === key) return last;
      clearTimeout(refine);
      const fill = (columns) => {
        const cells = grid(loss, domain, columns);
        const ground = floor ?? (minima.length ? loss(...minima[0]) : Math.min(0, cells.lowest));
        last = { key, minima, floor: ground, top: 10 * (cells.highest - ground), cells, ...see(cells) };
        drawSurface();
        return last;
      };
      if (last) refine = setTimeout(() => fill(FINE), REST);
      return fill(last ? coarse : FINE);
    },
    /**
     * `runs`: [{ color, points: [[x, y], …], diverged }]; a run that diverged has points up to that step, the others
     * -1.
     */
    paths(runs, step, start) {
      shown = start;
      while (marks.length < runs.length) marks.push(runMarks(drawn));
      marks.splice(runs.length).forEach((mark) => mark.remove());
      runs.forEach(({ color, points, diverged, name = "" }, k) => {
        const upto = points.slice(0, step + 1);
        const gone = diverged >= 0 && step >= diverged;
        const places = upto.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`);
        marks[k].draw(color, places, gone ? `diverged at step ${diverged}` : "", gone && exit(upto), name);
      });
      ring.place(x(start[0]), y(start[1]), `x ${showChosen(start[0])}, y ${showChosen(start[1])}`, start[0]);
    },
  };
}
