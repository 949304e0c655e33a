// DecayMap: recorded losses of real networks over (weight decay, learning rate), for two rules side by side.
import { line } from "../kit/vendor/d3.js";
import { SHADES, keyItem, logShare, ramp } from "../kit/colors.js";
import { choice, headline } from "../kit/controls.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { linePlot } from "../kit/line_plot.js";
import { live } from "../kit/live.js";
import { decayGrid } from "./decay_map_grid.js";

const VIEWS = { validation: "validation loss", training: "training loss", norm: "norm of the weights" };
const LOWEST = 0.01; // a loss below it is drawn as the brightest
const TICKS = [1, 1.2, 1.5, 2, 3, 5]; // times powers of ten, as long as they leave room
const AXES = { decay: "λ", product: "η · λ" };

/** What a view colors: the value at the end of training. */
const VALUES = {
  validation: (map, i, j) => map.val[i][j].at(-1),
  training: (map, i, j) => map.train[i][j],
  norm: (map, i, j) => map.norm[i][j].at(-1),
};

export const render = live({
  label: "Losses over weight decay and learning rate",
  name: "cf-decay",
  traits: ["pair", "axis", "view", "lr", "decay"],
  build({ spec, root, model, put, reset, fit }) {
    const { pairs } = spec;
    const bar = make(root, "div", "cf-buttons cf-decay-bar");
    const titles = Object.fromEntries(Object.entries(pairs).map(([key, pair]) => [key, pair.title]));
    const choices = {
      pair: choice(bar, "Networks and rules", titles, (pair) => put({ pair })),
      axis: choice(bar, "The horizontal axis", AXES, (axis) => put({ axis })),
      view: choice(bar, "What the colors show", VIEWS, (view) => put({ view })),
    };
    const halves = make(root, "div", "cf-grid cf-decay-halves");
    const now = () => pairs[model.get("pair")].maps;
    const choose = (i, j) => put({ lr: now()[0].rates[i], decay: now()[0].decays[i][j] });
    const parts = [0, 1].map((k) => {
      const part = make(halves, "div");
      const head = headline(part, "", { label: "", number: "", unit: "", note: "" }, { live: false });
      return { part, head, grid: decayGrid(part, () => now()[k].label, choose) };
    });
    const status = make(root, "div", "cf-decay-cell", { role: "status" });
    const below = make(root, "div", "cf-grid cf-decay-halves cf-decay-curves");
    const plots = ["validation loss over the steps", "norm of the weights"].map((title) => {
      const box = make(below, "div");
      return { box, ...curvePlot(box, title) };
    });
    const legend = key(root);
    reset(root);
    let painted = "";

    /** Both maps in the colors of the view, on the axis that is chosen. */
    function paint({ pair, view, axis }) {
      const key = `${pair} ${view} ${axis}`;
      if (painted === key) return;
      painted = key;
      const maps = now();
      const scale = colors(maps, view, spec.worst);
      parts.forEach(({ grid, head }, k) => {
        grid.paint(maps[k], axis, (i, j) => scale.shade(VALUES[view](maps[k], i, j)));
        head.node.style.setProperty("--rule", maps[k].color);
        head.show(valley(maps[k], axis));
      });
      legend(scale, VIEWS[view]);
      for (const [trait, value] of Object.entries({ pair, view, axis })) choices[trait].mark(value);
    }

    for (const { part, grid } of parts) {
      const resize = (width) => {
        grid.resize(width);
        painted = "";
      };
      fit(part, { resize });
    }
    plots.forEach((plot) => fit(plot.box, plot));

    return (state) => {
      const maps = now();
      const [i, j] = nearest(maps[0], state.lr, state.decay);
      const [lr, decay] = [maps[0].rates[i], maps[0].decays[i][j]];
      const words = `η = ${short(lr)}, λ = ${short(decay)}, η · λ = ${short(lr * decay)}`;
      paint(state);
      const ends = maps.map((map) => ended(map.val[i][j].at(-1)));
      parts.forEach(({ grid }, k) => {
        grid.cross(i, j, `${words}: validation loss ${ends[k]}`);
        const what = VIEWS[state.view];
        grid.say(`${maps[k].label}, ${what} over weight decay and learning rate. ${valleyWords(maps[k], state.axis)}`);
      });
      status.replaceChildren(write(null, "span", "cf-name", `${words}.  Validation loss at the end:`));
      const said = maps.map((map, k) => {
        write(status, "span", "cf-decay-end", `${map.label} ${ends[k]}`).style.setProperty("--rule", map.color);
        return `${map.label} ${ends[k]}`;
      });
      const norms = maps.map((map) => `${map.label} ${show(map.norm[i][j].at(-1) ?? NaN)}`).join(", ");
      const curves = (name) => maps.map((map) => ({ color: map.color, values: map[name][i][j] }));
      const over = `over the steps at ${words}. At the end: ${said.join(", ")}.`;
      plots[0].draw(curves("val"), maps[0].steps, `Validation loss ${over}`);
      plots[1].draw(curves("norm"), maps[0].steps, `Norm of the weights over the steps. At the end: ${norms}.`);
    };
  },
});

const ended = (loss) => (loss === null ? "diverged" : show(loss));

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
function valley(map, axis) {
  const shift = axis === "product" ? 1 : 0;
  const power = (x) => (x + shift).toFixed(2).replace("-", "−").replace("−0.00", "0.00");
  return {
    label: map.label,
    number: `× ${factor(map, axis).toFixed(2)}`,
    unit: `best ${AXES[axis]} at half of η`,
    note: `slope ${power(map.slope)} ± ${map.spread.toFixed(2)}; theory says ${power(map.predicted).replace(".00", "")}`,
  };
}

/** A shade for each value, one scale for both maps of a pair; logarithmic. */
function colors(maps, view, worst) {
  const found = maps.flatMap((map) =>
    map.rates.flatMap((_, i) => map.decays[i].map((_, j) => VALUES[view](map, i, j))),
  );
  const all = found.filter((x) => x !== null);
  const low = Math.max(Math.min(...all), LOWEST);
  const high = view === "norm" ? Math.max(...all) : worst;
  const shade = (x) => (x === null ? null : SHADES[Math.round(255 * logShare(x, low, high))]);
  return { low, high, capped: view !== "norm", dead: all.length < found.length, shade };
}

/** The legend; returns a function of (scale, what). */
function key(parent) {
  const box = make(parent, "div", "cf-decay-key");
  const colored = ramp(box, { label: "Colors" });
  const items = [
    ["cf-valley", "best decay for each rate", "M1,8H19"],
    ["cf-predicted", "slope that theory predicts", "M1,8H19"],
    ["cf-dead", "diverged", "M7,5l6,6m0,-6l-6,6"],
  ].map(([name, text, d]) => keyItem(box, "cf-decay-item", text, [20, 16], (svg) => make(svg, "path", name, { d })));
  return ({ low, high, capped, dead }, what) => {
    items.at(-1).hidden = !dead;
    const marks = [show(low), show(Math.sqrt(low * high)), `${capped ? "≥ " : ""}${show(high)}`];
    const words = [`low, ${marks[0]}`, marks[1], `${marks[2]}, high`];
    colored.show(words, what, `Colors: ${what}, from ${marks[0]}, bright, to ${marks[2]}, dark`);
  };
}

/** Round numbers between two others, at most six. */
function ticksOf(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, k) => 10 ** (first + k));
  const sets = [TICKS, [1, 2, 3, 5, 7], [1, 2, 5], [1]].map((set) =>
    powers
      .flatMap((d) => set.map((v) => v * d))
      .concat(set === TICKS ? [0.6, 0.7, 0.8] : [])
      .filter((v) => v >= low && v <= high)
      .sort((a, b) => a - b),
  );
  return sets.find((set) => set.length <= 6) ?? sets.at(-1);
}

/** Two curves over the recorded steps, both axes logarithmic. */
function curvePlot(parent, title) {
  const plot = linePlot(parent, { title, height: 150, right: 10 });

  function draw(runs, steps) {
    const seen = runs.flatMap((run) => run.values).filter((v) => v > 0);
    const [least, most] = [Math.min(...seen) / 1.1, Math.max(...seen) * 1.1];
    const domain = most / least < 3 ? [least / 1.3, most * 1.3] : [least, most];
    const yFormat = (v) => showChosen(+v.toPrecision(2));
    const ticks = { xTicks: steps, xFormat: String, yTicks: ticksOf(...domain), yFormat };
    const { x, y } = plot.frame({ x: [steps[0], steps.at(-1)], xLog: true, y: domain, ...ticks });
    const path = line(
      (p) => x(p[0]).toFixed(1),
      (p) => y(p[1]).toFixed(1),
    );
    const points = (run) => steps.map((step, k) => [step, run.values[k]]).filter(([, v]) => v > 0);
    plot.curves(runs.map((run) => ({ color: run.color, d: path(points(run)) })));
  }

  return {
    ...plot,
    draw(runs, steps, words) {
      plot.draw(() => draw(runs, steps));
      plot.say(words);
    },
  };
}
