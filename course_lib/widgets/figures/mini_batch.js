// MiniBatch: full batch, mini-batch and stochastic descent from one start. State: the traits in TRAITS.
import { axisBottom, axisLeft, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { batches } from "./mini_batch_draws.js";
import { button, slider } from "../kit/controls.js";
import { FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { load, make, onNextFrame, onResize, power, put, show, showChosen } from "../kit/kit.js";

const TRAITS = ["problem", "start", "lr", "B", "sampling", "budget", "steps", "epochs", "seed"];
const FAR = 50; // a run that gets so far from the minimum has diverged
const PLOT = { height: 200, top: 18, right: 10, bottom: 36, left: 40 };
const SMALLEST = 1e-6; // of the losses above the minimum that are drawn
const MARKS = 400; // of a run whose loss is drawn
const NAMES = { problem: "Problem", sampling: "Sampling", budget: "Same number of" };

/** @typedef {{ name: string, key: string, x: number[][], y: number[], minimum: number[], lowest: number, covariance: number[] }} Problem */

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const root = make(el, "div", "cf cf-minibatch", {
    role: "group",
    "aria-label": "Full batch, mini-batch and stochastic descent",
  });
  const bar = make(root, "div", "cf-minibatch-bar");
  const choices = Object.entries(spec.choices).map(([name, values]) =>
    chooser(bar, NAMES[name], values, (value) =>
      put(model, { [name]: value, ...(name === "problem" ? of(value) : {}) }),
    ),
  );
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const rows = headlines(side, spec.runs);
  const sliders = spec.controls.map((control) => slider(side, model, control));
  const buttons = make(side, "div", "cf-buttons");
  button(buttons, "New draw", "Other batches: the next seed", () =>
    put(model, { seed: (model.get("seed") + 1) >>> 0 }),
  );
  button(buttons, "Reset", "Back to the start values", () => put(model, { ...spec.initial }));
  const contourBox = make(main, "div"),
    lossBox = make(main, "div"),
    losses = lossPlot(lossBox);

  /** What a problem brings along. */
  function of(name) {
    const { start, lr } = spec.problems.find((one) => one.name === name);
    return { start, lr };
  }

  let plot = null,
    shown = "",
    width = 0;

  function drawSurface(problem) {
    if (shown === problem.name) return;
    plot?.node.remove();
    plot = contourPlot(contourBox, problem.domain, (start) => put(model, { start }));
    plot.resize(width);
    plot.surface(
      grid((a, b) => fullLoss(code, problem, a, b), problem.domain, FINE),
      problem.lowest,
      [problem.minimum],
    );
    nameAxes(plot.node);
    shown = problem.name;
  }

  function draw() {
    if (!width) return;
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const problem = spec.problems.find((one) => one.name === state.problem);
    drawSurface(problem);
    const sizes = [spec.examples, state.B, 1];
    const runs = spec.runs.map((label, k) => ({
      label,
      key: label.replace(" ", "-"),
      color: `var(--cf-${label.replace(" ", "-")})`,
      B: sizes[k],
      ...descend(code, problem, sizes[k], k ? state : { ...state, sampling: "in sequence" }),
    }));
    const order = [...runs].reverse(); // the calm ones on top
    plot.paths(order, Infinity, state.start);
    plot.node
      .querySelectorAll(".cf-path")
      .forEach((path, k) => path.parentNode.setAttribute("class", `cf-of-${order[k].key}`));
    const floors =
      state.sampling === "with replacement"
        ? runs.slice(1).map(({ B, color }) => ({ color, at: code.excess(...problem.covariance, B, state.lr) }))
        : [];
    const words = rows(runs);
    losses.draw(order, floors, state, spec.examples, words);
    choices.forEach((mark, k) => mark(state[Object.keys(spec.choices)[k]]));
    sliders[2].style.display = state.budget === "examples" ? "" : "none";
    sliders[3].style.display = state.budget === "steps" ? "" : "none";
    plot.node.setAttribute(
      "aria-label",
      `Contours of the ${problem.name} loss over ${spec.examples} examples, three paths with the rate ${showChosen(state.lr)}, batches ${state.sampling}. ${words}.`,
    );
  }

  const ask = onNextFrame(draw);
  TRAITS.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(contourBox, (total) => {
      width = total;
      shown = "";
      draw();
    }),
    onResize(lossBox, (total) => {
      losses.resize(total);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    TRAITS.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/** θ₀ and θ₁ beside their axes. */
function nameAxes(node) {
  const back = node.querySelector(".cf-back"),
    [width, height] = ["width", "height"].map((side) => +back.getAttribute(side));
  make(back.parentNode, "text", "cf-title", { x: width - 6, y: height - 6, "text-anchor": "end" }).textContent = "θ₀";
  make(back.parentNode, "text", "cf-title", { x: 6, y: height - 6 }).textContent = "θ₁";
}

/** The mean of the examples' losses. */
function fullLoss(code, { key, x, y }, a, b) {
  const loss = code[`${key}_loss`];
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += loss(a, b, x[i][0], x[i][1], y[i]);
  return sum / y.length;
}

/** The mean of the gradients of the examples in a batch. */
function batchGradient(code, { key, x, y }, [a, b], batch) {
  const gradient = code[`${key}_gradient`];
  let u = 0,
    v = 0;
  for (const i of batch) {
    const [du, dv] = gradient(a, b, x[i][0], x[i][1], y[i]);
    u += du;
    v += dv;
  }
  return [u / batch.length, v / batch.length];
}

/** A run within its budget: its points, examples used after each, losses above the minimum at `marks`, where it diverged (-1: nowhere), its end's distance. */
function descend(code, problem, B, { start, lr, sampling, budget, steps, epochs, seed }) {
  const N = problem.y.length,
    next = batches(N, B, sampling, seed);
  const points = [start],
    used = [0];
  let diverged = -1;
  while (budget === "steps" ? points.length <= steps : used.at(-1) < epochs * N) {
    const batch = next(),
      w = points.at(-1);
    points.push(code.step(...w, ...batchGradient(code, problem, w, batch), lr));
    used.push(used.at(-1) + batch.length);
    if (!(distance(points.at(-1), problem.minimum) < FAR)) {
      diverged = points.length - 1;
      break;
    }
  }
  const stride = Math.ceil(points.length / MARKS),
    marks = points.map((_, k) => k).filter((k) => k % stride === 0 || k === points.length - 1);
  const above = marks.map((k) => fullLoss(code, problem, ...points[k]) - problem.lowest);
  return { points, used, marks, above, diverged, distance: distance(points.at(-1), problem.minimum) };
}

const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);

/** Buttons of which one is pressed, after their name; returns a function that says which. */
function chooser(parent, title, values, choose) {
  const box = make(parent, "div", "cf-minibatch-choice", { role: "group", "aria-label": title });
  make(box, "span", "cf-name").textContent = title.toLowerCase();
  const all = values.map((value) => button(box, value, `${title}: ${value}`, () => choose(value)));
  return (chosen) => all.forEach((node, k) => node.setAttribute("aria-pressed", values[k] === chosen));
}

/** The distances, large, and what they cost; returns a function that shows them and gives the words. */
function headlines(parent, labels) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  make(box, "div", "cf-race-head").textContent = "distance to the minimum";
  const parts = labels.map((label) => {
    const node = make(box, "div", "cf-result");
    node.style.setProperty("--rule", `var(--cf-${label.replace(" ", "-")})`);
    make(node, "span", "cf-label").textContent = label;
    return [make(node, "span", "cf-number"), make(node, "span", "cf-unit")];
  });
  return (runs) =>
    runs
      .map(({ label, diverged, used, distance }, k) => {
        const cost = `${used.at(-1)} examples, ${used.length - 1} step${used.length > 2 ? "s" : ""}`;
        parts[k][0].textContent = diverged < 0 ? show(distance) : "diverged";
        parts[k][1].textContent = diverged < 0 ? cost : `at step ${diverged}`;
        return diverged < 0
          ? `${label}: ${show(distance)} from the minimum after ${cost}`
          : `${label}: diverged at step ${diverged}`;
      })
      .join(". ");
}

/** The loss above its minimum, over steps or over epochs. */
function lossPlot(parent) {
  const node = make(parent, "svg", "cf-loss-plot", { role: "img", height: PLOT.height });
  make(node, "text", "cf-title", { x: 4, y: 11 }).textContent = "J(θ) above its minimum";
  const key = make(node, "text", "cf-title", { y: 11, "text-anchor": "end" }),
    foot = make(node, "text", "cf-title", { y: PLOT.height - 4, "text-anchor": "end" });
  const inside = make(node, "g", "", { transform: `translate(${PLOT.left},${PLOT.top})` });
  const height = PLOT.height - PLOT.top - PLOT.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")],
    drawn = make(inside, "g");
  const x = scaleLinear(),
    y = scaleLog().range([height, 0]);
  let width = 0;
  return {
    node,
    resize(total) {
      width = total - PLOT.left - PLOT.right;
      node.setAttribute("width", total);
      x.range([0, width]);
      key.setAttribute("x", total - PLOT.right);
      foot.setAttribute("x", total - PLOT.right);
    },
    draw(runs, floors, { budget, steps, epochs }, N, words) {
      if (!width) return;
      const place = budget === "steps" ? (run, k) => k : (run, k) => run.used[k] / N;
      let low = 1,
        high = 1e-3;
      for (const { above } of runs)
        for (const z of above)
          if (z > SMALLEST) {
            low = Math.min(low, z);
            high = Math.max(high, Math.min(z, 1e3));
          }
      y.domain([10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))]);
      x.domain([0, budget === "steps" ? steps : epochs]);
      const [bottom, top] = y.domain(),
        decades = Math.round(Math.log10(top / bottom)),
        stride = Math.ceil(decades / 5);
      const ticks = Array.from({ length: Math.floor(decades / stride) + 1 }, (_, k) => bottom * 10 ** (k * stride));
      select(axes[0]).call(axisBottom(x).ticks(Math.min(5, x.domain()[1])).tickSize(4).tickSizeOuter(0));
      select(axes[1]).call(
        axisLeft(y)
          .tickValues(ticks)
          .tickFormat((v) => power(Math.round(Math.log10(v))))
          .tickSize(-width)
          .tickSizeOuter(0),
      );
      const at = (z) => y(Math.max(bottom, Math.min(top, z))).toFixed(1);
      const points = (run) =>
        run.above.flatMap((z, k) =>
          z < bottom ? [] : [`${x(place(run, run.marks[k])).toFixed(1)},${at(Number.isFinite(z) ? z : top)}`],
        );
      const lines = [
        ...runs.map((run) => ({ color: run.color, name: `cf-path cf-of-${run.key}`, d: `M${points(run).join("L")}` })),
        ...floors.flatMap(({ color, at: z }) =>
          ["var(--cf-bg)", color].map((rule, k) => ({
            color: rule,
            name: `cf-path ${k ? "cf-floor" : "cf-floor-halo"}`,
            d: `M0,${at(z)}H${width}`,
          })),
        ),
      ];
      select(drawn)
        .selectAll("path")
        .data(lines)
        .join("path")
        .attr("class", (l) => l.name)
        .style("--rule", (l) => l.color)
        .attr("d", (l) => l.d);
      key.textContent = floors.length ? "dotted: predicted floor" : "";
      foot.textContent = budget === "steps" ? "steps" : `epochs: examples seen / ${N}`;
      node.setAttribute(
        "aria-label",
        `Loss above its minimum over ${budget === "steps" ? `${steps} steps` : `${epochs} epochs`}. ${words}.${floors.length ? ` Predicted floors: ${floors.map((f) => show(f.at)).join(" and ")}.` : ""}`,
      );
    },
  };
}
