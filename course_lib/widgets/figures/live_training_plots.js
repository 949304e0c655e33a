// The curves of a training: losses, gradient norms by layer, and the rate.
import { make, power, set, show, write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";

const ROOM = 1.05; // of the axis beyond the last step
const RIGHT = 62; // pixels for the curves' names

/** The plots in `parent`: { resize(width), draw(history, report, color) }. */
export function plots(parent) {
  const options = { right: RIGHT, left: 52, bottom: 20 };
  const losses = linePlot(parent, { ...options, title: "cross entropy", height: 190 });
  const norms = linePlot(parent, { ...options, title: "gradient norm, by layer", height: 130 });
  const rates = linePlot(parent, { ...options, title: "learning rate", foot: "step", height: 108, bottom: 34 });
  const all = [losses, norms, rates].map((plot) => ({ plot, labels: make(plot.inside, "g", "cf-direct") }));

  function draw({ reports, changes }, last, color) {
    const curves = [
      [
        { name: "validation", color: "var(--cf-accent)", of: (r) => r.val_loss },
        { name: "training", color, of: (r) => r.loss, faint: true },
      ],
      Object.keys(last.norms).map((name, k) => ({
        name,
        color: `var(--cf-own-${k})`,
        of: (r) => r.norms[name] ?? null,
      })),
      [{ name: "η", color, of: (r) => r.rate }],
    ];
    all.forEach(({ plot, labels }, k) => plot.draw(() => paint(plot, labels, curves[k], reports, changes)));
    losses.say(
      `Losses over ${last.t} steps: on validation digits ${show(last.val_loss ?? NaN)}, on the last batches ${show(last.loss ?? NaN)}.`,
    );
    const sizes = Object.entries(last.norms).map(([name, x]) => `${name} ${show(x)}`);
    norms.say(`Norms of the last gradient by layer: ${sizes.join(", ") || "none yet"}.`);
    rates.say(last.rate === null ? "This rule has no rate." : `The rate after ${last.t} steps: ${show(last.rate)}.`);
  }

  return { resize: (width) => all.forEach(({ plot }) => plot.resize(width)), draw };
}

function paint(plot, labels, curves, reports, changes) {
  const lines = curves.map((curve) => ({ ...curve, points: reports.map((r) => [r.t, curve.of(r)]).filter(positive) }));
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0.1, 1];
  const end = Math.max(20, (reports.at(-1)?.t ?? 0) * ROOM);
  const margin = Math.max(1.25, (high / low) ** 0.06);
  const yTicks = ticksBetween(low / margin, high * margin);
  const { x, y } = plot.frame({ x: [0, end], y: [low / margin, high * margin], yTicks, yFormat: short });
  plot.curves([
    ...changes.map((t) => ({ name: "cf-now-line", color: "", d: `M${x(t).toFixed(1)},0V${plot.height}` })),
    ...lines.map(({ points, color, faint }) => ({
      color,
      name: `cf-path ${faint ? "cf-faint" : ""}`.trim(),
      d: through(points.map(([t, v]) => [x(t), y(v)])),
    })),
  ]);
  directLabels(labels, lines, x, y, plot.height, plot.width() + RIGHT);
}

/** A tick as short as it is: 0.05, 3×10⁻⁴. */
function short(v) {
  const exponent = Math.floor(Math.log10(v) + 1e-9);
  if (exponent >= -2 && exponent < 4) return String(+v.toPrecision(3));
  const first = Math.round(v / 10 ** exponent);
  return first === 1 ? power(exponent) : `${first}×${power(exponent)}`;
}

const positive = ([, y]) => Number.isFinite(y) && y > 0;

/** 1, 2 and 5 times powers of ten, or the powers alone where these are enough. */
function ticksBetween(low, high) {
  const ticks = [];
  const few = high / low > 300;
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++)
    for (const first of few ? [1] : high / low > 12 ? [1, 3] : [1, 2, 5]) ticks.push(first * 10 ** k);
  const inside = ticks.filter((v) => v >= low && v <= high);
  const stride = Math.ceil(inside.length / 5);
  return inside.filter((_, k) => k % stride === 0);
}

/** The curves' names at their ends, apart from each other. */
function directLabels(parent, lines, x, y, height, right) {
  const ends = lines
    .filter(({ points }) => points.length)
    .map(({ name, color, points }) => ({ name, color, x: x(points.at(-1)[0]), y: y(points.at(-1)[1]) }))
    .sort((a, b) => a.y - b.y);
  for (let k = 1; k < ends.length; k++) ends[k].y = Math.max(ends[k].y, ends[k - 1].y + 12);
  const below = (ends.at(-1)?.y ?? 0) - height;
  if (below > 0) ends.forEach((end) => (end.y -= below));
  parent.replaceChildren();
  for (const end of ends) {
    const node = write(parent, "text", "cf-direct-label", end.name, { x: end.x + 5, y: end.y + 4 });
    node.style.setProperty("--rule", end.color);
    const most = right - 2 - node.getComputedTextLength();
    if (end.x + 5 > most) set(node, { x: most }); // over the curves, but not over the edge of the page
  }
}
