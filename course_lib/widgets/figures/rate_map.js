// RateMap: momentum's convergence rate over (learning rate, momentum), by theory or measured, and one run in detail.
import { axisBottom, axisLeft, interpolateViridis, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { button, slider } from "../kit/controls.js";
import { load, make, onNextFrame, onResize, power, put, show, showChosen } from "../kit/kit.js";
import { rateMap, stepsADigit } from "./rate_map_plot.js";

const CELLS = { theory: [160, 120], measured: [84, 63] };
const COARSE = { theory: [72, 54], measured: [40, 30] }; // while κ changes from frame to frame
const REST = 150; // ms without a change, then the map is drawn finely
const RUN = { height: 190, shown: 120, top: 18, right: 10, bottom: 38, left: 44 };

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const range = Object.fromEntries(spec.controls.map((c) => [c.name, c.range]));
  const root = make(el, "div", "cf", { role: "group", "aria-label": "Convergence rate of momentum" });
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const map = rateMap(main, range, (setting) => put(model, setting));
  const toggles = make(main, "div", "cf-buttons cf-toggle", { role: "group", "aria-label": "What the colors show" });
  const views = ["theory", "measured"].map((view) =>
    button(toggles, view, `Color the map by the ${view} rate`, () => put(model, { view })),
  );
  legend(toggles);
  const number = headline(side);
  const box = make(side, "div");
  const run = runPlot(box);
  spec.controls.forEach((control) => slider(side, model, control));
  const buttons = make(side, "div", "cf-buttons");
  button(buttons, "Go to the best", "The setting of the best rate", () => {
    const [lr, momentum] = code.best_momentum(model.get("condition_number"));
    put(model, { lr, momentum });
  });
  button(buttons, "Reset", "Back to the start values", () =>
    put(model, Object.fromEntries(spec.controls.map((c) => [c.name, c.initial]))),
  );

  /** A run's rows: loss, w and Δ at t = 0, 1, … */
  const walk = (lr, momentum, condition_number) =>
    code.run(spec.start, spec.steps, { lr, momentum, condition_number, angle: 0 });
  const WIDTH = code.run.columns.length;
  /** The rate between two windows of a run's energies, the second as late as doubles hold them. */
  const measure = (rows, lr, momentum) => {
    const energy = (k) => code.energy(rows[k * WIDTH], rows[k * WIDTH + 3], rows[k * WIDTH + 4], lr, momentum);
    const [smallest, largest] = spec.held;
    let last = spec.steps,
      end = energy(last);
    while (last > 2 * spec.window && !(end > smallest && end < largest)) end = energy(--last);
    if (end === 0 || !Number.isFinite(end)) return end === 0 ? 0 : Infinity;
    const half = Math.floor(last / 2),
      until = (k) => Array.from({ length: spec.window }, (_, i) => energy(k - spec.window + 1 + i));
    return code.measured_rate(...until(half), ...until(last), last - half);
  };
  const rates = {
    theory: (kappa) => (lr, m) => code.worst_momentum_rate(lr, m, kappa),
    measured: (kappa) => (lr, m) => measure(walk(lr, m, kappa), lr, m),
  };
  let painted = "",
    refine = 0;

  function draw() {
    const [lr, momentum, kappa, view] = ["lr", "momentum", "condition_number", "view"].map((name) => model.get(name));
    if (painted !== `${view} ${kappa}`) {
      clearTimeout(refine);
      const moving = painted.startsWith(`${view} `);
      map.paint(rates[view](kappa), (moving ? COARSE : CELLS)[view]);
      if (moving) refine = setTimeout(() => map.paint(rates[view](kappa), CELLS[view]), REST);
      map.lines(code, kappa);
      painted = `${view} ${kappa}`;
      views.forEach((b) => b.setAttribute("aria-pressed", b.textContent === view));
    }
    const rows = walk(lr, momentum, kappa),
      theory = rates.theory(kappa)(lr, momentum),
      measured = measure(rows, lr, momentum);
    map.ring(lr, momentum);
    run.draw(
      Float64Array.from({ length: spec.steps + 1 }, (_, k) => Math.hypot(rows[k * WIDTH + 1], rows[k * WIDTH + 2])),
      theory,
    );
    const words = number(theory, measured);
    map.node.setAttribute(
      "aria-label",
      `Map of the convergence rate of momentum over learning rate and momentum, condition number ${showChosen(kappa)}. At learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}: ${words}.`,
    );
  }

  const ask = onNextFrame(draw);
  const traits = ["lr", "momentum", "condition_number", "view"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(main, (width) => {
      map.resize(width);
      painted = "";
      draw();
    }),
    onResize(box, (width) => {
      run.resize(width);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    clearTimeout(refine);
    traits.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/** What the colors mean. */
function legend(parent) {
  const box = make(parent, "div", "cf-legend", {
    role: "img",
    "aria-label": "Colors: from one step a digit, bright, to a thousand, dark; empty where it diverges",
  });
  const stops = Array.from({ length: 9 }, (_, k) => interpolateViridis(1 - k / 8));
  make(box, "span", "cf-ramp").style.background = `linear-gradient(to right, ${stops.join()})`;
  make(box, "span", "cf-scale").append(
    ...["1", "10", "100", "1000"].map((text) => Object.assign(document.createElement("span"), { textContent: text })),
  );
  make(box, "span", "cf-name").textContent = "steps a digit";
}

/** The large number, and its two sources; returns a function of (theory, measured) that gives the words. */
function headline(parent) {
  const box = make(parent, "div", "cf-result", { role: "status" });
  box.style.setProperty("--rule", "var(--cf-rule-momentum)");
  make(box, "span", "cf-label").textContent = "error shrinks, a step, by";
  const number = make(box, "span", "cf-number"),
    note = make(box, "span", "cf-note");
  return (theory, measured) => {
    const diverges = measured >= 1;
    number.textContent = diverges ? "diverges" : `× ${show(measured)}`;
    const pace = diverges ? `grows × ${show(measured)}` : `${show(stepsADigit(measured))} steps a digit`;
    note.textContent = `${pace}; theory says × ${show(theory)}`;
    box.classList.toggle("cf-diverged", diverges);
    return `measured ${show(measured)}, predicted ${show(theory)}${diverges ? ", diverges" : ""}`;
  };
}

/** Distance to the minimum over the steps: the run as dots, theory as a line of that slope. */
function runPlot(parent) {
  const node = make(parent, "svg", "cf-loss-plot", {
    role: "img",
    height: RUN.height,
    "aria-label": "Distance to the minimum over the steps: the run, and the slope that theory predicts.",
  });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = "distance to the minimum";
  const foot = make(node, "text", "cf-title", { y: RUN.height - 6, "text-anchor": "end" });
  foot.textContent = "step";
  const inside = make(node, "g", "", { transform: `translate(${RUN.left},${RUN.top})` });
  const height = RUN.height - RUN.top - RUN.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const theoryLine = make(inside, "path", "cf-theory"),
    dots = make(inside, "path", "cf-dots");
  dots.style.setProperty("--rule", "var(--cf-rule-momentum)");
  const x = scaleLinear([0, RUN.shown], [0, 1]),
    y = scaleLog([1e-10, 1e3], [height, 0]).clamp(true);
  return {
    resize(total) {
      const width = total - RUN.left - RUN.right;
      x.range([0, width]);
      node.setAttribute("width", total);
      foot.setAttribute("x", total - RUN.right);
      select(axes[0]).call(axisBottom(x).ticks(4).tickSize(4).tickSizeOuter(0));
      select(axes[1]).call(
        axisLeft(y)
          .tickValues([1e-9, 1e-6, 1e-3, 1, 1e3])
          .tickFormat((v) => power(Math.round(Math.log10(v))))
          .tickSize(-width)
          .tickSizeOuter(0),
      );
    },
    draw(distance, rate) {
      const inView = (d) => d > 1e-10 && d < 1e3;
      const points = Array.from(distance.subarray(0, RUN.shown + 1), (d, k) => [k, d]).filter(([, d]) => inView(d));
      dots.setAttribute("d", points.map(([k, d]) => `M${x(k).toFixed(1)},${y(d).toFixed(1)}h0`).join(""));
      // through the largest distance of the run's first part, as the slope is theory's claim, not the height
      const height0 = Math.max(...points.slice(0, 20).map(([k, d]) => d / rate ** k));
      const ends = [0, RUN.shown].map((k) => [k, height0 * rate ** k]);
      if (ends[1][1] < 1e-10) ends[1] = [Math.log(1e-10 / height0) / Math.log(rate), 1e-10];
      if (ends[1][1] > 1e3) ends[1] = [Math.log(1e3 / height0) / Math.log(rate), 1e3];
      theoryLine.setAttribute("d", `M${ends.map(([k, d]) => `${x(k).toFixed(1)},${y(d).toFixed(1)}`).join("L")}`);
    },
  };
}
