// RateMap: momentum's convergence rate over (learning rate, momentum), by theory or measured, and one run in detail.
import { ramp } from "../kit/colors.js";
import { button, choice, headline } from "../kit/controls.js";
import { make, show, showChosen } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";
import { pointsOf } from "../kit/rows.js";
import { rateMap, stepsADigit } from "./rate_map_plot.js";

const CELLS = { theory: [160, 120], measured: [84, 63] };
const COARSE = { theory: [72, 54], measured: [40, 30] }; // while κ changes from frame to frame
const REST = 150; // ms without a change, then the map is drawn finely
const SHOWN = 120; // steps of the run
const LIMITS = [1e-10, 1e3]; // of the distances that are drawn
const COLOR = "var(--cf-rule-momentum)";

export const render = live({
  label: "Convergence rate of momentum",
  traits: ["lr", "momentum", "condition_number", "view"],
  build({ spec, code, put, state, columns, sliders, reset, fit, onEnd }) {
    const range = Object.fromEntries(spec.controls.map((c) => [c.name, c.range]));
    const [main, side] = columns("cf-ordered");
    const mapBox = make(main, "div", "cf-near");
    const map = rateMap(mapBox, range, put);
    const views = choice(main, "What the colors show", ["theory", "measured"], (view) => put({ view }), {
      name: "cf-buttons cf-toggle cf-far",
      title: (view) => `Color the map by the ${view} rate`,
    });
    ramp(views.box, {
      marks: ["fast, 1", "10", "100", "1000, slow"],
      name: "steps a digit",
      label: "Colors: from one step a digit, bright, to a thousand, dark; empty where it diverges",
    });
    const number = headline(side, COLOR, { label: "error shrinks, a step, by", number: "", note: "" });
    const box = make(side, "div");
    const run = runPlot(box);
    sliders(side);
    const buttons = make(side, "div", "cf-buttons");
    button(buttons, "Go to the best", "The setting of the best rate", () => {
      const [lr, momentum] = code.best_momentum(state().condition_number);
      put({ lr, momentum });
    });
    reset(side, buttons);

    /** A run's rows: loss, w and Δ at t = 0, 1, … */
    const walk = (lr, momentum, condition_number) =>
      code.run(spec.start, spec.steps, { lr, momentum, condition_number, angle: 0 });
    const rates = {
      theory: (kappa) => (lr, m) => code.worst_momentum_rate(lr, m, kappa),
      measured: (kappa) => (lr, m) => measure(spec, code, walk(lr, m, kappa), lr, m),
    };
    let painted = "";
    let refine = 0;

    /** The colors: coarse at once while κ moves, fine when it rests. */
    function paint(view, kappa) {
      const key = `${view} ${kappa}`;
      if (painted === key) return;
      clearTimeout(refine);
      const moving = painted.startsWith(`${view} `);
      map.paint(rates[view](kappa), (moving ? COARSE : CELLS)[view]);
      if (moving) refine = setTimeout(() => map.paint(rates[view](kappa), CELLS[view]), REST);
      map.lines(code, kappa);
      painted = key;
      views.mark(view);
    }

    const resize = (width) => {
      map.resize(width);
      painted = "";
    };
    fit(mapBox, { resize }, true);
    fit(box, run);
    onEnd(() => clearTimeout(refine));

    return ({ lr, momentum, condition_number: kappa, view }) => {
      paint(view, kappa);
      const rows = walk(lr, momentum, kappa);
      const theory = rates.theory(kappa)(lr, momentum);
      const measured = measure(spec, code, rows, lr, momentum);
      map.ring(lr, momentum);
      run.draw(
        pointsOf(rows, code.run.columns.length).map(([x, y]) => Math.hypot(x, y)),
        theory,
      );
      const diverges = measured >= 1;
      const pace = diverges ? `grows × ${show(measured)}` : `${show(stepsADigit(measured))} steps a digit`;
      const now = {
        number: diverges ? "diverges" : `× ${show(measured)}`,
        note: `${pace}; theory says × ${show(theory)}`,
      };
      number.show(now, diverges);
      map.say(
        `Map of the convergence rate of momentum over learning rate and momentum, condition number ${showChosen(kappa)}. ` +
          `At learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}: ` +
          `measured ${show(measured)}, predicted ${show(theory)}${diverges ? ", diverges" : ""}.`,
      );
    };
  },
});

/** The rate between two windows of a run's energies, the second as late as doubles hold them. */
function measure({ steps, window, held: [smallest, largest] }, code, rows, lr, momentum) {
  const width = code.run.columns.length;
  const energy = (k) => code.energy(rows[k * width], rows[k * width + 3], rows[k * width + 4], lr, momentum);
  let last = steps;
  let end = energy(last);
  while (last > 2 * window && !(end > smallest && end < largest)) end = energy(--last);
  if (end === 0 || !Number.isFinite(end)) return end === 0 ? 0 : Infinity;
  const half = Math.floor(last / 2);
  const until = (k) => Array.from({ length: window }, (_, i) => energy(k - window + 1 + i));
  return code.measured_rate(...until(half), ...until(last), last - half);
}

/** Distance to the minimum over the steps: the run as dots, theory as a line of that slope. */
function runPlot(parent) {
  const margins = { height: 190, right: 10, bottom: 38, left: 44 };
  const plot = linePlot(parent, { title: "distance to the minimum", foot: "step", ...margins });
  plot.say("Distance to the minimum over the steps: the run, and the slope that theory predicts.");
  const [low, high] = LIMITS;

  function draw(distances, rate) {
    const { x, y } = plot.frame({ x: [0, SHOWN], y: LIMITS, xTicks: 4, yTicks: [1e-9, 1e-6, 1e-3, 1, 1e3] });
    const points = distances.slice(0, SHOWN + 1).map((d, k) => [k, d]);
    const seen = points.filter(([, d]) => d > low && d < high);
    const dots = seen.map(([k, d]) => `M${x(k).toFixed(1)},${y(d).toFixed(1)}h0`).join("");
    // through the largest distance of the run's first part, as the slope is theory's claim, not the height
    const height = Math.max(...seen.slice(0, 20).map(([k, d]) => d / rate ** k));
    const ends = [0, SHOWN].map((k) => [k, height * rate ** k]);
    const out = ends[1][1] < low ? low : ends[1][1] > high ? high : 0; // then the line ends at the edge
    if (out) ends[1] = [Math.log(out / height) / Math.log(rate), out];
    plot.curves([
      { name: "cf-theory", d: through(ends.map(([k, d]) => [x(k), y(Math.min(high, Math.max(low, d)))])) },
      { name: "cf-dots", color: COLOR, d: dots },
    ]);
  }

  return { ...plot, draw: (...what) => plot.draw(() => draw(...what)) };
}
