// What a traced loop returns is one flat array: a row for t = 0, 1, …, with the loss, the coordinates and the rule's
// state.
import { DIVERGED } from "./ends.js";

/** [[x, y], …] of x, y, x, y, … */
export const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);

/** One column of the rows. */
export const column = (rows, k, width) =>
  Array.from({ length: rows.length / width }, (_, row) => rows[row * width + k]);

/** The points of a run, its columns 1 and 2. */
export const pointsOf = (rows, width) =>
  Array.from({ length: rows.length / width }, (_, k) => [rows[k * width + 1], rows[k * width + 2]]);

/** The losses of a run above `floor`. */
export const lossesAbove = (rows, width, floor) =>
  Float64Array.from({ length: rows.length / width }, (_, k) => rows[k * width] - floor);

/** Whether a point is near enough to be drawn. */
export const drawable = ([x, y]) => Math.abs(x) < 1e6 && Math.abs(y) < 1e6;

/**
 * A run as it is drawn, { points, above, diverged, … }: one that diverged is drawn up to the first step that is above
 * `top`; `diverged` is that step, -1 for the others. `ended` is what endOf says of it.
 */
export function cut(points, above, top, ended) {
  const out = above.findIndex((z) => !(z < top));
  const diverged = ended.end === DIVERGED ? (out < 0 ? above.length - 1 : out) : -1;
  const kept = (diverged < 0 ? points : points.slice(0, diverged + 1)).filter(drawable);
  return { points: kept, above, diverged, ended };
}

/** The minima that a traced formula finds for these hyperparameters; none where there is no formula. */
export const minimaOf = (code, shape) => (code.minima ? pairs([code.minima(...shape)].flat()) : []);
