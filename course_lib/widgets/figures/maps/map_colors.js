// What the colors of a map mean, and the legend that says so.
import { logShare, ramp, roundRange, shade } from "../../kit/colors.js";
import { DIVERGED, ENDS, NOT_SETTLED } from "../../kit/ends.js";
import { make, power, showChosen } from "../../kit/kit.js";

const LEAST = 1e-8; // of the losses that are told apart
const HATCH = 9; // pixels from one line of the hatching to the next
const MINIMA = 4; // colors for minima, then they begin again

/** A CSS color as the 32 bits of a pixel. */
function bits(pen, color) {
  pen.fillStyle = "#888";
  pen.fillStyle = color.trim();
  const [r, g, b] = pen.fillStyle.match(/\w\w/g).map((hex) => parseInt(hex, 16));
  return (255 << 24) | (b << 16) | (g << 8) | r; // little-endian, as every browser's machine is
}

const scratch = () => document.createElement("canvas").getContext("2d");

/** What the colors of a map span: { steps, loss }, each from the least to the most of these results, in round numbers. */
export function spans(floats, steps) {
  const [arrived, losses] = [[], []];
  for (let at = 0; at < floats.length; at += 4) {
    if (floats[at + 3]) continue;
    losses.push(Math.max(LEAST, floats[at + 1]));
    if (floats[at] <= steps) arrived.push(Math.max(1, floats[at]));
  }
  const [low, high] = roundRange(arrived) ?? [1, steps];
  const decades = roundRange(losses)?.map((z, k) => 10 ** Math[k ? "ceil" : "floor"](Math.log10(z)));
  return { steps: [low, Math.max(low + 1, Math.min(high, steps))], loss: decades ?? [LEAST, 1] };
}

/**
 * Paints verdicts: `inks(root)` reads the theme's colors; `paint(view, steps, spans, floats, pixels, row)` fills a
 * Uint32Array. What diverged is hatched.
 */
export function inks(root) {
  const pen = scratch(),
    style = getComputedStyle(root),
    named = (name) => bits(pen, style.getPropertyValue(name));
  const table = Uint32Array.from({ length: 256 }, (_, k) => bits(pen, shade(k / 255)));
  const lost = [named("--cf-lost"), named("--cf-hatch")],
    late = named("--cf-late"),
    minima = Array.from({ length: MINIMA }, (_, k) => named(`--cf-minimum-${k}`));
  const logs = (x, low, high) => table[Math.round(255 * logShare(x, low, high))];
  const views = {
    steps: (f, k, steps, span) => (f[k] > steps ? late : logs(Math.max(1, f[k]), ...span.steps)),
    loss: (f, k, steps, span) => logs(Math.max(1e-30, f[k + 1]), ...span.loss),
    minimum: (f, k, steps) => (f[k] > steps ? late : minima[f[k + 2] % MINIMA]),
  };
  return (view, steps, span, floats, pixels, row = 0) => {
    const color = views[view];
    for (let k = 0, at = 0; at < floats.length; k++, at += 4)
      pixels[k] = floats[at + 3] ? lost[+((k + row) % HATCH < 1)] : (color(floats, at, steps, span) ?? late);
  };
}

const MEANS = [1e-2, 1e1]; // the ends of the colors for a mean loss relative to the first
const WARM = [
  [38, 10, 58],
  [150, 36, 96],
  [255, 150, 90],
]; // red, green, blue of runs that diverge at once, later, at the end

/**
 * Paints fates of training: `fates()`; `paint(steps, floats, pixels)` as above, in every theme the same. Diverged runs
 * are warm, the brighter the later.
 */
export function fates() {
  const pen = scratch(),
    table = (color) => Uint32Array.from({ length: 256 }, (_, k) => bits(pen, color(k / 255)));
  const cool = table(shade),
    warm = table(warmColor);
  const place = (x, low, high) => Math.round(255 * logShare(x, low, high));
  return (steps, floats, pixels) => {
    for (let k = 0, at = 0; at < floats.length; k++, at += 4)
      pixels[k] = floats[at + 3]
        ? warm[place(Math.max(1, floats[at]), 1, Math.max(2, steps))]
        : cool[place(Math.max(1e-9, floats[at + 2]), ...MEANS)];
  };
}

/** What these colors mean. */
export function fatesLegend(parent) {
  const part = make(make(parent, "div", "cf-map-legend"), "div", "cf-map-legend-part");
  ramp(part, { marks: ["low, 10⁻²", "10⁻¹", "1", "10, high"], name: "trains: mean loss relative to the first" });
  ramp(part, { marks: ["at once", "late"], name: "diverges", colors: warmGradient });
}

/** The color of a share u, as #rrggbb. */
function warmColor(u) {
  const [from, to, share] = u < 0.5 ? [WARM[0], WARM[1], 2 * u] : [WARM[1], WARM[2], 2 * u - 1];
  return `#${from
    .map((x, k) =>
      Math.round(x + share * (to[k] - x))
        .toString(16)
        .padStart(2, "0"),
    )
    .join("")}`;
}

const warmGradient = `linear-gradient(to right, ${[0, 0.5, 1].map(warmColor).join()})`;
function chip(parent, color, text, name = "") {
  const item = make(parent, "span", "cf-map-key");
  make(item, "span", `cf-map-chip ${name}`.trim()).style.backgroundColor = `var(${color})`;
  item.append(text);
}

/**
 * The legend of each view in one place, so that nothing moves when the view changes; returns `choose(view, spans,
 * minima, goal)`.
 */
export function legend(parent, views) {
  const box = make(parent, "div", "cf-map-legend");
  const parts = Object.fromEntries(views.map((view) => [view, make(box, "div", "cf-map-legend-part")]));
  return (view, { steps, loss }, minima, goal) => {
    for (const [name, part] of Object.entries(parts)) {
      part.replaceChildren();
      part.classList.toggle("cf-hidden", name !== view);
      if (name === "steps")
        ramp(part, {
          marks: [`fast, ${steps[0]}`, showChosen(+Math.sqrt(steps[0] * steps[1]).toPrecision(2)), `${steps[1]}, slow`],
          name: `steps to stay within ${showChosen(goal)}`,
        });
      if (name === "loss") {
        const ends = loss.map((z) => power(Math.round(Math.log10(z))));
        ramp(part, { marks: [`low, ${ends[0]}`, `${ends[1]}, high`], name: "loss above the minimum, at the end" });
      }
      if (name === "minimum")
        minima.forEach(([x, y], k) =>
          chip(part, `--cf-minimum-${k % MINIMA}`, `(${[x, y].map((v) => showChosen(+v.toFixed(1))).join(", ")})`),
        );
      if (name !== "loss") chip(part, "--cf-late", `${ENDS[NOT_SETTLED].mark} not settled`);
      chip(part, "--cf-lost", `${ENDS[DIVERGED].mark} diverges`, "cf-hatched");
    }
  };
}

/**
 * A finished picture in numbers: the shares that arrived, were late and were lost, and the first pixel of the fewest
 * steps.
 */
export function summary(floats, steps) {
  let arrived = 0,
    lost = 0,
    best = -1;
  const minima = [];
  for (let at = 0; at < floats.length; at += 4) {
    if (floats[at + 3]) lost++;
    else if (floats[at] <= steps) {
      arrived++;
      minima[floats[at + 2]] = (minima[floats[at + 2]] ?? 0) + 1;
      if (best < 0 || floats[at] < floats[best]) best = at;
    }
  }
  const count = floats.length / 4;
  return {
    arrived: arrived / count,
    lost: lost / count,
    best: best / 4,
    fewest: best < 0 ? Infinity : floats[best],
    minima: minima.map((n) => n / count),
  };
}
