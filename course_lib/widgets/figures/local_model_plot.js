// The contours of a loss, over them those of its quadratic model at one point, which fade with the distance, and steps
// as arrows.
import { contours, select } from "../kit/vendor/d3.js";
import { contourPlot } from "../kit/contour_plot.js";
import { make, showChosen, uniqueId } from "../kit/kit.js";

const CELLS = 80,
  ROUND = 52; // of the model's grid along a side, in the picture and about an ellipse
const RINGS = 5; // level curves on each side of the stationary point's level
const NEAR = 0.06; // how far apart they are at least, as a share of the picture
const REACH = 0.36; // where they have faded, as a share of the picture
const HEAD = 9; // pixels of an arrow's head

/**
 * A plot of the surface `one` in `parent`; `choose([x, y])` is called when the reader moves the point.
 * Returns contourPlot's parts, with draw({ w, trail, now, arrows, model }) of its own.
 */
export function modelPlot(parent, one, loss, choose) {
  const plot = contourPlot(parent, one.domain, choose, "The point θ. Arrow keys move it.");
  const [[x0, x1], [y0, y1]] = one.domain;
  plot.surface(one.name, loss, { minima: one.minima });
  const id = uniqueId("fade");
  const fade = fading(plot.node.querySelector("defs"), id);
  const layer = plot.layer("cf-model", "ring");
  const faded = make(layer, "g", "", { mask: `url(#${id})` });
  const curves = make(faded, "g", "cf-model-curves");
  const through = make(faded, "path", "cf-model-through");
  const cross = make(layer, "path", "cf-model-flat");
  const over = plot.layer();
  const { pixel, inside: within } = plot;
  const ring = plot.handle.node;
  let last = null;

  function drawModel({ w, now, model }) {
    const part = frameOf(now, w, one.domain),
      { cells, place, sign } = part;
    const values = new Float64Array(cells * cells),
      [w0, w1] = w;
    for (let j = 0, k = 0; j < cells; j++)
      for (let i = 0; i < cells; i++, k++) {
        const [a, b] = place((i + 0.5) / cells, (j + 0.5) / cells);
        values[k] = sign * model(w0, w1, a - w0, b - w1);
      }
    const tenth = (v) => Math.round(v * 10) / 10; // faster than toFixed
    const point = ([i, j]) => {
      const [x, y] = pixel(place(i / cells, j / cells));
      return `${tenth(x)},${tenth(y)}`;
    };
    const path = ({ coordinates }) =>
      coordinates
        .flat()
        .map((line) => `M${line.map(point).join("L")}Z`)
        .join("");
    const drawn = contours()
      .size([cells, cells])
      .thresholds(part.levels.map((z) => sign * z).sort((a, b) => a - b))(values)
      .map(path);
    select(curves)
      .selectAll("path")
      .data(drawn)
      .join("path")
      .attr("d", (d) => d);
    through.setAttribute(
      "d",
      part.through
        ? path(
            contours()
              .size([cells, cells])
              .contour(values, sign * now.loss),
          )
        : "",
    );
    const [cx, cy] = pixel(w);
    const [fx, fy] = pixel(now.stationary);
    const [width, height] = plot.size();
    const flat = now.kind !== "singular" && within(now.stationary);
    fade(cx, cy, Math.max(REACH * width, flat ? 1.3 * Math.hypot(fx - cx, fy - cy) : 0), width, height);
    cross.setAttribute("d", flat ? `M${fx - 5},${fy - 5}l10,10M${fx - 5},${fy + 5}l10,-10` : "");
  }

  function draw(state) {
    last = state;
    if (!plot.size()[0]) return;
    const { w, trail, arrows } = state;
    const kept = [Math.min(x1, Math.max(x0, w[0])), Math.min(y1, Math.max(y0, w[1]))];
    plot.paths([{ color: "var(--cf-fg)", points: [...trail, w], diverged: -1 }], trail.length, kept);
    ring.classList.toggle("cf-outside", !within(w));
    ring.setAttribute("aria-valuetext", `x ${showChosen(w[0])}, y ${showChosen(w[1])}`);
    drawModel(state);
    select(over)
      .selectAll("path")
      .data(arrows)
      .join("path")
      .attr("class", "cf-jump")
      .style("--rule", (a) => a.color)
      .attr("data-step", (a) => a.name)
      .attr("d", (a) => (a.end ? arrow(pixel(w), pixel(a.end)) : ""));
  }

  return {
    ...plot,
    draw,
    resize(total) {
      plot.resize(total);
      if (last) draw(last);
    },
  };
}

/**
 * Which levels of the model are drawn, and the window in which they are sought: `place(u, v)` for u and v from 0 to 1.
 * Ellipses about a stationary point have a window along their axes, so that the thinnest one is as round in it as a
 * circle; hyperbolas, and curves whose center is far away, have the picture.
 */
function frameOf(
  { loss, slope, kind, curvatures, axis: [ex, ey], stationary: [cx, cy], stationary_loss },
  w,
  [[x0, x1], [y0, y1]],
) {
  const [small, large] = curvatures.map(Math.abs).sort((a, b) => a - b),
    size = x1 - x0;
  const bend = Math.sqrt(Math.max(small * large, 1e-4 * large * large)),
    least = (bend * (NEAR * size) ** 2) / 2;
  const rings = Array.from({ length: RINGS }, (_, k) => k + 1),
    place = (u, v) => [x0 + u * (x1 - x0), y1 - v * (y1 - y0)];
  if (kind === "singular" || Math.hypot(cx - w[0], cy - w[1]) > size) {
    const gap = slope * NEAR * size + least;
    return {
      levels: rings.flatMap((k) => [loss - k * gap, loss + k * gap]),
      cells: CELLS,
      place,
      sign: 1,
      through: true,
    };
  }
  const gap = Math.max(Math.abs(loss - stationary_loss) / 9, least),
    sides = { minimum: [1], maximum: [-1], saddle: [1, -1] }[kind];
  const levels = sides.flatMap((side) => rings.map((k) => stationary_loss + side * gap * k * k));
  if (kind === "saddle") return { levels, cells: CELLS, place, sign: 1, through: true };
  const [q, p] = curvatures.map((h) => 1.06 * RINGS * Math.sqrt((2 * gap) / Math.abs(h))); // half of the window's sides
  const along = (u, v) => [(2 * u - 1) * p, (2 * v - 1) * q];
  return {
    levels,
    cells: ROUND,
    sign: -sides[0],
    through: Math.abs(loss - stationary_loss) > gap / 9, // a ring of less than two cells has corners
    place(u, v) {
      const [a, b] = along(u, v);
      return [cx + a * ex - b * ey, cy + a * ey + b * ex];
    },
  };
}

/** A mask that shows all at a point and little far from it; returns a function that moves it. */
function fading(defs, id) {
  const gradient = make(defs, "radialGradient", "", { id: `${id}-shade`, gradientUnits: "userSpaceOnUse" });
  for (const [offset, shade] of [
    [0, 1],
    [0.55, 0.85],
    [1, 0.16],
  ])
    make(gradient, "stop", "", { offset, "stop-color": "#fff", "stop-opacity": shade });
  const mask = make(defs, "mask", "", { id, maskUnits: "userSpaceOnUse", x: 0, y: 0 });
  const rect = make(mask, "rect", "", { fill: `url(#${id}-shade)` });
  return (cx, cy, r, width, height) => {
    for (const [name, value] of Object.entries({ cx, cy, r })) gradient.setAttribute(name, value);
    for (const node of [mask, rect]) {
      node.setAttribute("width", width);
      node.setAttribute("height", height);
    }
  };
}

/** From one place to the other, in pixels; what is far outside is cut, as browsers do not draw numbers without end. */
function arrow([a, b], [c, d]) {
  const length = Math.hypot(c - a, d - b);
  if (!(length > 0.05)) return "";
  const [u, v] = [(c - a) / length, (d - b) / length],
    end = Math.min(length, 1e4),
    head = Math.min(HEAD, 0.6 * length);
  const at = (far, aside = 0) => `${(a + u * far - v * aside).toFixed(1)},${(b + v * far + u * aside).toFixed(1)}`;
  return `M${at(0)}L${at(end)}M${at(end - head, 0.5 * head)}L${at(end)}L${at(end - head, -0.5 * head)}`;
}
