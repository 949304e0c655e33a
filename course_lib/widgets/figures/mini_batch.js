// MiniBatch: full batch, mini-batch and stochastic descent from one start. State: the traits in TRAITS.
import { contourPlot } from "../kit/contour_plot.js";
import { button, choice, headline } from "../kit/controls.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { fullLoss, lossPlot, runs } from "./mini_batch_runs.js";

const TRAITS = ["problem", "start", "lr", "B", "sampling", "budget", "steps", "epochs", "seed"];
const LABEL = "Start point. Arrow keys move it.";
const NAMES = { problem: "Problem", sampling: "Sampling", budget: "Same number of" };

export const render = live({
  label: "Full batch, mini-batch and stochastic descent",
  name: "cf-minibatch",
  traits: TRAITS,
  build({ spec, code, root, put, state, columns, sliders, reset, fit, onEnd }) {
    const bar = make(root, "div", "cf-minibatch-bar");
    const choose = (name) => (value) => put({ [name]: value, ...(name === "problem" ? of(value) : {}) });
    const choices = Object.entries(spec.choices).map(([name, values]) => [
      name,
      choice(bar, NAMES[name], values, choose(name), { text: NAMES[name].toLowerCase() }),
    ]);
    const [main, side] = columns("cf-ordered");
    const rows = headlines(side, spec.runs);
    const controls = Object.fromEntries(sliders(side).map((row, k) => [spec.controls[k].name, row]));
    const buttons = make(side, "div", "cf-buttons");
    button(buttons, "New draw", "Other batches: the next seed", () => put({ seed: (state().seed + 1) >>> 0 }));
    reset(side, buttons);
    const contourBox = make(main, "div", "cf-near");
    const lossBox = make(main, "div", "cf-far");
    const losses = lossPlot(lossBox, spec.examples);
    let plot = null;
    let shown = "";
    let width = 0;

    /** What a problem brings along. */
    function of(name) {
      const { start, lr } = spec.problems.find((one) => one.name === name);
      return { start, lr };
    }

    /** A plot of its own for each problem, as each has its own domain. */
    function plotOf(problem) {
      if (shown === problem.name) return;
      plot?.close();
      plot = contourPlot(contourBox, problem.domain, (start) => put({ start }), LABEL, ["θ₀", "θ₁"]);
      plot.resize(width);
      const full = (a, b) => fullLoss(code, problem, a, b);
      plot.surface(problem.name, full, { floor: problem.lowest, minima: [problem.minimum] });
      shown = problem.name;
    }

    const resize = (wide) => {
      width = wide;
      shown = "";
    };
    fit(contourBox, { resize }, true);
    fit(lossBox, losses);
    onEnd(() => plot?.close());

    return (state) => {
      if (!width) return;
      const problem = spec.problems.find((one) => one.name === state.problem);
      plotOf(problem);
      const all = runs(spec, code, problem, state);
      const order = [...all].reverse(); // the calm ones on top
      plot.paths(order, Infinity, state.start);
      const theory = state.sampling === "with replacement" ? all.slice(1) : [];
      const floors = theory.map(({ B, color }) => ({ color, at: code.excess(...problem.covariance, B, state.lr) }));
      const words = rows(all);
      losses.draw(order, floors, state, words);
      choices.forEach(([name, { mark }]) => mark(state[name]));
      controls.epochs.style.display = state.budget === "examples" ? "" : "none";
      controls.steps.style.display = state.budget === "steps" ? "" : "none";
      plot.say(
        `Contours of the ${problem.name} loss over ${spec.examples} examples, three paths with the rate ${showChosen(state.lr)}, ` +
          `batches ${state.sampling}. ${words}.`,
      );
    };
  },
});

/** The distances, large, and what they cost; returns a function that shows them and gives the words. */
function headlines(parent, labels) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  write(box, "div", "cf-race-head", "distance to the minimum");
  const rows = labels.map((label) =>
    headline(box, `var(--cf-${label.replace(" ", "-")})`, { label, number: "", unit: "" }, { live: false }),
  );
  const words = ({ label, diverged, used, distance: far }, k) => {
    const steps = used.length - 1;
    const cost = `${used.at(-1)} examples, ${steps} step${steps > 1 ? "s" : ""}`;
    if (diverged < 0) rows[k].show({ number: show(far), unit: cost });
    else rows[k].show({ number: "diverged", unit: `at step ${diverged}` });
    return diverged < 0
      ? `${label}: ${show(far)} from the minimum after ${cost}`
      : `${label}: diverged at step ${diverged}`;
  };
  return (all) => all.map(words).join(". ");
}
