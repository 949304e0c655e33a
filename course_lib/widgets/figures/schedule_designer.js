// ScheduleDesigner: the rate of a schedule over the steps, computed by the traced formulas, and PyTorch's code beside it.
import { choice, headline, scrubber } from "../kit/controls.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";

const COLOR = "var(--cf-accent)";
const DEEPEST = 1e-5; // of the highest rate, where a logarithmic axis ends
const words = (name) => name.replaceAll("_", " ");

export const render = live({
  label: "A learning rate schedule",
  name: "cf-designer",
  traits: (spec) => ["schedule", "axis", "t", ...spec.controls.map((c) => c.name)],
  build({ spec, code, root, put, columns, sliders, reset, fit }) {
    const bar = make(root, "div", "cf-designer-bar");
    const names = Object.fromEntries(Object.keys(spec.schedules).map((name) => [name, words(name)]));
    const schedules = choice(bar, "Schedule", names, (schedule) => put({ schedule }));
    const [main, side] = columns();
    const plot = linePlot(main, { title: "learning rate", foot: "step t", height: 280, bottom: 38, left: 50 });
    const scrub = scrubber(main, (t) => put({ t }));
    const numbers = headlines(side);
    const rows = sliders(side).map((row, k) => [spec.controls[k].name, row]);
    const buttons = make(side, "div", "cf-buttons");
    const axes = choice(buttons, "Axis", ["linear", "log"], (axis) => put({ axis }));
    reset(side, buttons);
    write(root, "p", "cf-note cf-designer-note", "The same rates in PyTorch:");
    const text = make(root, "pre", "cf-code", { tabindex: 0, role: "region", "aria-label": "PyTorch's code" });
    fit(main, plot, true);

    return (state) => {
      const { schedule, warmup, start, axis } = state;
      const own = spec.schedules[schedule];
      const rate = (t) => code[schedule](t, warmup, start, ...own.map((name) => state[name]));
      const steps = Math.min(spec.steps, warmup + (own.includes("total") ? state.total : spec.steps));
      const rates = Array.from({ length: steps }, (_, t) => rate(t));
      const t = Math.min(state.t, steps - 1);
      schedules.mark(schedule);
      axes.mark(axis);
      for (const [name, row] of rows)
        row.hidden = !(own.includes(name) || name === "warmup" || (name === "start" && warmup > 0));
      scrub(t, steps - 1);
      const average = rates.reduce((sum, x) => sum + x, 0) / steps;
      numbers(t, rates[t], average);
      text.textContent = filled(spec.spelling[schedule][warmup > 0 ? 1 : 0], state);
      plot.draw(() => curve(plot, rates, { t, log: axis === "log", steps: spec.steps }));
      plot.say(
        `The rate by the schedule ${words(schedule)}${warmup ? ` after ${warmup} steps of warm-up` : ""}, over ${steps} steps: ` +
          `${show(rates[0])} at first, ${show(Math.max(...rates))} at most, ${show(average)} on average, ${show(rates.at(-1))} at last. ` +
          `At step ${t} it is ${show(rates[t])}.`,
      );
    };
  },
});

/** The curve and the step that is read off. */
function curve(plot, rates, { t, log, steps }) {
  const most = Math.max(...rates) || 1;
  const { x, y } = plot.frame({
    x: [0, steps],
    y: log ? [DEEPEST * most, 1.5 * most] : [0, 1.08 * most],
    yLog: log,
  });
  const seen = rates.map((rate, k) => [k, rate]).filter(([, rate]) => !log || rate >= DEEPEST * most);
  const points = seen.map(([k, rate]) => [x(k), y(rate)]);
  const here = rates[t] >= DEEPEST * most || !log ? dot(x(t), y(rates[t])) : "";
  plot.curves([
    { color: COLOR, d: through(points) },
    { color: COLOR, name: "cf-now", d: here },
  ]);
  plot.mark(x(rates.length - 1));
}

/** A disk of 5 pixels as a path. */
const dot = (a, b) => `M${a - 5},${b}a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z`;

/** The numbers: the rate of the step that is read off, and the mean rate. */
function headlines(parent) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const now = headline(box, COLOR, { label: "rate at step 0", number: "" }, { live: false });
  const mean = headline(box, "var(--cf-fg)", { label: "on average", number: "" }, { live: false });
  return (t, rate, average) => {
    now.show({ label: `rate at step ${t}`, number: show(rate) });
    mean.show({ number: show(average) });
  };
}

/** The lines of code with the numbers in their places. */
const filled = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
