// The clock of MachineNow: the same runs by JavaScript and by the graphics chip, in slices that leave the page its frames.
import { gpu } from "./maps/map_gpu.js";

const SLICE = 12; // ms of work between two frames
const LEAST = 40; // ms of work for a rate: browsers round their clock, some to a millisecond
const PROBE = 8; // doublings of the runs by which the chip's pace is estimated first
const CHUNK = 8; // runs between two looks at the clock
const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

/** The middles of `count` cells. */
const cells = ({ low, high }, count) =>
  Float64Array.from({ length: count }, (_, k) => low + ((k + 0.5) / count) * (high - low));

/** A grid of 2ᵏ runs: the values of both axes, and what the shader needs besides. */
function job(spec, k) {
  const [x, y] = spec.axes.map((axis, j) => cells(axis, 2 ** Math.floor((k + 1 - j) / 2)));
  return {
    x: Float32Array.from(x),
    y: Float32Array.from(y),
    values: Object.values(spec.hyper),
    steps: spec.steps,
    bound: spec.bound,
    start: spec.start,
    goal: 0,
    lowest: 0,
    exact: [x, y],
  };
}

/**
 * Measures both machines: { found, measure(k, ended), name, without, close }. `found` has, by k, { script, chip } in
 * steps a second, and `apart`, the largest distance of two end points. `without` says why there is no chip, if so.
 */
export function laboratory(spec, code) {
  const lab = { found: new Map(), name: "", without: "" };
  let chip = null;
  let pace = 0; // ms of the chip for a run

  /** The chip, made when it is first needed. */
  function engine() {
    if (chip || lab.without) return;
    try {
      chip = gpu({ shader: spec.shader, lost: () => gone("the browser took the graphics context away") });
      lab.name = String(chip.name());
    } catch (error) {
      gone(error.message);
    }
  }

  function gone(why) {
    chip = null;
    lab.without = `This browser offers no graphics that compute (${why}): JavaScript is measured alone.`;
  }

  /** Steps a second by JavaScript, and where the runs of the first pass ended. */
  async function script(k, ended) {
    const { exact } = job(spec, k);
    const [x, y] = exact;
    const runs = x.length * y.length;
    const hyper = { ...spec.hyper };
    const [across, up] = spec.axes.map((axis) => axis.name);
    const ends = new Float64Array(2 * runs);
    let done = 0;
    let spent = 0;
    const run = () => {
      const at = done++ % runs;
      hyper[across] = x[at % x.length];
      hyper[up] = y[Math.floor(at / x.length)];
      const [, a, b] = code.run(spec.start, spec.steps, hyper);
      ends[2 * at] = a;
      ends[2 * at + 1] = b;
    };
    for (let j = 0; j < 64; j++) run(); // so that the compiler has done its work
    done = 0;
    while ((done < runs || spent < LEAST) && !ended()) {
      const begin = performance.now();
      let now = begin;
      while (now - begin < SLICE && (done < runs || spent + now - begin < LEAST)) {
        for (let j = 0; j < CHUNK; j++) run();
        now = performance.now();
      }
      spent += now - begin;
      await nextFrame();
    }
    return { rate: (done * spec.steps) / (spent / 1000), ends };
  }

  /** One pass of the chip, in bands of rows where it takes long: { spent, ends } in ms; what it computes is read back. */
  async function pass(grid, ended) {
    const rows = grid.y.length;
    const band = Math.max(1, Math.min(rows, Math.floor(SLICE / (pace * grid.x.length || 1e-9))));
    const fresh = { ...grid }; // so that its numbers are sent again, as they are when something new is computed
    const parts = [];
    let spent = 0;
    for (let from = 0; from < rows && !ended(); from += band) {
      const begin = performance.now();
      parts.push(chip.compute(fresh, from, Math.min(rows, from + band)));
      spent += performance.now() - begin;
      if (band < rows) await nextFrame();
    }
    return { spent, parts };
  }

  /** Steps a second by the chip, and its last results, four numbers a run. */
  async function graphics(k, ended) {
    const grid = job(spec, k);
    const runs = grid.x.length * grid.y.length;
    if (!pace) {
      const small = job(spec, PROBE);
      await pass(small, ended); // compiles
      pace = (await pass(small, ended)).spent / 2 ** PROBE;
    }
    let spent = 0;
    let passes = 0;
    let since = 0;
    let last = await pass(grid, ended); // not counted: makes room for the results
    while (spent < LEAST && !ended()) {
      last = await pass(grid, ended);
      spent += last.spent;
      passes++;
      since += last.spent;
      if (since > SLICE) {
        await nextFrame();
        since = 0;
      }
    }
    if (runs >= 2 ** PROBE) pace = spent / passes / runs;
    return { rate: (runs * spec.steps * passes) / (spent / 1000), parts: last.parts };
  }

  /** The largest distance between the points where both machines end. */
  function distance(ends, parts) {
    let most = 0;
    let at = 0;
    for (const floats of parts)
      for (let j = 0; j < floats.length; j += 4, at += 2)
        most = Math.max(most, Math.abs(floats[j + 2] - ends[at]), Math.abs(floats[j + 3] - ends[at + 1]));
    return most;
  }

  lab.measure = async (k, ended, tell) => {
    engine();
    const one = await script(k, ended);
    if (ended()) return;
    const row = { ...lab.found.get(k), script: one.rate };
    lab.found.set(k, row);
    tell();
    if (!chip) return;
    try {
      const other = await graphics(k, ended);
      if (!ended()) lab.found.set(k, { ...row, chip: other.rate, apart: distance(one.ends, other.parts) });
    } catch (error) {
      gone(error.message);
    }
  };
  lab.close = () => chip?.close();
  return lab;
}

/** The runs at which both are equally fast, between two sizes that were measured; null where they do not cross. */
export function crossing(found) {
  const both = [...found].filter(([, row]) => row.script && row.chip).sort(([a], [b]) => a - b);
  const lead = both.map(([k, { script, chip }]) => [k, Math.log(chip / script)]);
  for (let j = 1; j < lead.length; j++) {
    const [[k, before], [m, after]] = [lead[j - 1], lead[j]];
    if (before < 0 && after >= 0) return 2 ** (k + ((m - k) * -before) / (after - before));
  }
  return null;
}

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** What the browser says of the chip, in a sentence. */
export const kindOf = (name) =>
  !name
    ? ""
    : SOFTWARE.test(name)
      ? `The browser names its graphics “${name}”: a program on your CPU that stands in for a chip.`
      : `The browser names its graphics “${name}”.`;
