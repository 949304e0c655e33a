// What can be dragged looks alike everywhere: a ring, which is a slider in two directions to keys and screen readers.
import { make, onArrows, onDrag } from "./kit.js";

/**
 * A ring in `parent`, whose svg must not be an image: what lies inside an image is announced to nobody. `drag(event)`
 * is called at each position of the pointer, `arrows(dx, dy)` for arrow keys. Returns { node, place(x, y, text, value)
 * }.
 */
export function handle(parent, { label, drag, arrows, name = "cf-start", touch = 20, ring = 8 }) {
  const node = make(parent, "g", name, { tabindex: 0, role: "slider", "aria-label": label, "aria-valuenow": 0 });
  make(node, "circle", "cf-touch", { r: touch });
  make(node, "circle", name === "cf-datum" ? "cf-point" : "cf-ring", { r: ring });
  onDrag(node, drag);
  onArrows(node, arrows);
  return {
    node,
    /** Put it there, in pixels; `text` says where that is, `value` is its first number. */
    place(x, y, text, value) {
      node.setAttribute("transform", `translate(${x},${y})`);
      node.setAttribute("aria-valuetext", text);
      node.setAttribute("aria-valuenow", value);
    },
  };
}
