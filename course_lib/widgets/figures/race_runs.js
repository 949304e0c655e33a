// How runs of a race went, who is ahead, and how a scan of hundreds of them leaves the page free.

import { DIVERGED, REACHED, endOf } from "../kit/ends.js";
import { lossesAbove } from "../kit/rows.js";

/**
 * @typedef {{ steps: number, above: number, lost: number, ended: object }} Run steps until it stays at the goal, or
 * Infinity; loss above the minimum at the end; the step at which it diverged, or -1; what endOf says of it
 */

const SLICE = 9; // ms of a frame that a scan may take

/** How a run went, from its rows, by the formula that Python uses too. @returns {Run} */
export function outcome(code, rows, stride, { floor, top }, goal) {
  const above = lossesAbove(rows, stride, floor);
  const ended = endOf(code, above, goal);
  const out = ended.end === DIVERGED ? above.findIndex((z) => !(z < top)) : -1;
  const lost = ended.end === DIVERGED && out < 0 ? above.length - 1 : out;
  return { steps: ended.end === REACHED ? ended.late : Infinity, above: above.at(-1), lost, ended };
}

const standing = (code, run) => code.standing(run.lost >= 0 ? NaN : run.steps, run.above);

/**
 * A comparison for sorting: first those that arrive, by their steps; then those on their way, by their loss; then those
 * that diverged.
 */
export const compare = (code) => (a, b) => {
  const [[group, order], [other, more]] = [standing(code, a), standing(code, b)];
  return group - other || order - more || a.above - b.above;
};

/** The place of the best run in a row of the map, the first of equals. */
export function best(code, row) {
  const standings = row.map((run) => standing(code, run));
  return standings.reduce(
    (k, [group, order], j) => ((group - standings[k][0] || order - standings[k][1]) < 0 ? j : k),
    0,
  );
}

/**
 * Work through the generator `job()` in slices between frames, then `done(result)`. What is asked for while it works
 * begins when it is through, so that a drag never starves it and the last picture stays until the next one is complete.
 */
export function inSlices(job, done, busy) {
  let frame = 0;
  let again = false;
  let running = false;

  function finish(result) {
    running = false;
    done(result);
    if (!again) return busy(false);
    again = false;
    start();
  }

  function slice(parts) {
    const end = performance.now() + SLICE;
    for (let part = parts.next(); ; part = parts.next()) {
      if (part.done) return finish(part.value);
      if (performance.now() > end) break;
    }
    frame = requestAnimationFrame(() => slice(parts));
  }

  function start() {
    if (running) return (again = true);
    running = true;
    busy(true);
    slice(job());
  }

  start.cancel = () => cancelAnimationFrame(frame);
  return start;
}
