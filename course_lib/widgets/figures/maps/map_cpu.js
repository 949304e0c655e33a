// Where there is no graphics chip to be had: the same verdicts by the traced loop, in a worker, or in the page itself.

/**
 * The four results of each run in rows `from` to `to`, as the shader gives them. Its text is also the worker's: it uses
 * nothing but its arguments. `code`: the traced `run`, the rule for its end and, if there are any, `minima`; `job.axes`: the names of x and
 * y; `job.hyper`: values by name.
 */
export function scan({ run, minima, steps_to_goal, end_of_run }, job, from, to) {
  const { x, y, axes, hyper, start, steps, goal, lowest, bound, surface } = job;
  const columns = x.length,
    width = run.columns.length,
    floats = new Float32Array(4 * columns * (to - from));
  const setting = { ...hyper },
    point = [...start];
  const set = (name, value) => {
    if (name === "w0" || name === "w1") point[+name[1]] = value;
    else setting[name] = value;
  };
  for (let j = from, at = 0; j < to; j++) {
    set(axes[1], y[j]);
    for (let i = 0; i < columns; i++, at += 4) {
      set(axes[0], x[i]);
      const rows = run(point, steps, setting);
      let late = 0,
        before = 0,
        after = 0,
        lost = false,
        row = 0;
      for (let k = 0; k <= steps && !lost; k++, row += width) {
        const above = rows[row] - lowest;
        lost = !(Number.isFinite(above) && Math.abs(rows[row + 1]) <= bound && Math.abs(rows[row + 2]) <= bound);
        late = steps_to_goal(late, k, above, goal);
        if (2 * k <= steps) before = Math.max(before, Math.abs(above));
        else after = Math.max(after, Math.abs(above));
      }
      lost ||= end_of_run(late, before, after, Math.abs(rows[row - width] - lowest), steps) === 2;
      row -= width;
      let nearest = -1,
        least = Infinity;
      const points = minima && !lost ? minima(...surface.map((name) => setting[name])) : [];
      for (let k = 0; 2 * k < points.length; k++) {
        const away = (rows[row + 1] - points[2 * k]) ** 2 + (rows[row + 2] - points[2 * k + 1]) ** 2;
        if (away < least) [least, nearest] = [away, k];
      }
      floats[at] = lost ? steps + 1 : late;
      floats[at + 1] = lost ? Infinity : rows[row] - lowest;
      floats[at + 2] = nearest;
      floats[at + 3] = lost ? 1 : 0;
    }
  }
  return floats;
}

/**
 * `compute` in a worker, made from text: it needs no file, so it also runs from file:// and in a notebook.
 * `scan(code, job, from, to)` may use nothing but its arguments; `code` is the traced module, of this `text`.
 */
export function worker({ text, code, scan }) {
  const source = `${text.replace(/^export /gm, "")}
const scan = ${scan};
const code = { ${Object.keys(code).join()} };
onmessage = ({ data: [id, job, from, to] }) => { const floats = scan(code, job, from, to); postMessage([id, floats], [floats.buffer]); };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const thread = new Worker(url),
    waiting = new Map();
  let asked = 0;
  thread.onmessage = ({ data: [id, floats] }) => {
    waiting.get(id)?.done(floats);
    waiting.delete(id);
  };
  thread.onerror = (event) => {
    event.preventDefault();
    waiting.forEach(({ fail }) => fail(new Error(`the worker failed: ${event.message || "it was not allowed"}`)));
    waiting.clear();
  };
  return {
    compute: (job, from, to) =>
      new Promise((done, fail) => {
        waiting.set(++asked, { done, fail });
        thread.postMessage([asked, job, from, to]);
      }),
    close() {
      thread.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

/** `compute` in the page's own thread; who asks takes few rows at a time. */
export const page = ({ code, scan }) => ({ compute: (job, from, to) => scan(code, job, from, to), close() {} });
