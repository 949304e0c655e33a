// A network that nobody has trained: its draws, its signals and its predictions, by the formulas that Python traced.
import { uniform } from "./mini_batch_draws.js";
import * as layers from "./signal_propagation_layers.js";

/** The traced function of this name, wherever it was printed. */
const traced = (code, name) => code[name] ?? layers[name];

/** Standard normal draws from uniform ones, two from each two neighbors. */
function normal(code, u) {
  const z = new Float64Array(u.length);
  for (let k = 0; k < u.length; k += 2) {
    const pair = code.normal_draws(u[k], u[k + 1]);
    z[k] = pair[0];
    z[k + 1] = pair[1];
  }
  return z;
}

/**
 * The draws of a seed and a width: { x, incoming, weight(k, uniform) }, each made when it is first asked for, so that a
 * slider moves nothing but what it says.
 */
export function draws(code, seed, width, examples) {
  const next = uniform(seed);
  const block = (count) => each(new Float64Array(count), next);
  const x = normal(code, block(examples * width));
  const incoming = normal(code, block(examples * width));
  const u = [];
  const z = [];
  const weight = (k, plain) => {
    while (u.length <= k) u.push(block(width * width));
    return plain ? u[k] : (z[k] ??= normal(code, u[k]));
  };
  return { x, incoming, weight };
}

/** f of each number. */
function each(values, f) {
  const result = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) result[k] = f(values[k]);
  return result;
}

/** A traced product of one example, for all of them. */
function product(f, values, W, width) {
  const result = new Float64Array(values.length);
  for (let k = 0; k < values.length; k += width) f(values.subarray(k, k + width), W, result.subarray(k, k + width));
  return result;
}

function meanSquare(values) {
  let total = 0;
  for (const v of values) total += v * v;
  return total / values.length;
}

/** Signals up and gradients down: { post, gradients }, an array a layer, and { forward, backward }, their mean squares. */
export function propagate(code, { x, incoming, weight }, spec, { activation, initialization, width, depth, gain }) {
  const plain = spec.uniform.includes(initialization);
  const weights = Array.from({ length: depth }, (_, k) =>
    each(weight(k, plain), (draw) => code[initialization](draw, width, width, gain)),
  );
  const pre = [];
  const post = [];
  for (const W of weights) {
    pre.push(product(layers[`forward_${width}`], post.at(-1) ?? x, W, width));
    post.push(each(pre.at(-1), code[activation]));
  }
  const gradients = [];
  let down = incoming;
  for (let k = depth - 1; k >= 0; k--) {
    gradients[k] = each(pre[k], code[`${activation}_slope`]);
    for (let i = 0; i < down.length; i++) gradients[k][i] *= down[i];
    down = k > 0 ? product(layers[`backward_${width}`], gradients[k], weights[k], width) : null;
  }
  return { post, gradients, forward: pre.map(meanSquare), backward: gradients.map(meanSquare) };
}

/** The variance that a weight is drawn with. */
function weightVariance(code, spec, { initialization, width, gain }) {
  const one = code[initialization](1, width, width, gain); // of a uniform draw 1 is the bound
  return one ** 2 / (spec.uniform.includes(initialization) ? 3 : 1);
}

/** What a layer of infinite width has, and with `tangent` one whose activation is its tangent: { forward, backward }. */
export function predicted(code, spec, state, tangent = false) {
  const { activation, width, depth } = state;
  const variance = weightVariance(code, spec, state);
  const [square, slopeSquare] = ["square", "slope_square"].map((kind) =>
    traced(code, `${tangent ? "tangent_" : ""}${activation}_${kind}`),
  );
  const forward = [];
  for (let k = 0, mean = 1; k < depth; k++) {
    forward.push(code.forward_variance(mean, width, variance));
    mean = square(forward[k]);
  }
  const slopes = forward.map((v) => slopeSquare(v));
  const backward = [];
  backward[depth - 1] = slopes[depth - 1];
  for (let k = depth - 2; k >= 0; k--)
    backward[k] = code.backward_variance(backward[k + 1], width, variance, slopes[k]);
  return { forward, backward };
}

/**
 * How many values lie in each bin from -half to half; what lies outside counts in the outermost ones, and what is 0
 * exactly, behind a ReLU, in none.
 */
export function histogram(values, half, bins) {
  const counts = new Float64Array(bins);
  for (const v of values)
    if (v !== 0) counts[Math.min(bins - 1, Math.max(0, Math.floor(((v + half) / (2 * half)) * bins)))]++;
  return counts;
}
