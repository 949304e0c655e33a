// The three ends of a run, told apart by the traced rule: what each looks like and what it is called.
import { show, write } from "./kit.js";

/** By the number that the rule gives. */
export const ENDS = [
  { name: "reached", mark: "✓", color: "var(--cf-reached)" },
  { name: "not settled", mark: "∼", color: "var(--cf-late-text)" },
  { name: "diverged", mark: "✕", color: "var(--cf-lost-text)" },
];
export const REACHED = 0;
export const NOT_SETTLED = 1;
export const DIVERGED = 2;

/**
 * How a run ended, from its losses above the floor at t = 0, 1, …: { end, late, high }. It stays at the `goal` from
 * step `late` on, and after its middle below `high`. `code` has the traced functions.
 */
export function endOf(code, above, goal) {
  const steps = above.length - 1;
  const half = Math.floor(steps / 2);
  let [late, before, after] = [0, 0, steps ? 0 : Math.abs(above[0])];
  for (let t = 0; t <= steps; t++) {
    late = code.steps_to_goal(late, t, above[t], goal);
    if (t <= half) before = Math.max(before, Math.abs(above[t]));
    else after = Math.max(after, Math.abs(above[t]));
  }
  return { end: code.end_of_run(late, before, after, Math.abs(above[steps]), steps), late, high: after };
}

/** The end in words; `when` is the step at which it diverged. */
export function endWords({ end, late, high }, when) {
  if (end === REACHED) return `reached at step ${late}`;
  return end === DIVERGED ? `diverged at step ${when}` : `not settled, stays below ${show(high)}`;
}

/** The same with its mark and its color, into an element. */
export function writeEnd(node, ended, when) {
  const { mark, color } = ENDS[ended.end];
  const words = endWords(ended, when);
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren();
  const sign = write(node, "span", "cf-end-mark", mark, { "aria-hidden": "true" });
  sign.style.color = color;
  node.append(` ${words.replace("not settled, stays below", "not settled, ≤").replace(" step", "")}`);
}
