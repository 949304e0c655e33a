// SignalPropagation: what each layer of a network that nobody has trained makes of the signal and of the gradient.
import { button, choice, headline } from "../kit/controls.js";
import { make, show, showChosen } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { histogramPlot, squaresPlot } from "./signal_propagation_plots.js";
import { draws, predicted, propagate } from "./signal_propagation_run.js";

const TRAITS = ["activation", "initialization", "width", "depth", "gain", "seed"];
const GRADIENTS = 3; // what the plot of gradients spans on each side: the incoming ones are N(0, 1)

export const render = live({
  label: "Signals through a network",
  name: "cf-signals",
  traits: TRAITS,
  build({ spec, code, root, put, state, columns, sliders, reset, fit }) {
    const bar = make(root, "div", "cf-minibatch-bar");
    const begin = (initialization) => put({ initialization, gain: spec.gains[initialization] });
    const marks = {
      activation: choice(bar, "Activation", spec.activations, (activation) => put({ activation }), {
        text: "activation",
      }),
      initialization: choice(bar, "Initialization", spec.initializations, begin, { text: "weights" }),
    };
    const [main, side] = columns();
    const up = headline(side, "var(--cf-up)", { label: "signal, last / first layer", number: "", unit: "" });
    const down = headline(side, "var(--cf-down)", { label: "gradient, first / last layer", number: "", unit: "" });
    sliders(side);
    marks.width = choice(side, "Width", spec.widths.map(String), (width) => put({ width: +width }), { text: "width" });
    const buttons = make(side, "div", "cf-buttons");
    button(buttons, "New draw", "Other weights: the next seed", () => put({ seed: (state().seed + 1) >>> 0 }));
    reset(side, buttons);
    const plots = {
      activations: histogramPlot(main, "activations (other than 0), layer by layer", "cf-up"),
      gradients: histogramPlot(main, "back-propagated gradients (other than 0)", "cf-down"),
      squares: squaresPlot(main),
    };
    fit(main, Object.values(plots), true);
    let drawn = { key: "" };

    /** The draws of this seed and width, made once. */
    function of({ seed, width }) {
      const key = `${seed} ${width}`;
      if (drawn.key !== key) drawn = { key, ...draws(code, seed, width, spec.examples) };
      return drawn;
    }

    return (now) => {
      const begun = performance.now();
      const signals = propagate(code, of(now), spec, now);
      const theory = predicted(code, spec, now);
      const line = spec.tangents.includes(now.activation) ? predicted(code, spec, now, true) : null;
      root.dataset.computed = (performance.now() - begun).toFixed(1); // milliseconds, for who wants to measure
      Object.entries(marks).forEach(([name, { mark }]) => mark(String(now[name])));
      const half = spec.halves[now.activation];
      const words = `${now.depth} layers of ${now.width}, ${spec.activations[now.activation]}, ${spec.initializations[now.initialization]}, gain ${showChosen(now.gain)}`;
      plots.activations.draw(signals.post, half, spec.bins, words);
      plots.gradients.draw(signals.gradients, GRADIENTS, spec.bins, words);
      const ratios = [signals, theory].map(({ forward, backward }) => [
        forward.at(-1) / forward[0],
        backward[0] / backward.at(-1),
      ]);
      [up, down].forEach((row, k) =>
        row.show({ number: `× ${show(ratios[0][k])}`, unit: `predicted ${show(ratios[1][k])}` }),
      );
      plots.squares.draw(
        signals,
        theory,
        line,
        `${words}. Signal × ${show(ratios[0][0])}, gradient × ${show(ratios[0][1])}`,
      );
    };
  },
});
