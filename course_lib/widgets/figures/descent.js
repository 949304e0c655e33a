// Descent: a rule walks on a surface. State: start, steps, step (of the scrubber) and one trait for each
// hyperparameter.
import { contourPlot } from "../kit/contour_plot.js";
import { headline, scrubber } from "../kit/controls.js";
import { DIVERGED, endOf, endWords, writeEnd } from "../kit/ends.js";
import { make, power, show, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { lossPlot } from "../kit/loss_plot.js";
import { numbersOf, readout, stepLength } from "../kit/readout.js";
import { column, cut, lossesAbove, minimaOf, pointsOf } from "../kit/rows.js";
import { statePlot } from "./descent_states.js";

/**
 * @typedef {{ key: string, label: string, color: string, states: { symbol: string, columns: number[] }[] }} Run
 * @typedef {{ key: string, title: string, color: string, columns: number[] }} Watched
 */

const RECORDED = { key: "recorded", label: "recorded path", color: "var(--cf-recorded)", states: [] };

export const render = live({
  label: (spec) => spec.title,
  traits: (spec) => [...spec.hyper, "start", "steps", "step", "recorded"],
  name: "cf-descent",
  build({ spec, code, root, put, columns, sliders, reset, fit, onEnd }) {
    const [plots, side] = columns("cf-ordered");
    const contourBox = make(plots, "div", "cf-near");
    const results = make(side, "div", "cf-results", { role: "status" });
    const rows = [...spec.runs, RECORDED].map((run) => ({ key: run.key, show: resultRow(results, run) }));
    const lossBox = make(side, "div", "cf-loss cf-far");
    const controls = make(side, "div", "cf-controls");
    const contour = contourPlot(contourBox, spec.domain, (start) => put({ start }));
    const losses = lossPlot(lossBox, spec.minimum_known ? "loss above the minimum" : "loss");
    const showStep = scrubber(make(plots, "div", "cf-near"), (step) => put({ step }));
    const read = stepReadout(make(plots, "div", "cf-far"), spec, code);
    sliders(controls);
    reset(controls);
    const states = statePanels(root, spec.watched);
    fit(contourBox, contour, true);
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
      const ended = (points, above) =>
        cut(points, above, top, endOf(code, above, spec.minimum_known ? spec.goal : -Infinity));
      const trail = (key) => ended(pointsOf(walks[key], width(key)), lossesAbove(walks[key], width(key), floor));
      const runs = spec.runs.map((run) => ({ ...run, ...trail(run.key) }));
      if (recorded?.length) {
        const above = Float64Array.from(recorded, ([x, y]) => loss(x, y) - floor);
        runs.push({ ...RECORDED, ...ended(recorded, above) });
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
      const words = read(runs, walks, step, { steps, floor, shape });
      showStep(step, steps, words);
      contour.say(`${spec.title}. ${runs.map((run) => `${run.label}: ${result(run, step)}`).join(". ")}.`);
      losses.say(
        `Loss over ${steps} steps. ${runs.map((run) => `${run.label} ends ${result(run, steps)}${manner(run)}`).join(". ")}.`,
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

/** How a run that has not diverged ended. */
const manner = ({ ended, diverged }) => (ended.end === DIVERGED ? "" : `, ${endWords(ended, diverged)}`);

/** The table of what stands at a step; returns `draw(runs, walks, step, more)`, which gives its first rows in words. */
function stepReadout(parent, spec, code) {
  const states = [...new Set(spec.runs.flatMap((run) => run.states.map(({ symbol }) => symbol)))];
  const names = ["w = (x, y)", "loss J", "gradient ∇J", "step length", ...states, "whole run"];
  const draw = readout(parent, [...spec.runs, RECORDED], names);
  const goal = power(Math.log10(spec.goal));
  const within = spec.minimum_known ? `reached: stays within ${goal} of the minimum. ` : "";
  write(parent, "p", "cf-note cf-end-note", `${within}≤: the highest loss of the run’s second half.`);

  return (runs, walks, wanted, { floor, shape }) => {
    const words = [];
    const columns = [...spec.runs, RECORDED].map(({ key, label, states: own }) => {
      const run = runs.find((one) => one.key === key);
      if (!run) return null;
      const last = (run.diverged < 0 ? run.above.length : run.diverged + 1) - 1;
      const step = Math.min(wanted, last);
      const at = (k) => (walks[key] ? pointOf(walks[key], k, code[key].columns.length) : run.points[k]);
      const [w, before] = [at(step), step ? at(step - 1) : null];
      const loss = show(run.above[step] + floor);
      const length = stepLength(w, before);
      const slope = numbersOf(code.slope(...w, ...shape));
      words.push(`${label}: w ${numbersOf(w)}, loss ${loss}, gradient ${slope}, step length ${length}`);
      const remembered = states.map((symbol) => {
        const state = own.find((one) => one.symbol === symbol);
        if (!state) return "";
        const width = code[key].columns.length;
        return numbersOf(state.columns.map((k) => walks[key][step * width + k]));
      });
      return [numbersOf(w), loss, slope, length, ...remembered, (cell) => writeEnd(cell, run.ended, run.diverged)];
    });
    draw(`At step ${wanted}`, columns);
    return `${words.join(". ")}.`;
  };
}

/** The point in row k of a traced run. */
const pointOf = (rows, k, width) => [rows[k * width + 1], rows[k * width + 2]];

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
