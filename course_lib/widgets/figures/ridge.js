// Ridge: the minimum of a quadratic loss with weight decay, for every strength of the decay, and two paths to it.
import { contourPlot } from "../kit/contour_plot.js";
import { headline } from "../kit/controls.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { pointsOf } from "../kit/rows.js";
import { overlay, sharesPlot } from "./ridge_plots.js";

const FAR = 100; // a run that ends beyond has diverged
const NOTE =
  "Drag the start, or the data's minimum θ*. Dotted: where the minimum goes as λ grows. " +
  "Bars from 0: the share of θ* that is left along the valley and across it.";

export const render = live({
  label: "A loss with weight decay",
  name: "cf-ridge",
  traits: (spec) => [...spec.controls.map((c) => c.name), "start", "minimum", "steps"],
  build({ spec, code, put, columns, sliders, reset, fit, onEnd }) {
    const [main, side] = columns();
    const contour = contourPlot(main, spec.domain, (start) => put({ start }));
    const marks = overlay(contour, code, (minimum) => put({ minimum }));
    write(main, "p", "cf-note cf-ridge-note", NOTE);
    const box = make(main, "div");
    const shares = sharesPlot(box, spec.decays);
    const rows = headlines(side, spec.runs);
    sliders(side);
    reset(side);
    fit(main, contour, true);
    fit(box, shares);
    onEnd(contour.close);

    return (state) => {
      const { decay, lr, momentum, condition_number: kappa, angle, start, minimum, steps } = state;
      const place = [...minimum, kappa, angle];
      const solution = code.ridge_minimum(...place, decay);
      contour.surface(place.join(), (x, y) => code.bowl(x, y, ...place), { floor: 0 });
      const hyper = { lr, momentum, decay, x: minimum[0], y: minimum[1], condition_number: kappa, angle };
      const runs = spec.runs.map((run) => {
        const points = pointsOf(code[run.key](start, steps, hyper), code[run.key].columns.length);
        return { ...run, ...ended(points, solution) };
      });
      contour.paths(runs, steps, start);
      marks.draw({ place, decay, minimum, solution, kept: [1, kappa].map((h) => code.shrinkage(h, decay)) });
      const norm = (strength) => ratio(Math.hypot(...code.ridge_minimum(...place, strength)), Math.hypot(...minimum));
      const words = rows(norm(decay), runs, steps);
      shares.draw({ decay, kappa, share: code.shrinkage, norm });
      contour.say(
        `Contours of a loss of condition number ${showChosen(kappa)} with its minimum at ${minimum.map(showChosen).join(", ")}. ` +
          `Weight decay ${showChosen(decay)} moves it to ${[...solution].map(show).join(", ")}. ${words}.`,
      );
    };
  },
});

const ratio = (a, b) => (b > 0 ? a / b : 1);

/** A run's points, the step at which it left for good (-1: it stayed), and its distance to the solution at the end. */
function ended(points, [a, b]) {
  const far = ([x, y]) => !(Math.hypot(x, y) < FAR);
  const diverged = far(points.at(-1)) ? points.findIndex(far) : -1;
  const [x, y] = points.at(-1);
  return {
    points: diverged < 0 ? points : points.slice(0, diverged + 1),
    diverged,
    distance: Math.hypot(x - a, y - b),
  };
}

/** The numbers; returns a function that shows them and gives the words. */
function headlines(parent, runs) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const row = (label, color, unit) => headline(box, color, { label, number: "", unit }, { live: false });
  const norm = row("norm of θλ", "var(--cf-fg)", "of that of θ*");
  const ends = runs.map((run) => row(run.label, run.color, ""));
  return (share, walks, steps) => {
    const percent = `${show(100 * share)}%`;
    norm.show({ number: percent });
    const words = walks.map(({ label, diverged, distance }, k) => {
      const gone = diverged >= 0;
      const unit = gone ? `at step ${diverged}` : `away, step ${steps}`;
      ends[k].show({ number: gone ? "diverged" : show(distance), unit }, gone);
      return `${label}: ${gone ? `diverged at step ${diverged}` : `${show(distance)} away after ${steps} steps`}`;
    });
    return [`Its norm is ${percent} of the data's`, ...words].join(". ");
  };
}
