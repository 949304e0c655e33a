// Sliders: each shows a symbol, a name and a value; a double click (or Delete) brings back the value it began with.
import { make, put, showChosen } from "./kit.js";

const STEPS = 400;

/** How the places of a slider, 0 to 1, map to values: `value(place, range)` and `place(value, range)`. */
const SCALES = {
  linear: {
    value: (u, { low, high }) => low + u * (high - low),
    place: (x, { low, high }) => (x - low) / (high - low),
  },
  log: {
    value: (u, { low, high }) => low * (high / low) ** u,
    place: (x, { low, high }) => Math.log(x / low) / Math.log(high / low),
  },
  decay: {
    value: (u, { low, high }) => 1 - (1 - low) * ((1 - high) / (1 - low)) ** u,
    place: (x, { low, high }) => Math.log((1 - x) / (1 - low)) / Math.log((1 - high) / (1 - low)),
  },
};

/** The value at a place of the slider, rounded as far as a reader reads it. */
export function valueAt(place, range) {
  const exact = SCALES[range.scale].value(place, range);
  if (range.whole) return Math.round(exact);
  return range.scale === "decay" ? +(1 - +(1 - exact).toPrecision(2)).toFixed(6) : +exact.toPrecision(3);
}

export function placeOf(value, range) {
  if (value <= range.low) return 0;
  return value >= range.high ? 1 : SCALES[range.scale].place(value, range);
}

/** A slider for the trait `control.name`; returns its row. Python's changes move it too. */
export function slider(parent, model, control) {
  const { name, symbol, label, range, initial } = control;
  const row = make(parent, "label", "cf-slider", { title: "Double click: back to the start" });
  make(row, "span", "cf-symbol").textContent = symbol;
  make(row, "span", "cf-name").textContent = label === symbol ? "" : label;
  const value = make(row, "output", "cf-value");
  const input = make(row, "input", "", { type: "range", min: 0, max: STEPS, step: 1, name });
  const follow = () => {
    const x = model.get(name);
    input.value = Math.round(placeOf(x, range) * STEPS);
    value.textContent = showChosen(x);
    input.setAttribute("aria-label", label);
    input.setAttribute("aria-valuetext", `${label} ${showChosen(x)}`);
  };
  const reset = () => put(model, { [name]: initial });
  input.addEventListener("input", () => put(model, { [name]: valueAt(input.value / STEPS, range) }));
  row.addEventListener("dblclick", reset);
  input.addEventListener("keydown", (event) => event.key === "Delete" && reset());
  model.on(`change:${name}`, follow);
  follow();
  return row;
}

/** A button, one word or two. */
export function button(parent, text, title, act) {
  const node = make(parent, "button", "cf-button", { type: "button", title });
  node.textContent = text;
  node.addEventListener("click", act);
  return node;
}
