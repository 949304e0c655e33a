// Descent: a rule walks on a surface. State: start, steps, step (of the scrubber) and one trait for each
// hyperparameter.
import { contourPlot } from "../kit/contour_plot.js";
import { headline, scrubber } from "../kit/controls.js";
import { make, show, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { lossPlot } from "../kit/loss_plot.js";
import { column, cut, lossesAbove, minimaOf, pointsOf } from "../kit/rows.js";
import { statePlot } from "./descent_states.js";

/**
 * @typedef {{ key: string, label: string, color: string }} Run
 * @typedef {{ key: string, title: string, color: string, columns: number[] }} Watched
 */

const RECORDED = { key: "recorded", label: "recorded path", color: "var(--cf-recorded)" };

export const render = live({
  label: (spec) => spec.title,
  traits: (spec) => [...spec.hyper, "start", "steps", "step", "recorded"],
  build({ spec, code, root, put, columns, sliders, reset, fit, onEnd }) {
    const [plots, side] = columns();
    const results = make(side, "div", "cf-results", { role: "status" });
    const rows = [...spec.runs, RECORDED].map((run) => ({ key: run.key, show: resultRow(results, run) }));
    const lossBox = make(side, "div", "cf-loss");
    const controls = make(side, "div", "cf-controls");
    const contour = contourPlot(plots, spec.domain, (start) => put({ start }));
    const losses = lossPlot(lossBox, spec.minimum_known ? "loss above the minimum" : "loss");
    const showStep = scrubber(plots, (step) => put({ step }));
    sliders(controls);
    reset(controls);
    const states = statePanels(root, spec.watched);
    fit(plots, contour, true);
    fit(lossBox, losses);
    if (spec.watched.length) fit(states.node, states);
    onEnd(contour.close);

    return (state) => {
      const { steps, start, recorded } = state;
      const step = Math.min(state.step, steps);
      const shape = spec.surface.map((name) => state[name]);
      const loss = (x, y) => code.loss(x, y, ...shape);
      const { floor, top } = contour.surface(JSON.stringify(shape), loss, { minima: minimaOf(code, shape) });
      const walks = Object.fromEntries(spec.runs.map(({ key }) => [key, code[key](start, steps, state)]));
      const width = (key) => code[key].columns.length;
      const trail = (key) => cut(pointsOf(walks[key], width(key)), lossesAbove(walks[key], width(key), floor), top);
      const runs = spec.runs.map((run) => ({ ...run, ...trail(run.key) }));
      if (recorded?.length) {
        const above = Float64Array.from(recorded, ([x, y]) => loss(x, y) - floor);
        runs.push({ ...RECORDED, ...cut(recorded, above, top) });
      }
      contour.paths(runs, step, start);
      losses.curves(runs, steps, step, top);
      rows.forEach(({ key, show }) =>
        show(
          runs.find((run) => run.key === key),
          step,
        ),
      );
      states.draw((key, k) => column(walks[key], k, width(key)), step);
      showStep(step, steps);
      contour.say(`${spec.title}. ${runs.map((run) => `${run.label}: ${result(run, step)}`).join(". ")}.`);
      losses.say(
        `Loss over ${steps} steps. ${runs.map((run) => `${run.label} ends ${result(run, steps)}`).join(". ")}.`,
      );
    };
  },
});

/** What a run has come to at a step: { number, unit, gone }. */
function outcome({ above, diverged }, step) {
  const gone = diverged >= 0 && step >= diverged;
  const last = Math.min(step, above.length - 1);
  return { number: gone ? "diverged" : show(above[last]), unit: `at step ${gone ? diverged : last}`, gone };
}

function result(run, step) {
  const { number, unit } = outcome(run, step);
  return `${number} ${unit}`;
}

function resultRow(parent, run) {
  const row = headline(parent, run.color, { label: run.label, number: "", unit: "" }, { live: false });
  return (run, step) => {
    row.node.hidden = !run;
    if (!run) return;
    const { number, unit, gone } = outcome(run, step);
    row.show({ number, unit }, gone);
  };
}

/**
 * The plots of what the rules remember, side by side: { node, resize(width), draw(read, step) } with `read(key,
 * column)`.
 */
function statePanels(parent, watched) {
  const node = make(parent, "div", "cf-states");
  node.hidden = !watched.length;
  const panels = watched.map((state) => ({ ...state, plot: statePlot(node, state.title, state.color) }));
  if (watched.length) write(node, "p", "cf-note", "What the rule remembers, over the steps: x solid, y dashed.");
  return {
    node,
    resize(width) {
      const columns = Math.min(panels.length, Math.max(1, Math.floor(width / 220)));
      panels.forEach(({ plot }) => plot.resize(Math.floor(width / columns)));
    },
    draw(read, step) {
      panels.forEach(({ key, columns, plot }) =>
        plot.draw(
          columns.map((k) => read(key, k)),
          step,
        ),
      );
    },
  };
}
