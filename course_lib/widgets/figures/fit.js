// Fit: the loss surface of a model with two parameters, beside its data. State: model, w, x, y, lr.
import { button, slider } from "../kit/controls.js";
import { FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { dataPlot } from "./fit_data.js";
import { load, make, onNextFrame, onResize, put, show, showChosen } from "../kit/kit.js";
import { localMinima } from "./fit_minima.js";

const MOVING = 56; // cells along θ₀ while a data point is dragged
const REST = 150; // ms without a change, then the surface is drawn finely
const FAR = 1e4; // a parameter beyond has left for good
const ARROW = 36; // pixels that the gradient's direction takes at least
const FLAT = 1e-9; // a gradient too short to have a direction
const MANY = 50; // steps of the second button
const TRAITS = ["model", "w", "x", "y", "lr"];
const COLOR = "var(--cf-rule-gradient_descent)";

/** @typedef {{ name: string, w: number[], x: number[], y: number[], domain: number[][] }} Example */

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const example = () => spec.models.find((one) => one.name === model.get("model"));
  const root = make(el, "div", "cf", { role: "group", "aria-label": "A model, its data and its loss surface" });
  const columns = make(root, "div", "cf-grid cf-halves");
  const left = make(columns, "div"),
    right = make(columns, "div");
  const choices = modelButtons(left, spec.models, (one) =>
    put(model, { model: one.name, w: one.w, x: one.x, y: one.y, lr: one.lr }),
  );
  const number = headline(right);
  const plotBox = make(left, "div"),
    dataBox = make(right, "div");
  spec.controls.forEach((control) => slider(left, model, control));
  const data = dataPlot(dataBox, (k, x, y) =>
    put(model, { x: replaced(model.get("x"), k, x), y: replaced(model.get("y"), k, y) }),
  );
  const buttons = make(right, "div", "cf-buttons");
  button(buttons, "1 step", "One step of gradient descent: θ − η∇J(θ)", () => walk(1));
  button(buttons, `${MANY} steps`, `${MANY} steps of gradient descent`, () => walk(MANY));
  button(buttons, "Reset", "Back to the start", () => {
    trail = [];
    put(model, spec.initial);
  });

  const arguments_ = (w) => [...w, ...model.get("x"), ...model.get("y")];
  const call = (name, w, ...more) => code[`${model.get("model")}_${name}`](...arguments_(w), ...more);
  const predict = (x) => code[`${model.get("model")}_predict`](x, ...model.get("w"));
  const at = (w) => {
    const [loss, a, b, length, u, v] = call("at", w, model.get("lr"));
    return { loss, gradient: [a, b], length, next: [u, v] };
  };
  let surface = null,
    width = 0,
    drawn = "",
    trail = [],
    framed = "",
    refine = 0;

  /** Steps against the gradient, as far as numbers go. */
  function walk(steps) {
    follow();
    for (let k = 0; k < steps; k++) {
      const { next } = at(trail.at(-1));
      if (!next.every((v) => Math.abs(v) < FAR)) break;
      trail.push(next);
    }
    surface.seen();
    put(model, { w: trail.at(-1) });
  }

  /** The trail ends where θ is: where something else moved θ, a new one begins. */
  function follow() {
    const w = model.get("w"),
      last = trail.at(-1);
    if (!last || last[0] !== w[0] || last[1] !== w[1]) trail = [w];
  }

  /** A plot of its own for each model, as each has its own domain. */
  function plotOf({ name, domain }) {
    if (surface?.name === name) return;
    plotBox.replaceChildren();
    surface = { name, domain, ...parameterPlot(plotBox, domain, (w) => put(model, { w })) };
    if (width) surface.plot.resize(width);
    drawn = "";
  }

  function drawSurface() {
    const key = JSON.stringify([model.get("model"), model.get("x"), model.get("y")]);
    if (drawn === key) return;
    clearTimeout(refine);
    const moving = drawn !== "";
    if (moving) refine = setTimeout(() => contour(FINE), REST);
    contour(moving ? MOVING : FINE);
    drawn = key;
  }

  function contour(cells) {
    const loss = (a, b) => call("loss", [a, b]),
      levels = grid(loss, surface.domain, cells);
    const minima = localMinima(levels, surface.domain, loss, (a, b) => at([a, b]).gradient);
    surface.plot.surface(byArea(levels), 0, minima);
    surface.label(minima.map((point) => ({ point, loss: loss(...point) })));
  }

  function draw() {
    const one = example(),
      w = model.get("w"),
      x = model.get("x"),
      y = model.get("y");
    plotOf(one);
    choices(one.name);
    drawSurface();
    if (framed !== one.name || !data.holds(x, y)) data.frame([...one.x, ...x], [...one.y, ...y]);
    framed = one.name;
    follow();
    const state = at(w),
      gone = !state.next.every((v) => Math.abs(v) < FAR);
    surface.draw(trail, state);
    data.draw(x, y, predict);
    const words = number(state, gone);
    surface.plot.node.setAttribute(
      "aria-label",
      `Loss surface of the model ${one.name}. At θ ${showChosen(w[0])}, ${showChosen(w[1])}: ${words}.`,
    );
    data.node.setAttribute(
      "aria-label",
      `${x.length} data points and the model's curve at θ ${showChosen(w[0])}, ${showChosen(w[1])}.`,
    );
  }

  const ask = onNextFrame(draw);
  TRAITS.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(plotBox, (wide) => {
      width = wide;
      surface?.plot.resize(wide);
      draw();
    }),
    onResize(dataBox, (wide) => {
      data.resize(wide);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    clearTimeout(refine);
    TRAITS.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/**
 * The grid as contour_plot wants it, so that its levels enclose areas which grow as the squares of 1, 2, 3, …: ellipses at equal
 * distances in a bowl, and also on a plateau with dents every contour has something to say.
 */
function byArea(cells) {
  const order = Float64Array.from(cells.values).sort(),
    values = new Float64Array(cells.values.length);
  const rank = new Map();
  order.forEach((z, k) => rank.has(z) || rank.set(z, Math.sqrt(k / order.length)));
  cells.values.forEach((z, k) => (values[k] = 10 ** (4 * rank.get(z) - 4)));
  return { ...cells, values, highest: 1, lowest: 0 };
}

const replaced = (values, k, value) => values.map((old, i) => (i === k ? value : old));

/** Buttons that choose a model; returns a function that marks the chosen one. */
function modelButtons(parent, models, choose) {
  const box = make(parent, "div", "cf-buttons cf-models", { role: "group", "aria-label": "Model" });
  box.hidden = models.length < 2;
  const all = models.map((one) => button(box, one.name, `The model ${one.name} with its data`, () => choose(one)));
  return (name) => all.forEach((b) => b.setAttribute("aria-pressed", b.textContent === name));
}

/** The loss, large, and the gradient; returns a function of the state that gives the words. */
function headline(parent) {
  const box = make(parent, "div", "cf-result cf-fit-result", { role: "status" });
  box.style.setProperty("--rule", COLOR);
  make(box, "span", "cf-label").textContent = "loss J(θ)";
  const loss = make(box, "span", "cf-number"),
    gradient = make(box, "span", "cf-note"),
    length = make(box, "span", "cf-note");
  return (state, gone) => {
    const [a, b] = state.gradient.map(show);
    loss.textContent = show(state.loss);
    gradient.textContent = `∇J = (${a}, ${b})`;
    length.textContent = gone ? "the next step leaves for good" : `‖∇J‖ = ${show(state.length)}`;
    return `loss ${show(state.loss)}, gradient ${a}, ${b}, of length ${show(state.length)}`;
  };
}

/** The contour plot with the direction and the length of one step and the loss at each minimum: { plot, draw(trail, state), label(minima), seen() }. */
function parameterPlot(parent, domain, choose) {
  const plot = contourPlot(parent, domain, choose);
  const inside = plot.node.querySelector(".cf-back").parentNode,
    ring = inside.querySelector(".cf-start");
  ring.setAttribute("aria-label", "Parameters θ. Arrow keys move them.");
  const words = make(inside, "g", "cf-words"),
    arrows = make(inside, "g", "", { "clip-path": inside.querySelector(".cf-contours").getAttribute("clip-path") });
  const arrow = make(arrows, "path", "cf-arrow"),
    step = make(arrows, "path", "cf-step");
  ring.before(words, arrows);
  arrows.style.setProperty("--rule", COLOR);
  const names = ["θ₀", "θ₁"].map((text) => Object.assign(make(inside, "text", "cf-title"), { textContent: text }));
  const [[x0, x1], [y0, y1]] = domain;
  let labels = [],
    last = null;
  const size = () => ["width", "height"].map((side) => +plot.node.querySelector(".cf-back").getAttribute(side));
  const pixel = ([a, b]) => {
    const [w, h] = size();
    return [((a - x0) / (x1 - x0)) * w, ((y1 - b) / (y1 - y0)) * h];
  };

  function drawLabels() {
    words.replaceChildren();
    for (const { point, loss } of labels) {
      const [a, b] = pixel(point),
        left = a > size()[0] - 62;
      make(words, "text", "cf-minimum", {
        x: a + (left ? -7 : 7),
        y: Math.max(12, b - 5),
        "text-anchor": left ? "end" : "start",
      }).textContent = show(loss);
    }
  }

  const own = {
    plot: {
      ...plot,
      resize(total) {
        plot.resize(total);
        const [w, h] = size();
        names.forEach((text, k) => place(text, k, w, h));
        drawLabels();
        if (last) own.draw(...last);
      },
    },
    seen: () => ring.querySelector(".cf-hint")?.remove(),
    label(minima) {
      labels = minima;
      drawLabels();
    },
    draw(trail, state) {
      last = [trail, state];
      const w = trail.at(-1),
        kept = [Math.min(x1, Math.max(x0, w[0])), Math.min(y1, Math.max(y0, w[1]))];
      plot.paths([{ color: COLOR, points: trail, diverged: -1 }], trail.length - 1, kept);
      ring.classList.toggle("cf-outside", kept[0] !== w[0] || kept[1] !== w[1]);
      ring.setAttribute("aria-valuetext", `θ₀ ${showChosen(w[0])}, θ₁ ${showChosen(w[1])}`);
      const line = state.length > FLAT ? arrowPaths(pixel(w), pixel(state.next), size()) : ["", ""];
      [arrow, step].forEach((path, k) => path.setAttribute("d", line[k]));
    },
  };
  return own;
}

function place(text, k, width, height) {
  for (const [name, value] of Object.entries(
    k ? { x: 6, y: 14 } : { x: width - 6, y: height - 6, "text-anchor": "end" },
  ))
    text.setAttribute(name, value);
}

/** In pixels: an arrow against the gradient, at least ARROW long, and the step from one place to the other on it. */
function arrowPaths([a, b], [c, d], [width, height]) {
  const length = Math.hypot(c - a, d - b);
  if (!(length > 0) || a < 0 || b < 0 || a > width || b > height) return ["", ""];
  const [u, v] = [(c - a) / length, (d - b) / length],
    step = Math.min(length, width + height),
    reach = Math.max(ARROW, step);
  const at = (far, aside = 0) => `${(a + u * far - v * aside).toFixed(1)},${(b + v * far + u * aside).toFixed(1)}`;
  return [`M${at(0)}L${at(reach)}M${at(reach - 8, 4)}L${at(reach)}L${at(reach - 8, -4)}`, `M${at(0)}L${at(step)}`];
}
