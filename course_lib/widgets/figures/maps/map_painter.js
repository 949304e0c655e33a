// When to compute what: as many pixels as a frame has time for while something moves, all of them when it rests.
import { gpu } from "./map_gpu.js";
import { page, worker } from "./map_cpu.js";

const FRAME = 18; // ms of a frame at 30 a second for the map; the rest is for the run beside it
const BAND = 24; // ms for each band of rows while the picture is refined
const REST = 150; // ms without a change, then all pixels
const FIRST = 2500; // pixels, before anything was measured
const FEWEST = 600;
const FASTER = 0.7; // of the chip's time, at most, is what a worker takes that replaces it
const BUDGET = 10_000; // ms that the whole picture may take, with fewer pixels on a slow machine
const ENOUGH = 20_000; // pixels, however long they take
const TOLD = 400; // ms that a picture takes before its progress is shown
const NEAR = "300px"; // around the window
const ENGINES = [
  { make: gpu, most: 330_000, say: "" },
  {
    make: worker,
    most: 26_000,
    say: "This browser offers no graphics with floating-point numbers (WebGL2). The map is computed in JavaScript, with fewer pixels.",
  },
  {
    make: page,
    most: 12_000,
    say: "This browser offers neither WebGL2 nor workers. The map is computed slowly, with few pixels.",
  },
];

const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

/**
 * The fastest machine that works here; the next one where it fails, and where a first tile shows that it is faster: a
 * browser without a graphics chip computes shaders, too, but slowly. `tell(words)` says which one it is.
 */
function machine(parts, tell) {
  let kind = 0,
    now = null,
    raced = false;
  return {
    get most() {
      return ENGINES[kind].most;
    },
    get kind() {
      return ENGINES[kind].make.name;
    },
    async compute(...job) {
      for (;;) {
        try {
          now ??= ENGINES[kind].make(parts);
          return await now.compute(...job);
        } catch (error) {
          now?.close();
          now = null;
          if (kind === ENGINES.length - 1) throw error;
          tell(ENGINES[++kind].say, error.message);
        }
      }
    },
    /** Lets the chip, whose first call compiled, and a worker compute this job; keeps the faster one. Resolves to its ms. */
    async race(job, patience) {
      const time = async (one) => {
        const began = performance.now();
        await one.compute(job, 0, job.y.length);
        return performance.now() - began;
      };
      const before = await time(now);
      if (before < patience || kind !== 0 || raced) return before;
      raced = true;
      let other = null;
      try {
        other = worker(parts);
        await other.compute(job, 0, 1);
        const took = await time(other);
        if (took > FASTER * before) throw new Error("not faster");
        now?.close();
        [now, kind] = [other, 1];
        tell("This browser computes graphics without a chip. The map is computed in JavaScript, which is faster here.");
        return took;
      } catch {
        other?.close(); // the chip, or what stands for it, goes on
        return before;
      }
    },
    close: () => now?.close(),
  };
}

/**
 * `box`: the picture's element; nothing is computed while it is far from what the reader sees. `read(columns, rows)`:
 * the job as it is now; `size()`: the width and height at full resolution, [0, 0] for nothing to do; `show({ floats,
 * columns, rows, from, to, coarse })`: these rows are computed; `done()`: the picture is complete; `progress(share)`:
 * how much of it is, null when nothing is computed. Returns { ask, stop, close, state }: `ask()` after every change,
 * `stop()` leaves the picture as it is; `state`: what it does, { machine, idle, pixels, coarse }.
 */
export function painter(parts, { box, read, size, show, done, tell, progress }) {
  let seen = false,
    asked = 0,
    finished = -1,
    changed = 0,
    busy = false,
    closed = false,
    stopped = -1,
    pace = 0; // ms for one step of one pixel
  const own = machine({ ...parts, lost: () => ask() }, (...words) => {
    pace = 0;
    tell(...words);
  });
  const state = {
    get machine() {
      return own.kind;
    },
    get idle() {
      return !busy && finished === asked;
    },
    pixels: 0,
    coarse: 0,
  }; // to be read in a console, and by tests

  async function rows(job, from, to) {
    const began = performance.now(),
      floats = await own.compute(job, from, to);
    const found = (performance.now() - began) / (job.x.length * (to - from) * (job.steps + 1));
    pace = pace ? 0.5 * pace + 0.5 * found : found;
    return floats;
  }

  /** As many pixels as this machine computes in the budget. */
  const affordable = (steps) => Math.min(own.most, pace ? Math.max(ENOUGH, BUDGET / (pace * (steps + 1))) : own.most);

  /** The whole picture with at most `pixels`; returns whether that is full resolution. */
  async function quick(steps) {
    const [width, height] = size(),
      all = Math.min(width * height, affordable(steps));
    const can = pace ? FRAME / (pace * (steps + 1)) : FIRST,
      pixels = Math.min(all, Math.max(FEWEST, can));
    const columns = Math.max(1, Math.round(width * Math.sqrt(pixels / (width * height)))),
      high = Math.max(1, Math.round((columns * height) / width));
    const job = read(columns, high),
      full = pixels >= all;
    const floats = await rows(job, 0, high);
    const share = pixels / Math.min(width * height, own.most); // of the whole picture
    if (own.kind === "gpu" && pace * columns * high * (steps + 1) > share * BUDGET)
      pace = (await own.race(job, share * BUDGET)) / (columns * high * (steps + 1));
    state.coarse = columns * high;
    if (!closed) show({ floats, columns, rows: high, from: 0, to: high, coarse: !full });
    return full;
  }

  /** All pixels, band by band, unless something changes; returns whether it came to the end. */
  async function fine(mine) {
    const [width, height] = size(),
      scale = Math.sqrt(Math.min(1, affordable(read(1, 1).steps) / (width * height)));
    const columns = Math.max(1, Math.round(width * scale)),
      high = Math.max(1, Math.round(height * scale));
    const job = read(columns, high);
    const began = performance.now();
    for (let from = 0; from < high;) {
      await nextFrame();
      if (closed || mine !== asked || !seen) return false;
      if (stopped === mine) return true;
      if (from && performance.now() - began > TOLD) progress(from / high);
      const to = Math.min(high, from + Math.max(1, Math.round(BAND / (pace * columns * (job.steps + 1)))));
      const floats = await rows(job, from, to);
      if (closed || mine !== asked) return false;
      show({ floats, columns, rows: high, from, to, coarse: false });
      from = to;
    }
    state.pixels = columns * high;
    return true;
  }

  async function work() {
    let drawn = 0;
    while (!closed && drawn !== asked) {
      const mine = asked,
        first = !state.pixels;
      await nextFrame();
      if (closed) return;
      drawn = mine;
      if (!seen) continue; // asked again when it comes into sight
      if (!size()[0]) {
        finished = mine;
        continue;
      }
      if (!(await quick(read(1, 1).steps))) {
        while (!first && !closed && mine === asked && performance.now() - changed < REST) await nextFrame();
        if (closed || mine !== asked || !(await fine(mine))) continue;
      }
      if (closed || mine !== asked) continue;
      finished = mine;
      progress(null);
      done();
    }
    progress(null);
    busy = false;
  }

  function ask() {
    asked++;
    changed = performance.now();
    if (busy) return;
    busy = true;
    work().catch((error) => {
      busy = false;
      tell(`The map could not be computed here (${error.message}).`, error.message);
    });
  }

  const watch = new IntersectionObserver(
    (entries) => {
      const before = seen;
      seen = entries.at(-1).isIntersecting;
      if (seen && !before && finished !== asked) ask();
    },
    { rootMargin: NEAR },
  );
  watch.observe(box);
  return {
    ask,
    stop: () => (stopped = asked),
    state,
    close: () => {
      closed = true;
      watch.disconnect();
      own.close();
    },
  };
}
