// The steps of n machines: what each draws, when a step ends, and how many gradients that makes.
import { uniform } from "./mini_batch_draws.js";

/** The times of all machines, [step][machine], by the traced formula of a distribution; a machine's do not depend on n. */
export function drawnTimes(code, { steps, most, distributions }, { distribution, spread, seed }) {
  const next = uniform(seed);
  const time = code[`${distributions[distribution]}_time`];
  return Array.from({ length: steps }, () => Array.from({ length: most }, () => time(next(), next(), spread)));
}

/** How many machines a step does not wait for. */
export const leftOut = ({ mode, dropped, n }) => (mode === "backup" ? Math.min(dropped, n - 1) : 0);

/** How long each step takes: until the slowest is done, or the slowest but k. */
export const stepTimes = (times, n, k) => times.map((row) => row.slice(0, n).sort((a, b) => a - b)[n - 1 - k]);

/** Gradients in the mean time of one, in the drawn steps; without a barrier until the first machine has made its steps. */
export function counted(times, state) {
  const { n, mode } = state;
  if (mode !== "asynchronous") {
    const k = leftOut(state);
    return ((n - k) * times.length) / stepTimes(times, n, k).reduce((a, b) => a + b);
  }
  const ends = Array.from({ length: n }, (_, m) => {
    let now = 0;
    return times.map((row) => (now += row[m]));
  });
  const until = Math.min(...ends.map((lane) => lane.at(-1)));
  return ends.flat().filter((end) => end <= until).length / until;
}

/** What stands in the lanes until `until`: lists of [machine, from, to], `work`, `idle` and `lost`; and the barriers. */
export function lanes(times, state, until) {
  const { n, mode } = state;
  const found = { work: [], idle: [], lost: [], barriers: [] };
  if (mode === "asynchronous") {
    for (let m = 0; m < n; m++)
      for (let now = 0, s = 0; now < until && s < times.length; now += times[s++][m])
        found.work.push([m, now, now + times[s][m]]);
    return found;
  }
  let now = 0;
  for (const [s, length] of stepTimes(times, n, leftOut(state)).entries()) {
    if (now >= until) break;
    const order = Array.from({ length: n }, (_, m) => m).sort((a, b) => times[s][a] - times[s][b]);
    for (const [place, m] of order.entries()) {
      const own = times[s][m];
      if (place >= n - leftOut(state)) found.lost.push([m, now, now + length]);
      else (found.work.push([m, now, now + own]), found.idle.push([m, now + own, now + length]));
    }
    found.barriers.push((now += length));
  }
  return found;
}
