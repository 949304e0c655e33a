// The three runs of MiniBatch, each within its budget, and the plot of their losses.
import { make, show } from "../kit/kit.js";
import { linePlot, tenTo, through } from "../kit/line_plot.js";
import { batches } from "./mini_batch_draws.js";

const FAR = 50; // a run that gets so far from the minimum has diverged
const SMALLEST = 1e-6; // of the losses above the minimum that are drawn
const MARKS = 400; // of a run whose loss is drawn

/**
 * @typedef {{ name: string, key: string, x: number[][], y: number[], minimum: number[], lowest: number, covariance:
 * number[] }} Problem
 */

/** The mean of the examples' losses. */
export function fullLoss(code, { key, x, y }, a, b) {
  const loss = code[`${key}_loss`];
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += loss(a, b, x[i][0], x[i][1], y[i]);
  return sum / y.length;
}

/** The mean of the gradients of the examples in a batch. */
function batchGradient(code, { key, x, y }, [a, b], batch) {
  const gradient = code[`${key}_gradient`];
  let u = 0;
  let v = 0;
  for (const i of batch) {
    const [du, dv] = gradient(a, b, x[i][0], x[i][1], y[i]);
    u += du;
    v += dv;
  }
  return [u / batch.length, v / batch.length];
}

/** Full batch, mini-batch and stochastic descent with these settings. */
export function runs(spec, code, problem, state) {
  const sizes = [spec.examples, state.B, 1];
  return spec.runs.map((label, k) => {
    const key = label.replace(" ", "-");
    const B = sizes[k];
    const own = k ? state : { ...state, sampling: "in sequence" };
    return { label, name: `cf-of-${key}`, color: `var(--cf-${key})`, B, ...descend(code, problem, B, own) };
  });
}

/**
 * A run within its budget: its points, examples used after each, losses above the minimum at `marks`, where it diverged
 * (-1: nowhere), its end's distance.
 */
function descend(code, problem, B, { start, lr, sampling, budget, steps, epochs, seed }) {
  const N = problem.y.length;
  const next = batches(N, B, sampling, seed);
  const points = [start];
  const used = [0];
  let diverged = -1;
  while (budget === "steps" ? points.length <= steps : used.at(-1) < epochs * N) {
    const batch = next();
    const w = points.at(-1);
    points.push(code.step(...w, ...batchGradient(code, problem, w, batch), lr));
    used.push(used.at(-1) + batch.length);
    if (!(distance(points.at(-1), problem.minimum) < FAR)) {
      diverged = points.length - 1;
      break;
    }
  }
  const stride = Math.ceil(points.length / MARKS);
  const marks = points.map((_, k) => k).filter((k) => k % stride === 0 || k === points.length - 1);
  const above = marks.map((k) => fullLoss(code, problem, ...points[k]) - problem.lowest);
  return { points, used, marks, above, diverged, distance: distance(points.at(-1), problem.minimum) };
}

const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);

/** The loss above its minimum, over steps or over epochs: { resize(width), draw(runs, floors, state, words) }. */
export function lossPlot(parent, N) {
  const plot = linePlot(parent, { title: "J(θ) above its minimum", foot: "", height: 200, right: 10, bottom: 36 });
  const key = make(plot.node, "text", "cf-title", { y: 11, "text-anchor": "end" });

  function draw(all, floors, { budget, steps, epochs }, words) {
    const bySteps = budget === "steps";
    const end = bySteps ? steps : epochs;
    const [bottom, top] = range(all.flatMap(({ above }) => above));
    const { x, y } = plot.frame({ x: [0, end], y: [bottom, top], xTicks: Math.min(5, end), yFormat: tenTo });
    const at = (z) => y(Math.max(bottom, Math.min(top, Number.isFinite(z) ? z : top)));
    const place = (run, k) => x(bySteps ? k : run.used[k] / N);
    const points = (run) => run.above.flatMap((z, k) => (z < bottom ? [] : [[place(run, run.marks[k]), at(z)]]));
    plot.curves([
      ...all.map((run) => ({ color: run.color, name: `cf-path ${run.name}`, d: through(points(run)) })),
      ...floors.flatMap(({ color, at: z }) =>
        ["var(--cf-bg)", color].map((rule, k) => ({
          color: rule,
          name: `cf-path ${k ? "cf-floor" : "cf-floor-halo"}`,
          d: `M0,${at(z).toFixed(1)}H${plot.width()}`,
        })),
      ),
    ]);
    key.textContent = floors.length ? "dotted: predicted floor" : "";
    key.setAttribute("x", plot.width() + 40);
    plot.foot.textContent = bySteps ? "steps" : `epochs: examples seen / ${N}`;
    const predicted = floors.length ? ` Predicted floors: ${floors.map((f) => show(f.at)).join(" and ")}.` : "";
    plot.say(`Loss above its minimum over ${bySteps ? `${steps} steps` : `${epochs} epochs`}. ${words}.${predicted}`);
  }

  return { ...plot, draw: (...what) => plot.draw(() => draw(...what)) };
}

/** The whole decades that the losses take, at least 0.001 to 1. */
function range(losses) {
  let low = 1;
  let high = 1e-3;
  for (const z of losses)
    if (z > SMALLEST) {
      low = Math.min(low, z);
      high = Math.max(high, Math.min(z, 1e3));
    }
  return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))];
}
