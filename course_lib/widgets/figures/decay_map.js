// DecayMap: recorded losses of real networks over (weight decay, learning rate), for two rules side by side.
import { axisBottom, axisLeft, interpolateViridis, line, scaleLog, select } from "../kit/vendor/d3.js";
import { button } from "../kit/controls.js";
import { decayGrid } from "./decay_map_grid.js";
import { make, onNextFrame, onResize, put, show, showChosen } from "../kit/kit.js";

const VIEWS = { validation: "validation loss", training: "training loss", norm: "norm of the weights" };
const LOWEST = 0.01; // a loss below it is drawn as the brightest
const TICKS = [1, 1.2, 1.5, 2, 3, 5]; // times powers of ten, as long as they leave room
const AXES = { decay: "λ", product: "η · λ" };
const PLOT = { height: 150, top: 18, right: 10, bottom: 26, left: 40 };
const SHADES = Array.from({ length: 256 }, (_, k) =>
  interpolateViridis(1 - k / 255)
    .match(/\w\w/g)
    .map((hex) => parseInt(hex, 16)),
);

/** What a view colors: the value at the end of training. */
const VALUES = {
  validation: (map, i, j) => map.val[i][j].at(-1),
  training: (map, i, j) => map.train[i][j],
  norm: (map, i, j) => map.norm[i][j].at(-1),
};

export function render({ model, el }) {
  const spec = model.get("spec"),
    pairs = spec.pairs;
  const root = make(el, "div", "cf cf-decay", {
    role: "group",
    "aria-label": "Losses over weight decay and learning rate",
  });
  const bar = make(root, "div", "cf-buttons cf-decay-bar");
  const choice = (trait, values, label) => {
    const group = make(bar, "div", "cf-decay-choice", { role: "group", "aria-label": label });
    return Object.entries(values).map(([value, text]) => [
      value,
      button(group, text, `${label}: ${text}`, () => put(model, { [trait]: value })),
    ]);
  };
  const choices = {
    pair: choice(
      "pair",
      Object.fromEntries(Object.entries(pairs).map(([k, pair]) => [k, pair.title])),
      "Networks and rules",
    ),
    axis: choice("axis", AXES, "The horizontal axis"),
    view: choice("view", VIEWS, "What the colors show"),
  };
  const halves = make(root, "div", "cf-grid cf-decay-halves");
  const maps = () => pairs[model.get("pair")].maps;
  const put_cell = (i, j) => put(model, { lr: maps()[0].rates[i], decay: maps()[0].decays[i][j] });
  const parts = [0, 1].map((k) => {
    const part = make(halves, "div");
    return { part, head: headline(part), grid: decayGrid(part, () => maps()[k].label, put_cell) };
  });
  const legend = ramp(root);
  const status = make(root, "div", "cf-decay-cell", { role: "status" });
  const below = make(root, "div", "cf-grid cf-decay-halves"),
    boxes = [make(below, "div"), make(below, "div")];
  const plots = [curvePlot(boxes[0], "validation loss over the steps"), curvePlot(boxes[1], "norm of the weights")];
  const buttons = make(root, "div", "cf-buttons");
  button(buttons, "Reset", "Back to the start values", () => put(model, spec.initial));
  let painted = "";

  function draw() {
    const { pair, view, axis, lr, decay } = Object.fromEntries(
      ["pair", "view", "axis", "lr", "decay"].map((k) => [k, model.get(k)]),
    );
    const [i, j] = nearest(maps()[0], lr, decay),
      chosen = maps()[0],
      at = { lr: chosen.rates[i], decay: chosen.decays[i][j] };
    const words = `η = ${short(at.lr)}, λ = ${short(at.decay)}, η · λ = ${short(at.lr * at.decay)}`;
    if (painted !== `${pair} ${view} ${axis}`) {
      const scale = colors(maps(), view, spec.worst);
      parts.forEach(({ grid, head }, k) => {
        grid.paint(maps()[k], axis, (i, j) => scale.shade(VALUES[view](maps()[k], i, j)));
        head(maps()[k], axis);
      });
      legend(scale, VIEWS[view]);
      for (const [trait, row] of Object.entries(choices))
        for (const [value, b] of row) b.setAttribute("aria-pressed", value === model.get(trait));
      painted = `${pair} ${view} ${axis}`;
    }
    const ends = maps().map((map) => map.val[i][j].at(-1));
    const said = maps()
      .map((map, k) => `${map.label} ${ends[k] === null ? "diverged" : show(ends[k])}`)
      .join(", ");
    parts.forEach(({ grid }, k) => {
      grid.cross(i, j, `${words}: validation loss ${ends[k] === null ? "diverged" : show(ends[k])}`);
      grid.node.setAttribute(
        "aria-label",
        `${maps()[k].label}, ${VIEWS[view]} over weight decay and learning rate. ${valleyWords(maps()[k], axis)}`,
      );
    });
    status.replaceChildren();
    make(status, "span", "cf-name").textContent = `${words}.  Validation loss at the end:`;
    maps().forEach((map, k) => {
      const item = make(status, "span", "cf-decay-end");
      item.style.setProperty("--rule", map.color);
      item.textContent = `${map.label} ${ends[k] === null ? "diverged" : show(ends[k])}`;
    });
    plots[0].draw(
      maps().map((map) => ({ color: map.color, values: map.val[i][j] })),
      chosen.steps,
      `Validation loss over the steps at ${words}. At the end: ${said}.`,
    );
    plots[1].draw(
      maps().map((map) => ({ color: map.color, values: map.norm[i][j] })),
      chosen.steps,
      `Norm of the weights over the steps. At the end: ${maps()
        .map((map) => `${map.label} ${show(map.norm[i][j].at(-1) ?? NaN)}`)
        .join(", ")}.`,
    );
  }

  const ask = onNextFrame(draw),
    traits = ["pair", "view", "axis", "lr", "decay"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    ...parts.map(({ part, grid }) =>
      onResize(part, (width) => {
        grid.resize(width);
        painted = "";
        ask();
      }),
    ),
    ...boxes.map((box, k) =>
      onResize(box, (width) => {
        plots[k].resize(width);
        ask();
      }),
    ),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    traits.forEach((name) => model.off(`change:${name}`, ask));
  };
}

const short = (x) => showChosen(+x.toPrecision(3));

/** The indices of the cell nearest to a setting, by ratios. */
export function nearest(map, lr, decay) {
  const closest = (values, x) =>
    values.reduce((best, v, k) => (Math.abs(Math.log(v / x)) < Math.abs(Math.log(values[best] / x)) ? k : best), 0);
  const i = closest(map.rates, lr);
  return [i, closest(map.decays[i], decay)];
}

/** By what half the learning rate multiplies the best decay, or the best product with it. */
const factor = (map, axis) => 2 ** -(map.slope + (axis === "product" ? 1 : 0));
const valleyWords = (map, axis) =>
  `Half the learning rate wants ${factor(map, axis).toFixed(2)} times the ${axis === "product" ? "product of rate and decay" : "decay"}.`;

/** The number that the figure is about, above its map. */
function headline(parent) {
  const box = make(parent, "div", "cf-result");
  const label = make(box, "span", "cf-label"),
    number = make(box, "span", "cf-number"),
    unit = make(box, "span", "cf-unit"),
    note = make(box, "span", "cf-note");
  return (map, axis) => {
    box.style.setProperty("--rule", map.color);
    label.textContent = map.label;
    number.textContent = `× ${factor(map, axis).toFixed(2)}`;
    unit.textContent = `best ${AXES[axis]} at half of η`;
    const shift = axis === "product" ? 1 : 0,
      power = (x) => (x + shift).toFixed(2).replace("-", "−").replace("−0.00", "0.00");
    note.textContent = `slope ${power(map.slope)} ± ${map.spread.toFixed(2)}; theory says ${power(map.predicted).replace(".00", "")}`;
  };
}

/** A shade for each value, one scale for both maps of a pair; logarithmic. */
function colors(maps, view, worst) {
  const found = maps.flatMap((map) =>
      map.rates.flatMap((_, i) => map.decays[i].map((_, j) => VALUES[view](map, i, j))),
    ),
    all = found.filter((x) => x !== null);
  const low = Math.max(Math.min(...all), LOWEST),
    high = view === "norm" ? Math.max(...all) : worst;
  const place = (x) => Math.min(1, Math.max(0, Math.log(x / low) / Math.log(high / low)));
  return {
    low,
    high,
    capped: view !== "norm",
    dead: all.length < found.length,
    shade: (x) => (x === null ? null : SHADES[Math.round(255 * place(x))]),
  };
}

/** The legend; returns a function of (scale, what). */
function ramp(parent) {
  const box = make(parent, "div", "cf-decay-key");
  const colored = make(box, "div", "cf-legend", { role: "img" });
  make(colored, "span", "cf-ramp").style.background =
    `linear-gradient(to right, ${Array.from({ length: 9 }, (_, k) => interpolateViridis(1 - k / 8)).join()})`;
  const ends = make(colored, "span", "cf-scale"),
    title = make(colored, "span", "cf-name"),
    items = {};
  for (const [name, text, d] of [
    ["cf-valley", "best decay for each rate", "M1,8H19"],
    ["cf-predicted", "slope that theory predicts", "M1,8H19"],
    ["cf-dead", "diverged", "M7,5l6,6m0,-6l-6,6"],
  ]) {
    const item = make(box, "span", "cf-decay-item"),
      mark = make(item, "svg", "", { width: 20, height: 16, "aria-hidden": "true" });
    make(mark, "path", name, { d });
    item.append(text);
    items[name] = item;
  }
  return ({ low, high, capped, dead }, what) => {
    items["cf-dead"].hidden = !dead;
    const marks = [show(low), show(Math.sqrt(low * high)), `${capped ? "≥ " : ""}${show(high)}`];
    ends.replaceChildren(...marks.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    title.textContent = what;
    colored.setAttribute("aria-label", `Colors: ${what}, from ${marks[0]}, bright, to ${marks[2]}, dark`);
  };
}

/** Round numbers between two others, at most six. */
function ticksOf(low, high) {
  const decades = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, k) => 10 ** (Math.floor(Math.log10(low)) + k),
  );
  const sets = [TICKS, [1, 2, 3, 5, 7], [1, 2, 5], [1]].map((set) =>
    decades
      .flatMap((d) => set.map((v) => v * d))
      .concat(set === TICKS ? [0.6, 0.7, 0.8] : [])
      .filter((v) => v >= low && v <= high)
      .sort((a, b) => a - b),
  );
  return sets.find((set) => set.length <= 6) ?? sets.at(-1);
}

/** Two curves over the recorded steps, both axes logarithmic. */
function curvePlot(parent, title) {
  const node = make(parent, "svg", "cf-loss-plot", { role: "img", height: PLOT.height });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = title;
  const inside = make(node, "g", "", { transform: `translate(${PLOT.left},${PLOT.top})` }),
    height = PLOT.height - PLOT.top - PLOT.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")],
    drawn = make(inside, "g");
  const x = scaleLog(),
    y = scaleLog().range([height, 0]);
  return {
    resize(total) {
      node.setAttribute("width", total);
      x.range([0, total - PLOT.left - PLOT.right]);
    },
    draw(runs, steps, words) {
      const width = x.range()[1],
        seen = runs.flatMap((run) => run.values).filter((v) => v > 0);
      if (!(width > 1)) return;
      x.domain([steps[0], steps.at(-1)]);
      y.domain([Math.min(...seen) / 1.1, Math.max(...seen) * 1.1]);
      if (y.domain()[1] / y.domain()[0] < 3) y.domain([y.domain()[0] / 1.3, y.domain()[1] * 1.3]);
      select(axes[0]).call(axisBottom(x).tickValues(steps).tickFormat(String).tickSize(4).tickSizeOuter(0));
      const ticks = ticksOf(...y.domain());
      select(axes[1]).call(
        axisLeft(y)
          .tickValues(ticks)
          .tickFormat((v) => showChosen(+v.toPrecision(2)))
          .tickSize(-width)
          .tickSizeOuter(0),
      );
      const path = line(
        (p) => x(p[0]).toFixed(1),
        (p) => y(p[1]).toFixed(1),
      );
      select(drawn)
        .selectAll("path")
        .data(runs)
        .join("path")
        .attr("class", "cf-path")
        .style("--rule", (run) => run.color)
        .attr("d", (run) => path(steps.map((step, k) => [step, run.values[k]]).filter(([, v]) => v > 0)));
      node.setAttribute("aria-label", words);
    },
  };
}
