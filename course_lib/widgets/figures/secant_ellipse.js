// SecantEllipse: the path of a quasi-Newton rule, and at each step the ellipse of B beside that of the inverse Hessian.
import { line } from "../kit/vendor/d3.js";
import { contourPlot } from "../kit/contour_plot.js";
import { choice, headline, scrubber } from "../kit/controls.js";
import { make, set, show, write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";
import { numbersOf, readout, stepLength } from "../kit/readout.js";
import { minimaOf } from "../kit/rows.js";

const PHASES = Array.from({ length: 97 }, (_, k) => (k * Math.PI) / 48);
const SMALLEST = 1e-16; // as far as doubles tell B from the inverse Hessian
const B_COLOR = "var(--cf-rule-bfgs)";
const KEY = [
  ["Filled", "b"],
  [": B. "],
  ["Dashed", "h"],
  [": H⁻¹, with the same area. From the center: the steps −Bg and −H⁻¹g."],
];

const QUANTITIES = ["w = (x, y)", "loss J", "gradient ∇J", "step length", "λ of B", "λ of H⁻¹"];

export const render = live({
  label: (spec) => spec.title,
  name: "cf-secant",
  traits: (spec) => [...spec.hyper, "search", "start", "steps", "step"],
  build({ spec, code, root, put, columns, sliders, reset, fit, onEnd }) {
    const [main, side] = columns("cf-ordered");
    const contourBox = make(main, "div", "cf-near");
    const contour = contourPlot(contourBox, spec.domain, (start) => put({ start }));
    const marks = overlay(contour, code);
    const showStep = scrubber(make(main, "div", "cf-near"), (step) => put({ step }));
    const key = make(main, "p", "cf-note cf-secant-note cf-far");
    const read = readout(make(main, "div", "cf-far"), [{ label: "B", color: B_COLOR }], QUANTITIES);
    for (const [text, name] of KEY) name ? write(key, "b", `cf-word-${name}`, text) : key.append(text);
    const results = make(side, "div", "cf-results", { role: "status" });
    const [error, loss] = [
      ["error of B", B_COLOR],
      ["loss", "var(--cf-fg)"],
    ].map(([label, color]) => headline(results, color, { label, number: "", unit: "" }, { live: false }));
    const box = make(side, "div", "cf-far");
    const of = ["cf-of-b", "cf-of-b", "cf-of-h", "cf-of-h"];
    const values = trackPlot(box, ["eigenvalues of ", ["B", "cf-word-b"], " and ", ["H⁻¹", "cf-word-h"]], of);
    const errors = trackPlot(box, ["relative error ‖B − H⁻¹‖ / ‖H⁻¹‖"], ["cf-of-b"]);
    const controls = make(main.parentNode, "div", "cf-secant-controls cf-whole-row");
    sliders(controls);
    const searches = Object.fromEntries(spec.runs.map(({ label }) => [label, `${label} search`]));
    const search = choice(controls, "Search along the line", searches, (name) => put({ search: name }), {
      name: "cf-buttons",
      title: (word) => `${word} along the line`,
    });
    reset(controls, search.box);
    fit(contourBox, contour, true);
    fit(box, [values, errors]);
    onEnd(contour.close);

    return (state) => {
      const { steps, start } = state;
      const step = Math.min(state.step, steps);
      const shape = spec.surface.map((name) => state[name]);
      const loop = code[spec.runs.find(({ label }) => label === state.search).key];
      const surface = (x, y) => code.loss(x, y, ...shape);
      contour.surface(JSON.stringify(shape), surface, { minima: minimaOf(code, shape) });
      const trail = follow(code, loop(start, steps, state), shape);
      contour.paths([{ color: B_COLOR, points: trail.map(({ w }) => w), diverged: -1 }], step, start);
      const here = trail[step];
      const slope = code.slope(...here.w, ...shape);
      marks(here, slope, spec.size);
      error.show({ number: show(here.error), unit: `at step ${step}` });
      loss.show({ number: show(here.loss), unit: `at step ${step}` });
      const both = ["own", "wanted"].flatMap((name) => [0, 1].map((k) => trail.map((at) => at[name][k])));
      values.draw(both, step);
      errors.draw([trail.map((at) => at.error)], step);
      search.mark(state.search);
      const length = stepLength(here.w, trail[step - 1]?.w);
      const eigenvalues = [here.own, here.wanted].map((pair) => pair.map(show).join(" and "));
      const cells = [numbersOf(here.w), show(here.loss), numbersOf(slope), length, ...eigenvalues];
      read(`At step ${step}`, [cells]);
      showStep(step, steps, `${QUANTITIES.map((name, k) => `${name} ${cells[k]}`).join(", ")}.`);
      const [words, wanted] = [here.own, here.wanted].map((pair) => pair.map(show).join(" and "));
      const none = here.wanted[0] > 0 ? "" : " One of them is negative, so H⁻¹ has no ellipse here.";
      contour.say(
        `${spec.title}, ${state.search} search. At step ${step} B has the eigenvalues ${words}, the inverse Hessian ${wanted}.${none} ` +
          `The relative error of B is ${show(here.error)}, the loss ${show(here.loss)}.`,
      );
      values.say(
        `The eigenvalues of B and of the inverse Hessian over ${steps} steps. At step ${step}: ${words}, and ${wanted}.`,
      );
      errors.say(
        `The relative error of B over ${steps} steps: ${show(trail[0].error)} at step 0, ${show(here.error)} at step ${step}, ` +
          `${show(trail.at(-1).error)} at the end.`,
      );
    };
  },
});

/**
 * A traced run's rows, one entry a step: the loss, w, B, the inverse Hessian, the eigenvalues of both, and the error.
 */
function follow(code, rows, shape) {
  const width = 7; // the loss, w and B
  return Array.from({ length: rows.length / width }, (_, k) => {
    const [loss, x, y, ...B] = rows.subarray(k * width, (k + 1) * width);
    const H = code.inverse_hessian(x, y, ...shape);
    const [own, wanted] = [code.eigenvalues(...B), code.eigenvalues(...H)];
    return { loss, w: [x, y], B, H, own, wanted, error: code.relative_error(...B, ...H) };
  });
}

/** The two ellipses and the steepest point of each, over the contours: a function that draws them. */
function overlay(contour, code) {
  const layer = contour.layer("cf-secant-marks", "ring");
  const marks = ["b", "h"].map((name) => [
    make(layer, "path", `cf-ellipse-${name}`),
    make(layer, "path", `cf-ray-${name}`),
  ]);
  const gone = make(layer, "text", "cf-hint cf-no-ellipse", { x: 8 });
  return ({ w, B, H, wanted }, g, size) => {
    const place = ([a, b]) => contour.pixel([w[0] + a, w[1] + b]);
    const curved = wanted[0] > 0;
    [
      [B, true],
      [H, curved],
    ].forEach(([matrix, visible], k) => {
      const [ellipse, ray] = marks[k];
      const end = visible ? code.steepest(...g, ...matrix, size) : [NaN];
      const points = visible ? PHASES.map((phase) => place(code.ellipse(phase, ...matrix, size))) : [];
      set(ellipse, { d: through(points) });
      set(ray, { d: end.every(Number.isFinite) ? through([place([0, 0]), place(end)]) : "" });
    });
    gone.textContent = curved ? "" : "H curves downward here: no ellipse of H⁻¹";
    set(gone, { y: contour.size()[1] - 10 });
  };
}

/**
 * Positive numbers over the steps on a log axis: { resize(width), draw(series, step), say(words) }; `names` are the
 * lines' classes.
 */
function trackPlot(parent, title, names) {
  const plot = linePlot(parent, { title: "", height: 152, top: 22, right: 10, bottom: 22, left: 44 });
  for (const part of title)
    Array.isArray(part) ? write(plot.title, "tspan", part[1], part[0]) : plot.title.append(part);

  function draw(series, step) {
    const seen = series.flat().filter((z) => z > SMALLEST && Number.isFinite(z));
    const last = series[0].length - 1;
    const low = seen.length ? Math.floor(Math.log10(Math.min(...seen))) : -1;
    const top = Math.max(seen.length ? Math.ceil(Math.log10(Math.max(...seen))) : 0, low + 1);
    const stride = Math.ceil((top - low) / 4);
    const yTicks = Array.from({ length: Math.floor((top - low) / stride) + 1 }, (_, k) => 10 ** (low + k * stride));
    const every = Math.ceil((last + 1) / 7);
    const xTicks = Array.from({ length: Math.floor(last / every) + 1 }, (_, k) => k * every);
    const { x, y } = plot.frame({ x: [0, last], y: [10 ** low, 10 ** top], xTicks, xFormat: String, yTicks });
    const path = line() // with a gap where there is nothing positive to draw; zero lies on the floor
      .defined((z) => z >= 0)
      .x((_, k) => x(k).toFixed(1))
      .y((z) => y(Math.min(10 ** top, Math.max(z, 10 ** low))).toFixed(1));
    plot.curves(series.map((numbers, k) => ({ name: `cf-track ${names[k]}`, d: path(numbers) ?? "" })));
    plot.mark(x(step));
  }

  return { ...plot, draw: (...what) => plot.draw(() => draw(...what)) };
}
