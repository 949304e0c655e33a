// The colors of all maps: from bright, for what is small, to dark, on a logarithmic scale; and the legend that says so.
import { interpolateViridis } from "./vendor/d3.js";
import { make, write } from "./kit.js";

/** How far x lies between two positive numbers, by ratios: 0 to 1, also for what lies outside. */
export const logShare = (x, low, high) => Math.min(1, Math.max(0, Math.log(x / low) / Math.log(high / low)));

const ROUND = [1, 2, 5, 10];

/** The positive numbers' range, its ends moved outward to 1, 2 or 5 times a power of ten; at least a factor of 2. */
export function roundRange(values) {
  const [low, high] = values.reduce(([a, b], z) => [Math.min(a, z), Math.max(b, z)], [Infinity, 0]);
  if (!(low > 0 && high < Infinity)) return null;
  const of = (x, fits) => ROUND.map((r) => r * 10 ** Math.floor(Math.log10(x) + 1e-9)).filter(fits);
  const least = of(low, (r) => r <= low * (1 + 1e-9)).at(-1);
  return [least, Math.max(2 * least, of(high, (r) => r >= high * (1 - 1e-9))[0])];
}

/** The color of a share of 0 to 1, as #rrggbb. */
export const shade = (u) => interpolateViridis(1 - u);

/** A color #rrggbb as [red, green, blue]. */
export const rgb = (hex) => hex.match(/\w\w/g).map((digits) => parseInt(digits, 16));

/** The same in 256 steps, for pixels: [red, green, blue]. */
export const SHADES = Array.from({ length: 256 }, (_, k) => rgb(shade(k / 255)));

const gradient = `linear-gradient(to right, ${Array.from({ length: 9 }, (_, k) => shade(k / 8)).join()})`;

/** A strip of the colors, marks under it, and what they mean; `label` for what a picture must say in words. */
export function ramp(parent, { marks = [], name = "", label = "", colors = gradient }) {
  const box = make(parent, "div", "cf-legend", label ? { role: "img", "aria-label": label } : {});
  make(box, "span", "cf-ramp").style.background = colors;
  const scale = make(box, "span", "cf-scale");
  const title = make(box, "span", "cf-name");
  const show = (texts, words, alt = label) => {
    scale.replaceChildren(...texts.map((text) => write(null, "span", "", text)));
    title.textContent = words;
    if (alt) box.setAttribute("aria-label", alt);
  };
  show(marks, name);
  return { box, show };
}

/** An entry of a legend: a mark that `draw(svg)` makes, and its name. */
export function keyItem(parent, name, text, [width, height], draw) {
  const item = make(parent, "span", name);
  draw(make(item, "svg", "", { width, height, "aria-hidden": "true" }));
  item.append(text);
  return item;
}
