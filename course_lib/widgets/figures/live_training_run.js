// The training of experiments/live.py, step by step, by the traced formulas: in a worker, or in the page.

/**
 * @typedef {{ pixels: Float64Array, labels: Int32Array, train: number, validation: number }} Digits
 * @typedef {{ rule: string, hyper: Object<string, number>, batch: number, schedule: string, total: number, warm: number,
 * shift: number, noise: number, initialization: string, activation: string, seed: number }} Settings
 */

/**
 * A run on these digits; `shapes` are the weights' by name, `states` of each rule the values at t = 0 (a number or a
 * hyperparameter's name). Its text is also the worker's: it uses nothing but its arguments, `draws` are the functions
 * of mini_batch_draws.js. Returns { change(settings), reset(), step(), report(), weights, t }; a step returns its loss.
 */
export function trainingRun(code, draws, { digits, shapes, states, side, orthogonal }, first) {
  const { pixels, labels, train, validation } = digits;
  const names = Object.keys(shapes);
  const pick = code.pick();
  const augment = code.augment();
  const made = {};
  const make = (name) => (made[name] ??= code[name]()); // each has working arrays of its own
  const run = { change, reset, step, report, weights: {}, t: 0 };
  let settings = first;
  let memory, uses, next, draw, activation, gradient, sum, count;

  function change(now) {
    const old = settings;
    settings = now;
    if (old.rule !== now.rule) beginRule();
    if (old.batch !== now.batch) beginBatches();
  }

  function reset() {
    activation = settings.activation;
    run.t = 0;
    const uniform = draws.uniform(settings.seed);
    for (const name of names) run.weights[name] = firstWeight(name, shapes[name], uniform);
    beginRule();
    beginBatches();
    draw = draws.uniform(settings.seed + 2);
    gradient = {};
    sum = count = 0;
  }

  function firstWeight(name, shape, uniform) {
    const weight = new Float64Array(shape.reduce((a, b) => a * b));
    if (shape.length === 1) return weight;
    const { takesUniform, formula } = initialization(settings.initialization);
    const [fanOut, fanIn] = shape;
    const drawn = weight.map(() => (takesUniform ? uniform() : code.normal(uniform(), uniform())));
    return formula ? drawn.map((z) => formula(z, fanIn, fanOut)) : orthogonalized(name, drawn);
  }

  function initialization(name) {
    return { formula: code[`first_${name}`], takesUniform: orthogonal.uniform.includes(name) };
  }

  function orthogonalized(name, z) {
    const size = Math.sqrt(z.reduce((total, v) => total + v * v, 0));
    const nearer = make(`nearer_${name}`);
    let x = z.map((v) => (orthogonal.below * v) / size);
    for (let k = 0; k < orthogonal.steps; k++) x = nearer({ x }).nearer.slice();
    return x;
  }

  function beginRule() {
    uses = 0;
    memory = {};
    for (const name of names) {
      memory[name] = {};
      for (const [state, value] of Object.entries(states[settings.rule])) {
        const at = typeof value === "string" ? settings.hyper[value] : value;
        memory[name][state] = new Float64Array(run.weights[name].length).fill(at);
      }
    }
  }

  function beginBatches() {
    next = draws.batches(train, settings.batch, "shuffled", settings.seed + 1 + run.t);
  }

  function rate() {
    const { hyper, schedule, total, warm } = settings;
    return "lr" in hyper ? code[`rate_${schedule}`](run.t, hyper.lr, total, warm) : null;
  }

  function step() {
    const { rule, hyper } = settings;
    const batch = nextBatch();
    const found = make(`gradient_${activation}`)({ ...run.weights, ...batch });
    const lr = rate();
    run.t++;
    uses++;
    const given = lr === null ? { ...hyper } : { ...hyper, lr };
    for (const name of names) {
      const w = run.weights[name];
      const g = found[`gradient of ${name}`];
      const after = make(`update_${rule}`)({ ...given, ...memory[name], w, g, t: uses, count: w.length });
      w.set(after["new w"].subarray(0, w.length));
      for (const state of Object.keys(memory[name]))
        memory[name][state].set(after[`new ${state}`].subarray(0, w.length));
      gradient[name] = g;
    }
    sum += found.loss;
    count++;
    return found.loss;
  }

  function nextBatch() {
    const rows = Int32Array.from(next());
    const { shift, noise } = settings;
    const batch = { ...pick({ pixels, labels, rows, count: rows.length }), count: rows.length };
    if (!shift && !noise) return batch;
    const down = new Float64Array(rows.length);
    const right = new Float64Array(rows.length);
    for (let k = 0; k < rows.length; k++) {
      down[k] = Math.floor((2 * shift + 1) * draw()) - shift;
      right[k] = Math.floor((2 * shift + 1) * draw()) - shift;
    }
    const z = new Float64Array(rows.length * side * side);
    if (noise) for (let k = 0; k < z.length; k++) z[k] = code.normal(draw(), draw());
    return { ...batch, x: augment({ ...batch, down, right, z, noise }).augmented };
  }

  function report() {
    const batch = pickValidation();
    const { loss, probabilities } = make(`outcome_${activation}`)({ ...run.weights, ...batch });
    const classes = probabilities.length / validation;
    const predictions = [];
    const sure = [];
    let right = 0;
    for (let k = 0; k < validation; k++) {
      const row = probabilities.subarray(k * classes, (k + 1) * classes);
      let best = 0;
      for (let c = 1; c < classes; c++) if (row[c] > row[best]) best = c;
      predictions.push(best);
      sure.push(row[best]);
      right += best === batch.y[k];
    }
    const norms = {};
    for (const name of names)
      if (shapes[name].length > 1 && gradient[name])
        norms[name] = Math.sqrt(gradient[name].reduce((total, v) => total + v * v, 0));
    const mean = sum / count;
    sum = count = 0;
    return {
      t: run.t,
      loss: mean,
      rate: rate(),
      norms,
      val_loss: loss,
      accuracy: right / validation,
      predictions,
      probabilities: sure,
    };
  }

  function pickValidation() {
    const inputs = pixels.length / labels.length;
    return {
      x: pixels.subarray(train * inputs, (train + validation) * inputs),
      y: labels.subarray(train, train + validation),
      count: validation,
    };
  }

  reset();
  return run;
}
