// The life of a figure, the same for all: make it, draw it in the next frame whenever a trait or its width changes, end
// it.
import { button, slider } from "./controls.js";
import { load, make, onNextFrame, onResize, put } from "./kit.js";

/**
 * The `render` of a figure. `build(stage)` makes what stands in the page and returns `draw(state)`, which is called
 * with the values of the `traits` by name. `label` names the figure, `name` adds classes to its root; `label` and
 * `traits` may be functions of the spec. `unpack` turns the trait `code` into a module's text.
 *
 * @typedef {{ root: HTMLElement, model: object, spec: object, code: object, state: () => object, ask: () => void }}
 * Stage
 */
export function live({ label, name = "", traits, unpack = (text) => text, build }) {
  return async ({ model, el }) => {
    const spec = model.get("spec");
    const code = await load(await unpack(model.get("code")));
    const of = (x) => (typeof x === "function" ? x(spec) : x);
    const root = make(el, "div", `cf ${name}`.trim(), { role: "group", "aria-label": of(label) });
    const names = of(traits);
    const ends = [];
    const stage = stageOf({ model, spec, code, root, names, ends });
    const draw = build(stage);
    const now = () => draw(stage.state());
    const ask = onNextFrame(now);
    Object.assign(stage, { now, ask });
    names.forEach((trait) => model.on(`change:${trait}`, ask));
    root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take the arrow keys
    return () => {
      ends.forEach((end) => end());
      ask.cancel();
      names.forEach((trait) => model.off(`change:${trait}`, ask));
    };
  };
}

function stageOf({ model, spec, code, root, names, ends }) {
  const stage = {
    model,
    spec,
    code,
    root,
    ask: () => {},
    now: () => {},
    /** The traits by name, as they are. */
    state: () => Object.fromEntries(names.map((name) => [name, model.get(name)])),
    /** Set traits. */
    put: (values) => put(model, values),
    /** Call this when the figure leaves the page. */
    onEnd: (end) => ends.push(end),
    /** Two columns, one below the other where the page is narrow: [main, side]. */
    columns(name = "", [main, side] = ["cf-main", "cf-side"]) {
      const grid = make(root, "div", `cf-grid ${name}`.trim());
      return [make(grid, "div", main), make(grid, "div", side)];
    },
    /** The sliders that the spec lists; returns their rows. */
    sliders: (parent) => spec.controls.map((control) => slider(parent, model, control)),
    /** A button that brings back the values of `spec.initial`, after `first()`; returns the box that it stands in. */
    reset(parent, box = make(parent, "div", "cf-buttons"), first = () => {}) {
      button(box, "Reset", "Back to the start values", () => {
        first();
        put(model, structuredClone(spec.initial));
      });
      return box;
    },
    /**
     * Keep plots as wide as their box: `resize(width)` of each, then a new drawing, for the `main` box without waiting.
     */
    fit(box, plots, main = false) {
      const all = [plots].flat();
      ends.push(
        onResize(box, (width) => {
          all.forEach((plot) => plot.resize(width));
          main ? stage.now() : stage.ask();
        }),
      );
    },
  };
  return stage;
}
