// GradientChain: the gradient through a chain of neurons from the top down, its bound, and where on the slope each layer stands.
import { choice, headline } from "../kit/controls.js";
import { make, set, show, showChosen } from "../kit/kit.js";
import { decades, linePlot, tenTo, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";

const WIDEST = 8; // the slopes are drawn for z from -8 to 8
const PLACES = Array.from({ length: 321 }, (_, k) => -WIDEST + (k * WIDEST) / 160);
const FLOOR = 1e-40; // below this the picture ends
const COLOR = "var(--cf-own-0)";

export const render = live({
  label: "The gradient through a chain of neurons",
  name: "cf-chain",
  traits: (spec) => ["activation", ...spec.controls.map((c) => c.name)],
  build({ spec, code, put, columns, sliders, reset, fit }) {
    const [main, side] = columns();
    const down = gradientPlot(main);
    const slope = slopePlot(main);
    const results = make(side, "div", "cf-results", { role: "status" });
    const [gradient, bound] = ["∂output / ∂input", "its bound"].map((label, k) =>
      headline(results, k ? "var(--cf-fg)" : COLOR, { label, number: "", unit: "" }, { live: false }),
    );
    const activations = choice(side, "Activation", Object.keys(spec.neurons), (activation) => put({ activation }), {
      name: "cf-buttons",
    });
    sliders(side);
    reset(side, activations.box);
    fit(main, [down, slope], true);

    return (state) => {
      const layers = walk(code[spec.neurons[state.activation]], state);
      const steepest = state.weight * spec.steepest[state.activation];
      const gradients = layers.reduceRight((rows, { factor }) => [...rows, rows.at(-1) * factor], [1]);
      const [end, most] = [gradients.at(-1), steepest ** state.depth];
      gradient.show({ number: show(end), unit: "" });
      bound.show({ number: show(most), unit: `= ${show(steepest)} to the power of ${state.depth}` });
      activations.mark(state.activation);
      down.draw(gradients, steepest);
      slope.draw(code[spec.neurons[state.activation]], layers);
      down.say(
        `The output's derivative in the output of each of ${state.depth} layers, from the top down. In the input it is ${show(end)}, ` +
          `at most ${show(most)}.`,
      );
      const [first, last] = [layers[0], layers.at(-1)].map(({ z }) => showChosen(+z.toPrecision(3)));
      slope.say(
        `The slope of ${state.activation} over z, with a dot for each layer: z is ${first} in the first and ${last} in the last.`,
      );
    };
  },
});

/** z and the factor w σ′(z) of each layer. */
function walk(neuron, { a, weight, bias, depth }) {
  const layers = [];
  for (let k = 0, signal = a; k < depth; k++) {
    const [z, next, factor] = neuron(signal, weight, bias);
    layers.push({ z, factor });
    signal = next;
  }
  return layers;
}

/** The derivative from the top down, and the bound as a dashed line: { resize(width), draw(gradients, steepest), say(words) }. */
function gradientPlot(parent) {
  const margins = { height: 216, top: 22, right: 12, bottom: 36, left: 48 };
  const plot = linePlot(parent, {
    title: "gradient in each layer's output",
    foot: "layers back",
    ...margins,
  });
  const dots = make(plot.inside, "g", "cf-chain-dots");

  function draw(gradients, steepest) {
    const depth = gradients.length - 1;
    const bounds = gradients.map((_, k) => steepest ** k);
    const seen = [...gradients, ...bounds].filter((v) => v > FLOOR);
    const domain = [Math.min(0.1, ...seen), Math.max(10, ...seen)].map(
      (v, k) => 10 ** Math[k ? "ceil" : "floor"](Math.log10(v)),
    );
    const every = Math.ceil((depth + 1) / 8);
    const xTicks = Array.from({ length: Math.floor(depth / every) + 1 }, (_, k) => k * every);
    const { x, y } = plot.frame({
      x: [0, depth],
      y: domain,
      yTicks: decades(domain),
      yFormat: tenTo,
      xTicks,
      xFormat: String,
    });
    const points = (values) => values.map((v, k) => [x(k), y(Math.max(v, domain[0]))]);
    plot.curves([
      { name: "cf-path cf-bound", color: "var(--cf-fg)", dash: "4 4", d: through(points(bounds)) },
      { color: COLOR, d: through(points(gradients)) },
    ]);
    place(dots, points(gradients));
  }

  return { ...plot, draw: (...what) => plot.draw(() => draw(...what)) };
}

/** The slope over z, with a dot for each layer, the last one strongest: { resize(width), draw(neuron, layers), say(words) }. */
function slopePlot(parent) {
  const margins = { height: 176, top: 22, right: 12, bottom: 36, left: 48 };
  const plot = linePlot(parent, { title: "slope σ′(z), a dot for each layer", foot: "z", ...margins });
  const dots = make(plot.inside, "g", "cf-chain-dots");

  function draw(neuron, layers) {
    const slopeAt = (z) => neuron(z, 1, 0)[2];
    const top = Math.max(...PLACES.map(slopeAt));
    const yTicks = [0, top / 2, top];
    const { x, y } = plot.frame({ x: [-WIDEST, WIDEST], y: [0, top], yLog: false, yTicks, yFormat: String, xTicks: 9 });
    plot.curves([{ color: "var(--cf-fg)", d: through(PLACES.map((z) => [x(z), y(slopeAt(z))])) }]);
    const inside = (z) => Math.min(WIDEST, Math.max(-WIDEST, z));
    place(
      dots,
      layers.map(({ z }) => [x(inside(z)), y(slopeAt(z))]),
      true,
    );
  }

  return { ...plot, draw: (...what) => plot.draw(() => draw(...what)) };
}

/** Dots at these places; `fading` ones come from faint to full. */
function place(group, points, fading = false) {
  while (group.childElementCount > points.length) group.lastChild.remove();
  while (group.childElementCount < points.length) make(group, "circle", "", { r: 3.5 });
  points.forEach(([cx, cy], k) =>
    set(group.children[k], { cx, cy, fill: COLOR, opacity: fading ? 0.25 + (0.75 * (k + 1)) / points.length : 1 }),
  );
}
