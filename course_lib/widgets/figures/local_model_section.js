// A loss and its quadratic model along a step: s = 0 is where one stands, s = 1 where the step ends.
import { line, scaleLinear } from "../kit/vendor/d3.js";
import { make, set, show, showChosen, uniqueId } from "../kit/kit.js";
import { linePlot } from "../kit/line_plot.js";

const OPTIONS = { height: 214, top: 40, right: 12, bottom: 36, left: 52, foot: "s, in steps" };
const POINTS = 160;
const FURTHEST = 8; // the axis goes no further, in steps

/**
 * The plot in `parent`. Returns { say, resize(width), draw({ along, flat, bend, loss, promised, reached, color, name
 * }), empty(words) }.
 */
export function sectionPlot(parent) {
  const plot = linePlot(parent, { ...OPTIONS, name: "cf-loss-plot cf-section" });
  const { inside, height } = plot;
  legend(plot.node);
  const words = make(plot.node, "text", "cf-title cf-section-flat", { x: 4, y: 30 });
  const id = uniqueId("section");
  const clip = make(make(make(plot.node, "defs"), "clipPath", "", { id }), "rect", "", { height });
  const drawn = make(inside, "g");
  const guides = [0, 1].map(() => make(drawn, "line", "cf-now-line", { y1: 0, y2: height }));
  const lines = make(drawn, "g", "", { "clip-path": `url(#${id})` });
  const [model, loss] = ["cf-model-line", "cf-true-line"].map((name) => make(lines, "path", name));
  const gap = make(lines, "line", "cf-gap");
  const flatMark = make(drawn, "path", "cf-model-flat");
  const here = make(drawn, "circle", "cf-here", { r: 4.5 });
  const promisedMark = make(drawn, "circle", "cf-promised", { r: 4.5 });
  const reachedMark = make(drawn, "path", "cf-reached");
  const away = make(drawn, "text", "cf-gone");

  function drawCurves({ along, color }, { x, y }) {
    const [bottom, top] = y.domain();
    // finite, however high
    const pixel = (z) => y(Math.min(top + 9 * (top - bottom), Math.max(bottom - 9 * (top - bottom), z))).toFixed(1);
    const points = samples(along, x.domain());
    const curve = (k) =>
      line(
        (p) => x(p[0]).toFixed(1),
        (p) => pixel(p[k]),
      )(points.filter((p) => Number.isFinite(p[k])));
    set(clip, { width: plot.width() });
    drawn.style.setProperty("--rule", color);
    set(loss, { d: curve(1) });
    set(model, { d: curve(2) });
    guides.forEach((guide, s) => set(guide, { x1: x(s), x2: x(s) }));
    return pixel;
  }

  /** The loss at the end of the step beside what the model promises; a triangle at the edge where it lies outside. */
  function drawGap({ loss: now, promised, reached }, { x, y }, pixel) {
    const [bottom, top] = y.domain();
    const out = reached > top ? 1 : reached < bottom ? -1 : 0;
    const edge = out > 0 ? 2 : height - 2;
    const left = x(1) > plot.width() - 70; // no room on the right
    set(here, { cx: x(0), cy: y(now) });
    set(promisedMark, { cx: x(1), cy: y(promised) });
    set(gap, { x1: x(1), x2: x(1), y1: pixel(promised), y2: pixel(reached) });
    set(reachedMark, { d: out ? `M${x(1) - 6},${edge + out * 9}h12L${x(1)},${edge}Z` : disc(x(1), y(reached), 4.5) });
    away.textContent = out ? show(reached) : "";
    const place = { x: x(1) + (left ? -10 : 10), y: out > 0 ? 11 : height - 4 };
    set(away, { ...place, "text-anchor": left ? "end" : "start" });
  }

  /** A cross where the model is flat, if that is in the plot, and words that say where. */
  function drawFlat({ along, flat, bend }, { x, y }) {
    const [[left, right], [bottom, top]] = [x.domain(), y.domain()];
    const z = Number.isFinite(flat) && flat >= left && flat <= right ? along(flat)[1] : NaN;
    const [a, b] = [x(flat), y(z)];
    set(flatMark, { d: z >= bottom && z <= top ? `M${a - 5},${b - 5}l10,10M${a - 5},${b + 5}l10,-10` : "" });
    const side = bend > 0 ? "lowest" : "highest";
    words.textContent =
      !Number.isFinite(flat) || bend === 0
        ? "The model is straight along this line."
        : `×  the model is ${side} at s = ${show(flat)}`;
  }

  function draw(state) {
    const domains = frame(state);
    const [texts, yTicks] = tickTexts(domains.y);
    const yFormat = (_, k) => (texts.indexOf(texts[k]) === k ? texts[k] : "");
    const scales = plot.frame({ ...domains, yLog: false, yTicks, yFormat, xTicks: 5, xFormat: showChosen });
    inside.style.display = plot.foot.style.display = "";
    drawGap(state, scales, drawCurves(state, scales));
    drawFlat(state, scales);
    const { name, promised, reached } = state;
    const where = words.textContent.replace("×  t", "T");
    plot.say(
      `The loss and its model along ${name}. At s = 1 the model promises ${show(promised)}, the loss is ${show(reached)}. ${where}.`.replace(
        "..",
        ".",
      ),
    );
  }

  return {
    ...plot,
    draw: (state) => plot.draw(() => draw(state)),
    empty(text) {
      plot.draw(() => {});
      inside.style.display = plot.foot.style.display = "none";
      words.textContent = text;
      plot.say(text);
    },
  };
}

/** [s, loss, model] along the line. */
const samples = (along, [low, high]) =>
  Array.from({ length: POINTS + 1 }, (_, k) => low + (k / POINTS) * (high - low)).map((s) => [s, ...along(s)]);

/** The part of the line and of the losses that is worth a look: where the model is flat, and what it promises. */
function frame({ along, flat, loss: now, promised, reached }) {
  const near = (s) => Math.min(FURTHEST, Math.max(-FURTHEST / 2, s));
  const of = Number.isFinite(flat) ? near(flat) : 1;
  const x = [Math.min(-0.4, 1.25 * of), 1.3 * Math.max(1.5, of)];
  const inner = samples(along, x).map(([, , h]) => h);
  const span = Math.max(Math.abs(now - promised), Math.abs(now - Math.min(...inner)), 1e-300);
  const seen = (z) => Math.min(now + 2 * span, Math.max(now - 2 * span, z));
  const ends = [now, promised, seen(reached), Math.min(...inner.map(seen))];
  const bottom = Math.min(...ends);
  const top = Math.max(...ends, now + 0.6 * span);
  return { x, y: [bottom - 0.1 * (top - bottom), top + 0.08 * (top - bottom)] };
}

function tickTexts(domain) {
  const values = scaleLinear(domain, [0, 1]).ticks(4);
  return [values.map(tickText), values];
}

const disc = (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;

/** At most seven characters. */
function tickText(value) {
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-3 && size < 1e5)) return showChosen(+value.toPrecision(4));
  return value.toExponential(0).replace("e+", "e").replace(/-/g, "−");
}

function legend(node) {
  const items = [
    ["cf-true-line", "loss J(θ + s d)", 4],
    ["cf-model-line", "model h(s d)", 128],
  ];
  for (const [name, text, left] of items) {
    make(node, "path", name, { d: `M${left},8h16` });
    make(node, "text", "cf-title", { x: left + 21, y: 12 }).textContent = text;
  }
}
