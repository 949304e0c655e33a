// LocalModel: the quadratic model of a loss at θ, Newton's step and the gradient's. State: the traits in TRAITS.
import { button, choice } from "../kit/controls.js";
import { make, set, show } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { modelPlot } from "./local_model_plot.js";
import { sectionPlot } from "./local_model_section.js";
import { COLORS, NAMES, SHORT, curvatureTable, key, table, walkStrip } from "./local_model_tables.js";

const TRAITS = ["surface", "w", "trail", "damping", "lr", "gradient_lr", "direction"];
const FAR = 1e6; // a step that ends beyond leads nowhere
const LONGEST_TRAIL = 200;

/**
 * @typedef {{ name: string, label: string, domain: number[][], w: number[], gradient_lr: number, minima: number[][] }}
 * Surface
 */

export const render = live({
  label: "A loss and its quadratic model at one point",
  name: "cf-local",
  traits: TRAITS,
  build({ spec, code, root, model, put, columns, sliders, reset, fit, onEnd }) {
    const [left, right] = columns("cf-halves cf-ordered", ["cf-main cf-local-side", "cf-side cf-local-side"]);
    const surfaceOf = (name) => spec.surfaces.find((one) => one.name === name);
    const labels = Object.fromEntries(spec.surfaces.map(({ name, label }) => [name, label]));
    const surfaces = choice(left, "Surface", labels, (surface) => {
      const { w, gradient_lr } = surfaceOf(surface);
      put({ surface, w, gradient_lr, trail: [] });
    });
    surfaces.box.hidden = spec.surfaces.length < 2;
    surfaces.box.classList.add("cf-near");
    const plotBox = make(left, "div", "cf-near");
    key(left).classList.add("cf-far");
    const steps = make(left, "div", "cf-buttons");
    const take = Object.entries(spec.directions).map(([name, words]) => {
      const node = button(steps, `Take ${words}`, `Move θ to the end of ${words}`, () => walk(name));
      return [name, colored(node, name)];
    });
    const undo = button(steps, "Back", "Undo the last step", back);
    reset(left, steps);
    const slopes = walkStrip(left);
    const along = { text: "along", title: (word) => `Section along ${word}` };
    const directions = choice(right, "Section along", spec.directions, (direction) => put({ direction }), along);
    const sectionBox = make(right, "div");
    const section = sectionPlot(sectionBox);
    const tables = make(right, "div", "cf-far");
    const numbers = table(tables);
    const bends = curvatureTable(tables);
    const say = make(right, "p", "cf-note cf-local-note cf-far", { role: "status" });
    sliders(make(left.parentNode, "div", "cf-local-sliders cf-whole-row")).forEach((row, k) => {
      if (spec.controls[k].name !== "damping") return;
      const zero = ({ target }) => +target.value === 0 && put({ damping: 0 }); // a log scale has no 0 of its own
      row.querySelector("input").addEventListener("input", zero);
    });
    let drawn = null;
    let width = 0;

    const program = (name) => code[`${model.get("surface")}_${name}`];
    const settings = () => ["damping", "lr", "gradient_lr"].map((name) => model.get(name));
    const here = (w = model.get("w")) => judged(spec.fields, program("at")(...w, ...settings()));

    function walk(name) {
      const { end } = here().steps[name];
      if (!end) return;
      drawn?.seen();
      put({ trail: [...model.get("trail"), model.get("w")].slice(-LONGEST_TRAIL), w: end });
    }

    function back() {
      const trail = model.get("trail");
      if (trail.length) put({ trail: trail.slice(0, -1), w: trail.at(-1) });
    }

    /** A plot of its own for each surface, as each has its own domain. */
    function plotOf(one) {
      if (drawn?.name === one.name) return;
      drawn?.close();
      drawn = { name: one.name, ...modelPlot(plotBox, one, code[`${one.name}_loss`], (w) => put({ w, trail: [] })) };
      if (width) drawn.resize(width);
    }

    /** The loss and its model along the chosen step from w. */
    function drawSection(w, now, chosen) {
      const step = now.steps[chosen];
      const d = step.end?.map((x, k) => x - w[k]);
      if (!step.end) return section.empty("There is no such step here.");
      if (!d.some((x) => x !== 0)) return section.empty("The step has the length 0.");
      const line = program("along");
      const face = { color: COLORS[chosen], name: spec.directions[chosen] };
      section.draw({ ...step, ...face, loss: now.loss, along: (s) => line(...w, ...d, s) });
    }

    const resize = (wide) => {
      width = wide;
      drawn?.resize(wide);
    };
    fit(plotBox, { resize }, true);
    fit(sectionBox, section);
    onEnd(() => drawn?.close());

    return ({ surface, w, trail, direction }) => {
      const one = surfaceOf(surface);
      plotOf(one);
      const now = here(w);
      surfaces.mark(surface);
      directions.mark(direction);
      const arrows = Object.entries(now.steps).map(([name, { end }]) => ({ name, color: COLORS[name], end }));
      drawn.draw({ w, trail, now, arrows: arrows.reverse(), model: program("model") }); // Newton's on top
      drawSection(w, now, direction);
      numbers(now, direction);
      bends(now);
      say.textContent = inWords(now, one.domain);
      slopes([...trail, w], (point) => here(point).slope);
      take.forEach(([name, node]) => set(node, { "aria-disabled": !now.steps[name].end }));
      set(undo, { "aria-disabled": !trail.length });
      drawn.say(
        `Contours of ${one.label} and of its quadratic model at ${pair(w)}, ${judgment(now, spec.directions)}.`,
      );
    };
  },
});

/** The point and the two steps in words. */
function judgment(now, directions) {
  const steps = Object.entries(now.steps).map(([name, { end, promised, reached, ratio }]) =>
    end
      ? `${directions[name]} ends at ${pair(end)}: promised ${show(promised)}, reached ${show(reached)}, ratio ${ratioText(ratio)}`
      : `no ${SHORT[name]} step`,
  );
  const curvatures = now.curvatures.map(show).join(" and ");
  return `where the loss is ${show(now.loss)}. Curvatures ${curvatures}: ${NAMES[now.kind]}. ${steps.join(". ")}`;
}

const pair = (point) => `(${point.map(show).join(", ")})`;
const ratioText = (ratio) => (Number.isNaN(ratio) ? "none" : show(ratio));

/** What `at` returned, by name; `steps` has an `end` only where the step exists and leads somewhere. */
function judged(fields, flat) {
  const now = {};
  let k = 0;
  for (const [name, size] of fields) {
    now[name] = size > 1 ? flat.slice(k, k + size) : flat[k];
    k += size;
  }
  const kind = ([low, high]) =>
    low === 0 || high === 0 ? "singular" : low > 0 ? "minimum" : high < 0 ? "maximum" : "saddle";
  now.kind = kind(now.curvatures);
  now.damped_kind = kind(now.damped_curvatures);
  now.steps = Object.fromEntries(
    ["newton", "gradient"].map((name) => {
      const [end, promised, reached, ratio, flatAt, bend] = ["end", "promised", "reached", "ratio", "flat", "bend"].map(
        (part) => now[`${name}_${part}`],
      );
      const exists = (name === "gradient" || now.damped_kind !== "singular") && end.every((x) => Math.abs(x) < FAR);
      return [name, { end: exists ? end : null, promised, reached, ratio, flat: flatAt, bend }];
    }),
  );
  return now;
}

/** Where Newton's step leads, by the signs of the eigenvalues of H + μI, and whether its end can be seen. */
function inWords({ damped_kind, slope, steps, damped_curvatures: [low] }, [[x0, x1], [y0, y1]]) {
  if (slope === 0) return "The gradient is 0: θ is a stationary point, and both steps have the length 0.";
  if (damped_kind === "singular") return "H + μI is singular: Newton's step does not exist. Move θ or change μ.";
  const { end } = steps.newton;
  if (!end)
    return `H + μI is nearly singular, with the eigenvalue ${show(low)}: Newton's step leads out of all bounds.`;
  const lead = {
    minimum: "H + μI is positive definite: Newton's step goes downhill at first.",
    saddle: "H + μI is indefinite: Newton's step aims at a saddle.",
    maximum: "H + μI is negative definite: Newton's step climbs, toward a maximum.",
  }[damped_kind];
  const seen = end[0] >= x0 && end[0] <= x1 && end[1] >= y0 && end[1] <= y1;
  return seen ? lead : `${lead} It ends outside the picture, at ${pair(end)}.`;
}

function colored(node, name) {
  node.style.setProperty("--rule", COLORS[name]);
  node.classList.add("cf-taker");
  return node;
}
