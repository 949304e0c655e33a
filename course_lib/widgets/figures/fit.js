// Fit: the loss surface of a model with two parameters, beside its data. State: model, w, x, y, lr.
import { button, choice, headline } from "../kit/controls.js";
import { make, show, showChosen } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { dataPlot } from "./fit_data.js";
import { COLOR, parameterPlot } from "./fit_surface.js";

const FAR = 1e4; // a parameter beyond has left for good
const MANY = 50; // steps of the second button

/** @typedef {{ name: string, w: number[], x: number[], y: number[], domain: number[][] }} Example */

export const render = live({
  label: "A model, its data and its loss surface",
  traits: ["model", "w", "x", "y", "lr"],
  build({ spec, code, model, put, columns, sliders, reset, fit, onEnd }) {
    const [left, right] = columns("cf-halves", ["", ""]);
    const names = spec.models.map(({ name }) => name);
    const example = (name) => spec.models.find((one) => one.name === name);
    const models = choice(
      left,
      "Model",
      names,
      (name) => {
        const { w, x, y, lr } = example(name);
        put({ model: name, w, x, y, lr });
      },
      { name: "cf-buttons cf-models", title: (name) => `The model ${name} with its data` },
    );
    models.box.hidden = names.length < 2;
    const number = headline(
      right,
      COLOR,
      { label: "loss J(θ)", number: "", note1: "", note2: "" },
      { name: "cf-fit-result" },
    );
    const plotBox = make(left, "div");
    const dataBox = make(right, "div");
    sliders(left);
    const data = dataPlot(dataBox, (k, x, y) =>
      put({ x: replaced(model.get("x"), k, x), y: replaced(model.get("y"), k, y) }),
    );
    const buttons = make(right, "div", "cf-buttons");
    button(buttons, "1 step", "One step of gradient descent: θ − η∇J(θ)", () => walk(1));
    button(buttons, `${MANY} steps`, `${MANY} steps of gradient descent`, () => walk(MANY));
    reset(right, buttons, () => (trail = []));
    let surface = null;
    let width = 0;
    let trail = [];
    let framed = "";

    const call = (name, w, ...more) =>
      code[`${model.get("model")}_${name}`](...w, ...model.get("x"), ...model.get("y"), ...more);
    const at = (w) => {
      const [loss, a, b, length, u, v] = call("at", w, model.get("lr"));
      return { loss, gradient: [a, b], length, next: [u, v] };
    };
    const stays = ({ next }) => next.every((v) => Math.abs(v) < FAR);

    /** Steps against the gradient, as far as numbers go. */
    function walk(steps) {
      follow();
      for (let k = 0; k < steps; k++) {
        const state = at(trail.at(-1));
        if (!stays(state)) break;
        trail.push(state.next);
      }
      surface.seen();
      put({ w: trail.at(-1) });
    }

    /** The trail ends where θ is: where something else moved θ, a new one begins. */
    function follow() {
      const w = model.get("w");
      const last = trail.at(-1);
      if (!last || last[0] !== w[0] || last[1] !== w[1]) trail = [w];
    }

    /** A plot of its own for each model, as each has its own domain. */
    function plotOf({ name, domain }) {
      if (surface?.name === name) return;
      surface?.close();
      surface = { name, ...parameterPlot(plotBox, domain, (w) => put({ w })) };
      if (width) surface.resize(width);
    }

    const resize = (wide) => {
      width = wide;
      surface?.resize(wide);
    };
    fit(plotBox, { resize }, true);
    fit(dataBox, data);
    onEnd(() => surface?.close());

    return ({ model: name, w, x, y }) => {
      const one = example(name);
      plotOf(one);
      models.mark(name);
      surface.contours(JSON.stringify([name, x, y]), {
        loss: (a, b) => call("loss", [a, b]),
        newton: (a, b) => call("newton", [a, b]),
      });
      if (framed !== name || !data.holds(x, y)) data.frame([...one.x, ...x], [...one.y, ...y]);
      framed = name;
      follow();
      const state = at(w);
      surface.draw(trail, state);
      data.draw(x, y, (value) => code[`${name}_predict`](value, ...w));
      const [a, b] = state.gradient.map(show);
      const length = show(state.length);
      number.show({
        number: show(state.loss),
        note1: `∇J = (${a}, ${b})`,
        note2: stays(state) ? `‖∇J‖ = ${length}` : "the next step leaves for good",
      });
      const place = `${showChosen(w[0])}, ${showChosen(w[1])}`;
      const words = `loss ${show(state.loss)}, gradient ${a}, ${b}, of length ${length}`;
      surface.say(`Loss surface of the model ${name}. At θ ${place}: ${words}.`);
      data.say(`${x.length} data points and the model's curve at θ ${place}.`);
    };
  },
});

const replaced = (values, k, value) => values.map((old, i) => (i === k ? value : old));
