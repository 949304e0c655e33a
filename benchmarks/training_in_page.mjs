// A network on digits in node: the page's training beside TensorFlow.js, in turn. Prints the steps a second of each as JSON.
// Usage: node training_in_page.mjs MODULE SETUP (a module with the traced training, and a JSON file).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , module, setupFile] = process.argv;
const { setup, settings, rounds, milliseconds } = JSON.parse(readFileSync(setupFile));
setup.digits.pixels = Float64Array.from(setup.digits.pixels);
setup.digits.labels = Int32Array.from(setup.digits.labels);
const { trainingRun, uniform, batches, ...code } = await import(pathToFileURL(module));
const steppers = { ours: trainingRun(code, { uniform, batches }, setup, settings).step };

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
require("@tensorflow/tfjs-backend-wasm");

/** The same network, batches and Adam, by TensorFlow.js on one of its backends; float32, as it has no other. */
async function peer(backend) {
  await tf.setBackend(backend);
  await tf.ready();
  const { train, pixels, labels } = setup.digits;
  const next = batches(train, settings.batch, "shuffled", settings.seed + 1);
  const w1 = tf.variable(tf.randomNormal([64, 32], 0, 0.1));
  const b1 = tf.variable(tf.zeros([32]));
  const w2 = tf.variable(tf.randomNormal([32, 10], 0, 0.1));
  const b2 = tf.variable(tf.zeros([10]));
  const optimizer = tf.train.adam(settings.hyper.lr);
  return () => {
    const rows = next();
    const x = tf.tensor2d(Float32Array.from(rows.flatMap((k) => [...pixels.subarray(k * 64, k * 64 + 64)])), [rows.length, 64]);
    const y = tf.oneHot(tf.tensor1d(Int32Array.from(rows, (k) => labels[k]), "int32"), 10);
    optimizer.minimize(() => {
      const z = tf.add(tf.matMul(tf.tanh(tf.add(tf.matMul(x, w1), b1)), w2), b2);
      return tf.mean(tf.sub(tf.logSumExp(z, 1), tf.sum(tf.mul(z, tf.cast(y, "float32")), 1)));
    });
    tf.dispose([x, y]);
  };
}

for (const backend of ["cpu", "wasm"]) {
  const step = await peer(backend);
  steppers[backend] = step;
}

const found = Object.fromEntries(Object.keys(steppers).map((name) => [name, []]));
for (let round = 0; round <= rounds; round++)
  for (const [name, step] of Object.entries(steppers)) {
    if (name !== "ours") await tf.setBackend(name);
    const begin = performance.now();
    let count = 0;
    for (; performance.now() < begin + milliseconds; count++) step();
    if (round) found[name].push((1000 * count) / (performance.now() - begin)); // the first one warms up
  }
console.log(JSON.stringify(found));
