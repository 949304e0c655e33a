// Batches of indices: the ones that experiments/batches.py makes of the same seed.

/** Numbers in [0, 1), the same as Python's: mulberry32. */
export function uniform(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x ^= x + Math.imul(x ^ (x >>> 7), 61 | x);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * A function that gives the next batch of B of the indices 0 … N - 1: "in sequence", "shuffled" or "with replacement".
 */
export function batches(N, B, sampling, seed) {
  const draw = uniform(seed),
    order = Array.from({ length: N }, (_, k) => k);
  let place = N; // an epoch is over
  return () => {
    if (sampling === "with replacement") return Array.from({ length: B }, () => Math.floor(draw() * N));
    if (place >= N) {
      place = 0;
      if (sampling === "shuffled") shuffle(order, draw);
    }
    return order.slice(place, (place += B));
  };
}

function shuffle(order, draw) {
  for (let k = order.length - 1; k > 0; k--) {
    const j = Math.floor(draw() * (k + 1));
    [order[k], order[j]] = [order[j], order[k]];
  }
}
