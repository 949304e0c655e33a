// A loss and its quadratic model along a step: s = 0 is where one stands, s = 1 where the step ends.
import { axisBottom, axisLeft, line, scaleLinear, select } from "../kit/vendor/d3.js";
import { make, show, showChosen } from "../kit/kit.js";

const PLOT = { height: 214, top: 40, right: 12, bottom: 36, left: 52 };
const POINTS = 160;
const FURTHEST = 8; // the axis goes no further, in steps

let clips = 0;

/** The plot in `parent`. Returns { node, resize(width), draw({ along, flat, bend, loss, promised, reached, color, name }), empty(words) }. */
export function sectionPlot(parent) {
  const node = make(parent, "svg", "cf-loss-plot cf-section", { role: "img", height: PLOT.height });
  legend(node);
  const words = make(node, "text", "cf-title cf-section-flat", { x: 4, y: 30 });
  const foot = make(node, "text", "cf-title", { y: PLOT.height - 6, "text-anchor": "end" });
  foot.textContent = "s, in steps";
  const id = `cf-section-${++clips}`,
    height = PLOT.height - PLOT.top - PLOT.bottom;
  const clip = make(make(make(node, "defs"), "clipPath", "", { id }), "rect", "", { height });
  const inside = make(node, "g", "", { transform: `translate(${PLOT.left},${PLOT.top})` });
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const drawn = make(inside, "g");
  const guides = [0, 1].map(() => make(drawn, "line", "cf-now-line", { y1: 0, y2: height }));
  const lines = make(drawn, "g", "", { "clip-path": `url(#${id})` });
  const model = make(lines, "path", "cf-model-line"),
    loss = make(lines, "path", "cf-true-line");
  const gap = make(lines, "line", "cf-gap");
  const flatMark = make(drawn, "path", "cf-model-flat"),
    here = make(drawn, "circle", "cf-here", { r: 4.5 });
  const promisedMark = make(drawn, "circle", "cf-promised", { r: 4.5 }),
    reachedMark = make(drawn, "path", "cf-reached");
  const away = make(drawn, "text", "cf-gone");
  const x = scaleLinear([-0.4, 2], [0, 1]),
    y = scaleLinear([0, 1], [height, 0]);
  let width = 0;

  /** The part of the line and of the losses that is worth a look: where the model is flat, and what it promises. */
  function frame({ flat, loss: now, promised, reached }, samples) {
    const near = (s) => Math.min(FURTHEST, Math.max(-FURTHEST / 2, s));
    const of = Number.isFinite(flat) ? near(flat) : 1;
    x.domain([Math.min(-0.4, 1.25 * of), 1.3 * Math.max(1.5, of)]);
    const [low, high] = x.domain(),
      inner = samples(low, high).map(([, , h]) => h);
    const span = Math.max(Math.abs(now - promised), Math.abs(now - Math.min(...inner)), 1e-300);
    const seen = (z) => Math.min(now + 2 * span, Math.max(now - 2 * span, z));
    const ends = [now, promised, seen(reached), Math.min(...inner.map(seen))];
    const bottom = Math.min(...ends),
      top = Math.max(...ends, now + 0.6 * span);
    y.domain([bottom - 0.1 * (top - bottom), top + 0.08 * (top - bottom)]);
  }

  function drawAxes() {
    select(axes[0]).call(axisBottom(x).ticks(5).tickFormat(showChosen).tickSize(4).tickSizeOuter(0));
    const ticks = y.ticks(4),
      texts = ticks.map(tickText);
    select(axes[1]).call(
      axisLeft(y)
        .tickValues(ticks)
        .tickFormat((_, k) => (texts.indexOf(texts[k]) === k ? texts[k] : ""))
        .tickSize(-width)
        .tickSizeOuter(0),
    );
  }

  return {
    node,
    resize(total) {
      width = total - PLOT.left - PLOT.right;
      x.range([0, width]);
      clip.setAttribute("width", width);
      node.setAttribute("width", total);
      foot.setAttribute("x", total - PLOT.right);
    },
    draw(state) {
      if (width <= 0) return;
      const { along, flat, bend, promised, reached, color, name } = state;
      const samples = (low, high) =>
        Array.from({ length: POINTS + 1 }, (_, k) => low + (k / POINTS) * (high - low)).map((s) => [s, ...along(s)]);
      frame(state, samples);
      drawAxes();
      inside.style.display = foot.style.display = "";
      drawn.style.setProperty("--rule", color);
      const [bottom, top] = y.domain(),
        points = samples(...x.domain()),
        tall = top - bottom;
      const pixel = (z) => y(Math.min(top + 9 * tall, Math.max(bottom - 9 * tall, z))).toFixed(1); // finite, however high
      const curve = (k) =>
        line(
          (p) => x(p[0]).toFixed(1),
          (p) => pixel(p[k]),
        )(points.filter((p) => Number.isFinite(p[k])));
      loss.setAttribute("d", curve(1));
      model.setAttribute("d", curve(2));
      guides.forEach((guide, s) => ["x1", "x2"].forEach((end) => guide.setAttribute(end, x(s))));
      at(here, x(0), y(state.loss));
      at(promisedMark, x(1), y(promised));
      for (const [key, value] of Object.entries({ x1: x(1), x2: x(1), y1: pixel(promised), y2: pixel(reached) }))
        gap.setAttribute(key, value);
      const out = reached > top ? 1 : reached < bottom ? -1 : 0,
        edge = out > 0 ? 2 : height - 2;
      reachedMark.setAttribute(
        "d",
        out ? `M${x(1) - 6},${edge + out * 9}h12L${x(1)},${edge}Z` : disc(x(1), y(reached), 4.5),
      );
      away.textContent = out ? show(reached) : "";
      const left = x(1) > width - 70; // no room on the right
      for (const [key, value] of Object.entries({
        x: x(1) + (left ? -10 : 10),
        y: out > 0 ? 11 : height - 4,
        "text-anchor": left ? "end" : "start",
      }))
        away.setAttribute(key, value);
      const shown = Number.isFinite(flat) && flat >= x.domain()[0] && flat <= x.domain()[1],
        where = shown ? along(flat)[1] : NaN;
      const inPlot = shown && where >= bottom && where <= top,
        [fx, fy] = [x(flat), y(where)];
      flatMark.setAttribute("d", inPlot ? `M${fx - 5},${fy - 5}l10,10M${fx - 5},${fy + 5}l10,-10` : "");
      words.textContent =
        !Number.isFinite(flat) || bend === 0
          ? "The model is straight along this line."
          : `×  the model is ${bend > 0 ? "lowest" : "highest"} at s = ${show(flat)}`;
      node.setAttribute(
        "aria-label",
        `The loss and its model along ${name}. At s = 1 the model promises ${show(promised)}, the loss is ${show(reached)}. ${words.textContent.replace("×  t", "T")}.`.replace(
          "..",
          ".",
        ),
      );
    },
    empty(text) {
      inside.style.display = foot.style.display = "none";
      words.textContent = text;
      node.setAttribute("aria-label", text);
    },
  };
}

const disc = (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;

function at(node, x, y) {
  node.setAttribute("cx", x);
  node.setAttribute("cy", y);
}

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
