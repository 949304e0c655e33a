// RateMap: momentum's convergence rate over (learning rate, momentum), by theory or measured, and one run in detail.
import { axisBottom, axisLeft, interpolateViridis, line, scaleLinear, scaleLog, select } from "./vendor/d3.js";
import { button, placeOf, slider, valueAt } from "./controls.js";
import { load, make, onArrows, onDrag, onNextFrame, onResize, power, put, show, showChosen } from "./kit.js";

const MARGIN = { top: 24, right: 10, bottom: 40, left: 46 };
const HEIGHT = 346;
const CELLS = { theory: [160, 120], measured: [84, 63] };
const COARSE = { theory: [72, 54], measured: [40, 30] }; // while κ changes from frame to frame
const REST = 150; // ms without a change, then the map is drawn finely
const SLOWEST = 1000; // steps a digit, at the dark end of the colors
const RUN = { height: 190, shown: 120, top: 18, right: 10, bottom: 38, left: 44 };

export async function render({ model, el }) {
  const spec = model.get("spec"), code = await load(model.get("code"));
  const range = Object.fromEntries(spec.controls.map((c) => [c.name, c.range]));
  const root = make(el, "div", "cf", { role: "group", "aria-label": "Convergence rate of momentum" });
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"), side = make(columns, "div", "cf-side");
  const map = rateMap(main, range, (setting) => put(model, setting));
  const toggles = make(main, "div", "cf-buttons cf-toggle", { role: "group", "aria-label": "What the colors show" });
  const views = ["theory", "measured"].map((view) => button(toggles, view, `Color the map by the ${view} rate`, () => put(model, { view })));
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
  button(buttons, "Reset", "Back to the start values", () => put(model, Object.fromEntries(spec.controls.map((c) => [c.name, c.initial]))));

  /** A run's rows: loss, w and Δ at t = 0, 1, … */
  const walk = (lr, momentum, condition_number) => code.run(spec.start, spec.steps, { lr, momentum, condition_number, angle: 0 });
  const WIDTH = code.run.columns.length;
  /** The rate between two windows of a run's energies, the second as late as doubles hold them. */
  const measure = (rows, lr, momentum) => {
    const energy = (k) => code.energy(rows[k * WIDTH], rows[k * WIDTH + 3], rows[k * WIDTH + 4], lr, momentum);
    const [smallest, largest] = spec.held;
    let last = spec.steps, end = energy(last);
    while (last > 2 * spec.window && !(end > smallest && end < largest)) end = energy(--last);
    if (end === 0 || !Number.isFinite(end)) return end === 0 ? 0 : Infinity;
    const half = Math.floor(last / 2), until = (k) => Array.from({ length: spec.window }, (_, i) => energy(k - spec.window + 1 + i));
    return code.measured_rate(...until(half), ...until(last), last - half);
  };
  const rates = {
    theory: (kappa) => (lr, m) => code.worst_momentum_rate(lr, m, kappa),
    measured: (kappa) => (lr, m) => measure(walk(lr, m, kappa), lr, m),
  };
  let painted = "", refine = 0;

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
    const rows = walk(lr, momentum, kappa), theory = rates.theory(kappa)(lr, momentum), measured = measure(rows, lr, momentum);
    map.ring(lr, momentum);
    run.draw(Float64Array.from({ length: spec.steps + 1 }, (_, k) => Math.hypot(rows[k * WIDTH + 1], rows[k * WIDTH + 2])), theory);
    const words = number(theory, measured);
    map.node.setAttribute("aria-label", `Map of the convergence rate of momentum over learning rate and momentum, condition number ${showChosen(kappa)}. At learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}: ${words}.`);
  }

  const ask = onNextFrame(draw);
  const traits = ["lr", "momentum", "condition_number", "view"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [onResize(main, (width) => { map.resize(width); painted = ""; draw(); }), onResize(box, (width) => { run.resize(width); ask(); })];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    clearTimeout(refine);
    traits.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/** What the colors mean. */
function legend(parent) {
  const box = make(parent, "div", "cf-legend", { role: "img", "aria-label": "Colors: from one step a digit, bright, to a thousand, dark; empty where it diverges" });
  const stops = Array.from({ length: 9 }, (_, k) => interpolateViridis(1 - k / 8));
  make(box, "span", "cf-ramp").style.background = `linear-gradient(to right, ${stops.join()})`;
  make(box, "span", "cf-scale").append(...["1", "10", "100", "1000"].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
  make(box, "span", "cf-name").textContent = "steps a digit";
}

/** The large number, and its two sources; returns a function of (theory, measured) that gives the words. */
function headline(parent) {
  const box = make(parent, "div", "cf-result", { role: "status" });
  box.style.setProperty("--rule", "var(--cf-rule-momentum)");
  make(box, "span", "cf-label").textContent = "error shrinks, a step, by";
  const number = make(box, "span", "cf-number"), note = make(box, "span", "cf-note");
  return (theory, measured) => {
    const diverges = measured >= 1;
    number.textContent = diverges ? "diverges" : `× ${show(measured)}`;
    const pace = diverges ? `grows × ${show(measured)}` : `${show(stepsADigit(measured))} steps a digit`;
    note.textContent = `${pace}; theory says × ${show(theory)}`;
    box.classList.toggle("cf-diverged", diverges);
    return `measured ${show(measured)}, predicted ${show(theory)}${diverges ? ", diverges" : ""}`;
  };
}

/** Steps until the error has shrunk to a tenth. */
const stepsADigit = (rate) => -1 / Math.log10(rate);

const COLORS = Array.from({ length: 256 }, (_, k) => [...interpolateViridis(1 - k / 255).match(/\w\w/g).map((hex) => parseInt(hex, 16)), 255]);
const color = (rate) => COLORS[Math.round(255 * Math.min(1, Math.max(0, Math.log(stepsADigit(rate)) / Math.log(SLOWEST))))];

function rateMap(parent, range, choose) {
  const box = make(parent, "div", "cf-map");
  const canvas = make(box, "canvas");
  const node = make(box, "svg", "", { role: "img", height: HEIGHT });
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-glass");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const names = [make(node, "text", "cf-title", { "text-anchor": "end" }), make(node, "text", "cf-title", { x: 4, y: 12 })];
  names[0].textContent = "learning rate η";
  names[1].textContent = "momentum m";
  const curves = make(inside, "g", "cf-curves"), words = make(inside, "g", "cf-words");
  const ring = make(inside, "g", "cf-start", { tabindex: 0, role: "slider", "aria-label": "Setting. Arrow keys move it." });
  make(ring, "circle", "cf-touch", { r: 20 });
  make(ring, "circle", "cf-ring", { r: 8 });
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  let width = 0, now = [0, 0];
  const x = (lr) => placeOf(lr, range.lr) * width, y = (m) => (1 - placeOf(m, range.momentum)) * height;
  const clamp = (u) => Math.min(1, Math.max(0, u));
  const move = (u, v) => {
    now = [clamp(u), clamp(v)];
    choose({ lr: valueAt(now[0], range.lr), momentum: valueAt(now[1], range.momentum) });
  };
  const at = (event) => {
    const area = back.getBoundingClientRect();
    move((event.clientX - area.left) / area.width, 1 - (event.clientY - area.top) / area.height);
  };
  onDrag(ring, at);
  back.addEventListener("click", at);
  onArrows(ring, (dx, dy) => move(now[0] + dx / 100, now[1] + dy / 100));

  return {
    node,
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      for (const [name, value] of [["width", width], ["height", height]]) back.setAttribute(name, value);
      node.setAttribute("width", total);
      Object.assign(canvas.style, { left: `${MARGIN.left}px`, top: `${MARGIN.top}px`, width: `${width}px`, height: `${height}px` });
      axes[0].setAttribute("transform", `translate(0,${height})`);
      const rates = scaleLog([range.lr.low, range.lr.high], [0, width]), decades = Array.from({ length: 6 }, (_, k) => 10 ** (k - 3));
      select(axes[0]).call(axisBottom(rates).tickValues(decades).tickFormat((v) => (v >= 0.01 && v <= 100 ? String(v) : power(Math.round(Math.log10(v))))).tickSize(4).tickSizeOuter(0));
      const ticks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
      select(axes[1]).call(axisLeft(scaleLinear([0, 1], [0, 1])).tickValues([]).tickSizeOuter(0));
      select(axes[1]).selectAll(".tick-m").data(ticks).join((enter) => enter.append("g").attr("class", "tick-m").call((g) => { g.append("line"); g.append("text"); }))
        .attr("transform", (m) => `translate(0,${y(m)})`).call((g) => {
          g.select("line").attr("x2", -4);
          g.select("text").attr("x", -7).attr("dy", "0.32em").attr("text-anchor", "end").text(String);
        });
      names[0].setAttribute("x", total - MARGIN.right);
      names[0].setAttribute("y", HEIGHT - 6);
    },
    paint(rate, [columns, rows]) {
      [canvas.width, canvas.height] = [columns, rows];
      const pen = canvas.getContext("2d"), image = pen.createImageData(columns, rows);
      const rates = Array.from({ length: columns }, (_, i) => range.lr.low * (range.lr.high / range.lr.low) ** ((i + 0.5) / columns));
      for (let j = 0; j < rows; j++) {
        const m = 1 - (1 - range.momentum.low) * ((1 - range.momentum.high) / (1 - range.momentum.low)) ** (1 - (j + 0.5) / rows);
        for (let i = 0; i < columns; i++) {
          const value = rate(rates[i], m);
          if (value < 1) image.data.set(color(value), 4 * (j * columns + i)); // diverging settings stay empty
        }
      }
      pen.putImageData(image, 0, 0);
    },
    /** The stability edge, the two lines of critical damping, and the best setting where they cross. */
    lines(code, kappa) {
      const moments = Array.from({ length: 121 }, (_, k) => 1 - 0.01 ** (k / 120));
      const draw = (f) => line((p) => p[0].toFixed(1), (p) => p[1].toFixed(1))(
        moments.filter((m) => f(m) <= code.stability_edge(m, kappa))
          .map((m) => [(Math.log(f(m) / range.lr.low) / Math.log(range.lr.high / range.lr.low)) * width, y(m)]).filter(([a]) => a >= 0 && a <= width));
      const [bestRate, bestMomentum] = code.best_momentum(kappa);
      const paths = [
        ["cf-edge", draw((m) => code.stability_edge(m, kappa))],
        ["cf-critical", draw((m) => code.critical_rates(m, 1)[0])],
        ["cf-critical", draw((m) => code.critical_rates(m, kappa)[1])],
        ["cf-best", `M${x(bestRate) - 6},${y(bestMomentum)}h12M${x(bestRate)},${y(bestMomentum) - 6}v12`],
      ];
      select(curves).selectAll("path").data(paths).join("path").attr("class", (p) => p[0]).attr("d", (p) => p[1]);
      const edge = x(Math.min(range.lr.high, code.stability_edge(0, kappa)));
      const labels = [["diverges", (edge + width) / 2 + 20, y(0.3), "middle"], ["best", x(bestRate) - 9, y(bestMomentum) + 4, "end"]];
      select(words).selectAll("text").data(labels).join("text").text((l) => l[0]).attr("x", (l) => l[1]).attr("y", (l) => l[2]).attr("text-anchor", (l) => l[3])
        .attr("class", (l) => (l[0] === "best" ? "cf-on-map" : "cf-title"));
    },
    ring(lr, momentum) {
      now = [placeOf(lr, range.lr), placeOf(momentum, range.momentum)];
      ring.setAttribute("transform", `translate(${x(lr)},${y(momentum)})`);
      ring.setAttribute("aria-valuetext", `learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}`);
      ring.setAttribute("aria-valuenow", lr);
    },
  };
}

/** Distance to the minimum over the steps: the run as dots, theory as a line of that slope. */
function runPlot(parent) {
  const node = make(parent, "svg", "cf-loss-plot", { role: "img", height: RUN.height, "aria-label": "Distance to the minimum over the steps: the run, and the slope that theory predicts." });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = "distance to the minimum";
  const foot = make(node, "text", "cf-title", { y: RUN.height - 6, "text-anchor": "end" });
  foot.textContent = "step";
  const inside = make(node, "g", "", { transform: `translate(${RUN.left},${RUN.top})` });
  const height = RUN.height - RUN.top - RUN.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const theoryLine = make(inside, "path", "cf-theory"), dots = make(inside, "path", "cf-dots");
  dots.style.setProperty("--rule", "var(--cf-rule-momentum)");
  const x = scaleLinear([0, RUN.shown], [0, 1]), y = scaleLog([1e-10, 1e3], [height, 0]).clamp(true);
  return {
    resize(total) {
      const width = total - RUN.left - RUN.right;
      x.range([0, width]);
      node.setAttribute("width", total);
      foot.setAttribute("x", total - RUN.right);
      select(axes[0]).call(axisBottom(x).ticks(4).tickSize(4).tickSizeOuter(0));
      select(axes[1]).call(axisLeft(y).tickValues([1e-9, 1e-6, 1e-3, 1, 1e3]).tickFormat((v) => power(Math.round(Math.log10(v)))).tickSize(-width).tickSizeOuter(0));
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
