// Ring: an all-reduce round by round. What each machine holds and has sent is computed by the traced formulas.
import { button, choice, headline, scrubber } from "../kit/controls.js";
import { make, show, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { ringPlot } from "./ring_plot.js";

const PACE = 700; // milliseconds a round, when it plays
const NOTE =
  "A row is a machine, a column an n-th of the array. Stripes: the machines whose parts are in the sum, from 0 on the left. " +
  "Green: the sum of all. Framed: arrived in this round.";

export const render = live({
  label: "An all-reduce, round by round",
  name: "cf-allreduce",
  traits: (spec) => ["algorithm", "step", ...spec.controls.map((c) => c.name)],
  build(stage) {
    const { spec, code, root, put, columns, sliders, reset, fit, onEnd } = stage;
    const bar = make(root, "div", "cf-allreduce-bar");
    const algorithms = choice(bar, "Algorithm", spec.algorithms, (algorithm) => put({ algorithm }));
    const [main, side] = columns();
    const plot = ringPlot(main);
    const scrub = scrubber(main, (step) => put({ step }));
    write(main, "p", "cf-note cf-allreduce-note", NOTE);
    const numbers = headlines(side);
    sliders(side);
    const buttons = make(side, "div", "cf-buttons");
    const play = player(buttons, stage, (state) => code[`${state.algorithm}_rounds`](state.n));
    reset(side, buttons, play.stop);
    fit(main, plot, true);
    onEnd(play.stop);

    return (state) => {
      const { algorithm, n, size } = state;
      const rounds = code[`${algorithm}_rounds`](n);
      const step = Math.min(state.step, rounds);
      const now = rowsAt(code, algorithm, step, n);
      const before = rowsAt(code, algorithm, step - 1, n);
      const sent = now.map((_, rank) => code[`${algorithm}_sent`](size, rank, step, n));
      const ends = spec.algorithms.map((name) => total(code, name, state));
      const own = ends[spec.algorithms.indexOf(algorithm)];
      algorithms.mark(algorithm);
      scrub(step, rounds);
      numbers(own, ends, algorithm);
      plot.draw({ now, before: step ? before : now, sent, most: Math.max(...ends.map((end) => end.sent)), n });
      const done = now.flat().filter(({ count }) => count === n).length;
      plot.say(
        `${n} machines after ${step} of ${rounds} rounds of the ${algorithm} all-reduce: ${done} of ${n * n} parts are the sum of all. ` +
          `The busiest machine has sent ${show(Math.max(...sent))} MB of ${show(own.sent)}.`,
      );
    };
  },
});

/** For each machine and each chunk after so many rounds: { first, count } of the machines in its sum. */
function rowsAt(code, algorithm, rounds, n) {
  const held = (rank, chunk) =>
    algorithm === "ring" ? code.ring_held(rank, chunk, rounds, n) : code[`${algorithm}_held`](rank, rounds, n);
  const range = [...Array(n).keys()];
  return range.map((rank) => range.map((chunk) => held(rank, chunk)).map(([first, count]) => ({ first, count })));
}

/** What the busiest machine has sent in the end, in MB, and the seconds of all rounds. */
function total(code, name, { n, size, bandwidth, latency }) {
  const rounds = code[`${name}_rounds`](n);
  const each = [...Array(n).keys()].map((rank) => code[`${name}_sent`](size, rank, rounds, n));
  const seconds = code[`${name}_seconds`](size * 1e6, n, bandwidth * 1e9, latency * 1e-6);
  return { name, sent: Math.max(...each), seconds };
}

/** The numbers of the chosen algorithm, large, and those of the others in a line. */
function headlines(parent) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const sent = headline(
    box,
    "var(--cf-accent)",
    { label: "busiest machine sends", number: "", unit: "" },
    { live: false },
  );
  const time = headline(box, "var(--cf-fg)", { label: "all rounds take", number: "", unit: "" }, { live: false });
  const others = write(box, "p", "cf-note", "");
  return (own, ends, algorithm) => {
    sent.show({ number: `${show(own.sent)} MB` });
    time.show({ number: `${show(1000 * own.seconds)} ms` });
    others.textContent = ends
      .filter(({ name }) => name !== algorithm)
      .map(({ name, sent, seconds }) => `${name}: ${show(sent)} MB, ${show(1000 * seconds)} ms`)
      .join("; ");
  };
}

/** A button that plays the rounds, from the first if the last one is shown: { stop() }. */
function player(parent, { state, put }, roundsOf) {
  let timer = 0;
  const node = button(parent, "Play", "Play the rounds", () => (timer ? stop() : start()));
  function stop() {
    clearInterval(timer);
    timer = 0;
    node.textContent = "Play";
  }
  function start() {
    const last = roundsOf(state());
    if (state().step >= last) put({ step: 0 });
    node.textContent = "Pause";
    timer = setInterval(() => {
      const next = state().step + 1;
      put({ step: Math.min(next, roundsOf(state())) });
      if (next >= roundsOf(state())) stop();
    }, PACE);
  }
  return { stop };
}
