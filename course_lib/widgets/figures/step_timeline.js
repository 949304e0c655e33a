// StepTimeline: one data-parallel step as lanes over time, and the speed-up over the number of GPUs, by the traced
// formulas.
import { keyItem } from "../kit/colors.js";
import { choice, headline, select } from "../kit/controls.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";

const LANE = 0.62; // of the room of a lane
const KEY = [
  ["computing", "cf-stack", "var(--cf-computing)"],
  ["gradients under way", "cf-stack", "var(--cf-gradients)"],
  ["waiting", "cf-stack", "var(--cf-waiting)"],
];

export const render = live({
  label: "The timeline of a training step",
  name: "cf-costs cf-timeline",
  traits: (spec) => ["network", "overlap", ...spec.controls.map((c) => c.name)],
  build({ spec, code, root, put, columns, sliders, reset, fit }) {
    const bar = make(root, "div", "cf-costs-bar");
    const networks = select(bar, "network", spec.networks, (network) => put({ network }));
    const text = { text: "overlap", name: "cf-choice cf-costs-choice" };
    const overlaps = choice(bar, "Overlap", ["on", "off"], (overlap) => put({ overlap }), text);
    const [main, side] = columns();
    const lanes = linePlot(main, { title: "", foot: "milliseconds", height: 210, bottom: 38, left: 14, top: 22 });
    const labels = [0, 1, 2].map(() => write(lanes.inside, "text", "cf-lane", ""));
    key(main);
    const speeds = linePlot(main, { title: "speed-up over one GPU", foot: "GPUs", height: 190, bottom: 38, left: 40 });
    const numbers = headlines(side);
    sliders(side);
    reset(side);
    fit(main, [lanes, speeds], true);
    const schedule = code.schedule();

    return (state) => {
      networks.mark(state.network);
      overlaps.mark(state.overlap);
      const now = step(spec, code, schedule, state, state.n);
      numbers(now, state);
      lanes.draw(() => drawLanes(lanes, labels, now, state));
      const words =
        `${state.network}, ${state.n} GPUs, ${state.batch} ${spec.examples[state.network]} each, ` +
        `${showChosen(state.bandwidth)} GB/s, overlap ${state.overlap}`;
      lanes.say(
        `A training step over time. ${words}: ${show(1000 * now.total)} ms, ${now.buckets.length} buckets, ` +
          `${percent(now.exposed)} wait for gradients, ${percent(now.waiting)} for the slowest GPU.`,
      );
      const counts = spec.counts.map((n) => [n, step(spec, code, schedule, state, n).speedUp]);
      speeds.draw(() => drawSpeeds(speeds, counts, [state.n, now.speedUp]));
      speeds.say(
        `Speed-up over the number of GPUs. ${words}: ${counts.map(([n, x]) => `${n}: ${show(x)}`).join("; ")}.`,
      );
    };
  },
});

const percent = (share) => `${(100 * share).toFixed(1)}%`;

/** The step on n GPUs: when each layer is computed, when each bucket travels, and what that makes in all. */
function step(spec, code, schedule, { network, batch, bandwidth, latency, bucket, overlap, slow }, n) {
  const [sizes, each] = spec.layers[network];
  const own = each.map((seconds) => batch * seconds);
  const slower = n > 1 ? slow : 1;
  const seconds = own.map((x) => slower * x);
  const link = { n, bandwidth: bandwidth * 1e9, latency: latency * 1e-6, bucket: bucket * 1e6 };
  const { begin, end, size } = schedule({ sizes, seconds, ...link, overlap: overlap === "on" ? 1 : 0 });
  const backward = own.reduce((sum, x) => sum + x, 0);
  const forward = backward / 2;
  const arrived = end.at(-1);
  const [total, exposed, waiting, speedUp] = code.step_summary(forward, backward, arrived, n, slow);
  const buckets = [...size].flatMap((bytes, k) =>
    bytes > 0 && n > 1 ? [[slower * forward + begin[k], slower * forward + end[k]]] : [],
  );
  return { forward, own, slower, total, exposed, waiting, speedUp, buckets };
}

/** Where the axis ends: the next of 1, 1.5, 2, 3, 5, 7, 10, … milliseconds. */
function roundUp(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 1.5, 2, 3, 5, 7, 10].find((k) => k * power >= x * (1 - 1e-9));
}

/** Three lanes: the other GPUs, the slowest one, the links between them. */
function drawLanes(plot, labels, now, { n, slow }) {
  const axes = { x: [0, roundUp(1000 * now.total)], y: [3, 0], yLog: false, yTicks: [] };
  const { x, y } = plot.frame(axes);
  const rect = (lane, from, to) =>
    `M${x(1000 * from)},${y(lane + 1 - LANE)}V${y(lane + 1)}H${x(1000 * to)}V${y(lane + 1 - LANE)}Z`;
  const computed = [1, now.slower].map((slower, lane) => passes(now, slower, (a, b) => rect(lane, a, b)));
  const rests = [1, now.slower].map((slower, lane) => {
    const done = slower * 3 * now.forward;
    return now.total > done ? rect(lane, done, now.total) : "";
  });
  const alone = n === 1;
  plot.curves([
    { d: alone ? rests[1] : rests.join(""), color: "var(--cf-waiting)", name: "cf-stack cf-rest" },
    { d: alone ? computed[1] : computed.join(""), color: "var(--cf-computing)", name: "cf-piece" },
    {
      d: now.buckets.map(([a, b]) => rect(2, a, b)).join(""),
      color: "var(--cf-gradients)",
      name: "cf-piece cf-bucket",
    },
  ]);
  const others = n > 2 ? `each of the ${n - 1} other GPUs` : "the other GPU";
  const slowest = alone ? "the one GPU" : slow > 1 ? `the slowest, × ${showChosen(slow)}` : "one more GPU, as fast";
  const names = [alone ? "" : others, slowest, alone ? "" : "the links: buckets of gradients"];
  names.forEach((name, lane) => {
    labels[lane].textContent = name;
    labels[lane].setAttribute("x", 4);
    labels[lane].setAttribute("y", y(lane + 1 - LANE) - 4);
  });
}

/** A GPU's forward pass in one piece and its backward pass layer by layer. */
function passes({ forward, own }, slower, rect) {
  let at = slower * forward;
  const pieces = [rect(0, at)];
  for (const seconds of own.filter((x) => x > 0)) pieces.push(rect(at, (at += slower * seconds)));
  return pieces.join("");
}

/** The speed-up over the GPUs, both logarithmic, the diagonal and the chosen number. */
function drawSpeeds(plot, counts, [n, speedUp]) {
  const most = counts.at(-1)[0];
  const ticks = counts.map(([k]) => k).filter((_, k) => k % 2 === 0);
  const axes = { xLog: true, xTicks: ticks, yTicks: ticks, xFormat: String, yFormat: String };
  const { x, y } = plot.frame({ x: [1, most], y: [0.25, most], ...axes });
  const inside = (value) => y(Math.max(value, 0.25));
  const dot = `M${x(n) - 5},${inside(speedUp)}a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z`;
  plot.curves([
    { d: `M${x(1)},${y(1)}L${x(most)},${y(most)}`, color: "var(--cf-muted)", dash: "3 4" },
    { d: through(counts.map(([k, value]) => [x(k), inside(value)])), color: "var(--cf-computing)" },
    { d: dot, color: "var(--cf-computing)", name: "cf-now" },
  ]);
}

/** What the colors mean. */
function key(parent) {
  const box = make(parent, "div", "cf-costs-key");
  for (const [words, name, color] of KEY)
    keyItem(box, "cf-costs-item", words, [14, 12], (svg) => {
      make(svg, "path", name, { d: "M0,0H12V12H0Z" }).style.setProperty("--rule", color);
    });
}

/** The numbers; returns a function that shows them. */
function headlines(parent) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const row = (color, label) => headline(box, color, { label, number: "", unit: "" }, { live: false });
  const time = row("var(--cf-computing)", "a step takes");
  const exposed = row("var(--cf-gradients)", "all wait for gradients");
  const speed = row("var(--cf-fg)", "as fast as one GPU");
  return (now, { n, slow }) => {
    time.show({ number: `${show(1000 * now.total)} ms` });
    const others = n > 1 && slow > 1 ? `others wait ${percent(now.waiting)} more` : "";
    exposed.show({ number: percent(now.exposed), unit: others });
    speed.show({ number: `× ${show(now.speedUp)}`, unit: `with ${n}: ${percent(now.speedUp / n)}` });
  };
}
