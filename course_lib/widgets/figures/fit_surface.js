// The loss surface of Fit: contours that enclose areas, the minima with their losses, the direction and the length of
// one step.
import { contourPlot } from "../kit/contour_plot.js";
import { make, set, show, showChosen, write } from "../kit/kit.js";
import { localMinima } from "./fit_minima.js";

export const COLOR = "var(--cf-rule-gradient_descent)";
const NAMES = ["θ₀", "θ₁"];
const MOVING = 56; // cells along θ₀ while a data point is dragged
const ARROW = 36; // pixels that the gradient's direction takes at least
const FLAT = 1e-9; // a gradient too short to have a direction

/**
 * The plot in `parent`: contourPlot's parts, with contours(key, { loss, newton }) and draw(trail, state) of its own.
 */
export function parameterPlot(parent, domain, choose) {
  const plot = contourPlot(parent, domain, choose, "Parameters θ. Arrow keys move them.", NAMES);
  const [[x0, x1], [y0, y1]] = domain;
  const words = plot.layer("cf-words", "ring", false);
  const arrows = plot.layer("", "ring");
  const marks = ["cf-arrow", "cf-step"].map((name) => make(arrows, "path", name));
  arrows.style.setProperty("--rule", COLOR);
  let labels = [];
  let last = null;

  function drawLabels() {
    words.replaceChildren();
    for (const { point, loss } of labels) {
      const [a, b] = plot.pixel(point);
      const left = a > plot.size()[0] - 62;
      const place = { x: a + (left ? -7 : 7), y: Math.max(12, b - 5), "text-anchor": left ? "end" : "start" };
      write(words, "text", "cf-minimum", show(loss), place);
    }
  }

  function draw(trail, state) {
    last = [trail, state];
    const w = trail.at(-1);
    const kept = [Math.min(x1, Math.max(x0, w[0])), Math.min(y1, Math.max(y0, w[1]))];
    plot.paths([{ color: COLOR, points: trail, diverged: -1 }], trail.length - 1, kept);
    plot.handle.node.classList.toggle("cf-outside", !plot.inside(w));
    set(plot.handle.node, { "aria-valuetext": `θ₀ ${showChosen(w[0])}, θ₁ ${showChosen(w[1])}` });
    const paths = state.length > FLAT ? arrowPaths(plot.pixel(w), plot.pixel(state.next), plot.size()) : ["", ""];
    marks.forEach((path, k) => set(path, { d: paths[k] }));
  }

  return {
    ...plot,
    draw,
    resize(total) {
      plot.resize(total);
      drawLabels();
      if (last) draw(...last);
    },
    contours(key, { loss, newton }) {
      const see = (cells) => {
        const minima = localMinima(cells, domain, loss, newton);
        labels = minima.map((point) => ({ point, loss: loss(...point) }));
        drawLabels();
        return { cells: byArea(cells), minima };
      };
      plot.surface(key, loss, { floor: 0, coarse: MOVING, see });
    },
  };
}

/**
 * The grid as contourPlot wants it, so that its levels enclose areas which grow as the squares of 1, 2, 3, …: ellipses
 * at equal distances in a bowl, and also on a plateau with dents every contour has something to say.
 */
function byArea(cells) {
  const order = Float64Array.from(cells.values).sort();
  const rank = new Map();
  order.forEach((z, k) => rank.has(z) || rank.set(z, Math.sqrt(k / order.length)));
  return { ...cells, values: cells.values.map((z) => 10 ** (4 * rank.get(z) - 4)), highest: 1, lowest: 0 };
}

/** In pixels: an arrow against the gradient, at least ARROW long, and the step from one place to the other on it. */
function arrowPaths([a, b], [c, d], [width, height]) {
  const length = Math.hypot(c - a, d - b);
  if (!(length > 0) || a < 0 || b < 0 || a > width || b > height) return ["", ""];
  const [u, v] = [(c - a) / length, (d - b) / length];
  const step = Math.min(length, width + height);
  const reach = Math.max(ARROW, step);
  const at = (far, aside = 0) => `${(a + u * far - v * aside).toFixed(1)},${(b + v * far + u * aside).toFixed(1)}`;
  return [`M${at(0)}L${at(reach)}M${at(reach - 8, 4)}L${at(reach)}L${at(reach - 8, -4)}`, `M${at(0)}L${at(step)}`];
}
