// The axes of a map. A value stands on its axis stretched: a rate by its logarithm, a decay by that of 1 - x; panning
// and zooming happen there.
import { scaleLinear } from "../../kit/vendor/d3.js";
import { STRETCH } from "../../kit/controls.js";
import { power, showChosen } from "../../kit/kit.js";

/**
 * @typedef {{ name: string, symbol: string, label: string, scale: string, limits: number[], narrowest: number, initial:
 * number[] }} Axis
 * @typedef {number[]} Bounds the low and the high end of what is shown
 */

/** What is wrong with a range, in words; empty if nothing is. */
export function complaint({ label, limits: [least, most] }, bounds) {
  const [low, high] = bounds,
    text = `from ${showChosen(low)} to ${showChosen(high)}`;
  if (!(Number.isFinite(low) && Number.isFinite(high))) return `The range of ${label} must be two finite numbers.`;
  if (low >= high) return `The range of ${label} is ${low === high ? "empty" : "inverted"}: ${text}.`;
  return low < least || high > most
    ? `The range of ${label}, ${text}, leaves what is allowed: from ${showChosen(least)} to ${showChosen(most)}.`
    : "";
}

const ends = ({ scale }, bounds) => bounds.map(STRETCH[scale].to);

/** The values in the middle of `cells` equal cells, as the floats that the map computes with. */
export function centers(axis, bounds, cells) {
  const [low, high] = ends(axis, bounds),
    { back } = STRETCH[axis.scale];
  return Float32Array.from({ length: cells }, (_, k) => back(low + ((k + 0.5) / cells) * (high - low)));
}

/** Where a value stands: 0 at the low end, 1 at the high one, beyond if it is not shown. */
export function placeOf(axis, bounds, value) {
  const [low, high] = ends(axis, bounds);
  return (STRETCH[axis.scale].to(value) - low) / (high - low);
}

/** The value at a place, with as few digits as tell it from its neighbors a quarter of a pixel away. */
export function valueAt(axis, bounds, place, pixels) {
  const [low, high] = ends(axis, bounds),
    exact = STRETCH[axis.scale].back(low + place * (high - low));
  for (let digits = 2; digits < 9; digits++) {
    const round =
      axis.scale === "decay" ? +(1 - +(1 - exact).toPrecision(digits)).toFixed(9) : +exact.toPrecision(digits);
    if (Math.abs(placeOf(axis, bounds, round) - place) * pixels < 0.25) return round;
  }
  return exact;
}

/** The range moved by a share of its length, as far as the limits let it go. */
export function moved(axis, bounds, share) {
  const [low, high] = ends(axis, bounds),
    [least, most] = ends(axis, axis.limits);
  const shift = Math.min(Math.max(share * (high - low), least - low), most - high);
  return shift ? within(axis, [low + shift, high + shift]) : bounds;
}

/** The range made `factor` times as long around a place, which stays where it is unless the limits are met. */
export function zoomed(axis, bounds, factor, place) {
  const [low, high] = ends(axis, bounds),
    [least, most] = ends(axis, axis.limits),
    size = high - low;
  const shortest = axis.narrowest * Math.max(axis.scale === "linear" ? Math.abs(low + high) / 2 : 1, axis.narrowest);
  const length = Math.min(most - least, Math.max(Math.min(size, shortest), size * factor));
  const start = Math.min(Math.max(low + place * (size - length), least), most - length);
  return within(axis, [start, start + length]);
}

function within({ scale, limits: [least, most] }, stretched) {
  return stretched.map((z) => Math.min(most, Math.max(least, +STRETCH[scale].back(z).toPrecision(12))));
}

/** Marks for an axis: [{ place, text }], about `count` of them. */
export function ticks(axis, bounds, count) {
  const [low, high] = bounds,
    [a, b] = ends(axis, bounds),
    decades = (b - a) / Math.LN10;
  const mark = (value, text = showChosen(value)) => ({ place: placeOf(axis, bounds, value), text });
  if (axis.scale === "log" && decades >= 1.5) {
    const first = Math.ceil(Math.log10(low) - 1e-9),
      last = Math.floor(Math.log10(high) + 1e-9),
      stride = Math.ceil((last - first + 1) / count);
    return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, k) => first + k * stride).map((e) =>
      mark(10 ** e, power(e)),
    );
  }
  if (axis.scale === "decay" && decades >= 1.5) {
    const nines = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999].filter(
      (x) => x >= low - 1e-12 && x <= high + 1e-12,
    );
    return nines.map((x) => mark(x));
  }
  return scaleLinear(bounds, [0, 1])
    .ticks(count)
    .map((x) => mark(x, String(+x.toPrecision(7)).replace("-", "−")));
}
