// Sliders: each shows a symbol, a name and a value; a double click (or Delete) brings back the value it began with.
import { make, put, showChosen, write } from "./kit.js";
import { linear_back, linear_to, log_back, log_to, decay_back, decay_to } from "./scales.js";

const STEPS = 400;

/** How a value is stretched on its scale, and back: Python's, see scales.py. */
export const STRETCH = {
  linear: { to: linear_to, back: linear_back },
  log: { to: log_to, back: log_back },
  decay: { to: decay_to, back: decay_back },
};

/** The value at a place of the slider, from 0 to 1. */
export function exactAt(place, { low, high, scale }) {
  const { to, back } = STRETCH[scale];
  return back(to(low) + place * (to(high) - to(low)));
}

/** The same, rounded as far as a reader reads it. */
export function valueAt(place, range) {
  const exact = exactAt(place, range);
  if (range.whole) return Math.round(exact);
  return range.scale === "decay" ? +(1 - +(1 - exact).toPrecision(2)).toFixed(6) : +exact.toPrecision(3);
}

export function placeOf(value, range) {
  if (value <= range.low) return 0;
  if (value >= range.high) return 1;
  const { to } = STRETCH[range.scale];
  return (to(value) - to(range.low)) / (to(range.high) - to(range.low));
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

/**
 * Buttons of which one is pressed: `options` are { value: text }, or the values alone. `choose(value)` is called when
 * one is pressed, `text` stands before them. Returns { box, mark(value) }.
 */
export function choice(
  parent,
  label,
  options,
  choose,
  { text = "", name = "cf-choice", title = (word) => `${label}: ${word}` } = {},
) {
  const box = make(parent, "div", name, { role: "group", "aria-label": label });
  if (text) write(box, "span", "cf-choice-text", text);
  const words = Array.isArray(options) ? Object.fromEntries(options.map((value) => [value, value])) : options;
  const buttons = Object.entries(words).map(([value, word]) => [
    value,
    button(box, word, title(word), () => choose(value)),
  ]);
  const mark = (chosen) => buttons.forEach(([value, node]) => node.setAttribute("aria-pressed", value === chosen));
  return { box, mark };
}

/**
 * A list of which one is chosen: `groups` are [heading, { value: text }], or { value: text } alone. Returns
 * { row, mark(value) }.
 */
export function select(parent, label, groups, choose) {
  const row = make(parent, "label", "cf-select");
  write(row, "span", "cf-name", label);
  const input = make(row, "select");
  const option = (box, [value, text]) => write(box, "option", "", text, { value });
  if (Array.isArray(groups))
    for (const [heading, options] of groups) {
      const box = make(input, "optgroup", "", { label: heading });
      Object.entries(options).forEach((pair) => option(box, pair));
    }
  else Object.entries(groups).forEach((pair) => option(input, pair));
  input.addEventListener("change", () => choose(input.value));
  return { row, mark: (value) => (input.value = value) };
}

/**
 * The slider that goes back and forth in time; `move(step)` is called, and it returns a function of (step, steps,
 * words) that shows it; the words say what stands at the step.
 */
export function scrubber(parent, move) {
  const row = make(parent, "label", "cf-scrubber");
  write(row, "span", "cf-name", "step");
  const input = make(row, "input", "", { type: "range", min: 0, step: 1, name: "step", "aria-label": "Step shown" });
  const value = make(row, "output", "cf-value");
  input.addEventListener("input", () => move(+input.value));
  return (step, steps, words = "") => {
    input.max = steps;
    input.value = step;
    value.textContent = step;
    input.setAttribute("aria-valuetext", words ? `${step}. ${words}` : step);
  };
}

/**
 * The number that answers the question, large. `texts` are the words that it begins with, in their order: label,
 * number, unit, note. Returns { node, show(texts, gone) }; `gone` where the run diverged.
 */
export function headline(parent, color, texts, { name = "", live = true } = {}) {
  const node = make(parent, "div", `cf-result ${name}`.trim(), live ? { role: "status" } : {});
  const parts = Object.fromEntries(
    Object.entries(texts).map(([part, text]) => [part, write(node, "span", `cf-${part.replace(/\d/, "")}`, text)]),
  );
  node.style.setProperty("--rule", color);
  const show = (now, gone = false) => {
    for (const [part, text] of Object.entries(now))
      if (parts[part].textContent !== text) parts[part].textContent = text;
    node.classList.toggle("cf-diverged", gone);
  };
  return { node, parts, show };
}
