// Race: rules side by side on a surface of choice; under them the map of all rates and rules. Scans run between frames.
import { button, slider } from "../kit/controls.js";
import { FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { load, make, onNextFrame, onResize, put, show, showChosen } from "../kit/kit.js";
import { lossPlot } from "../kit/loss_plot.js";
import { raceMap } from "./race_map.js";

/**
 * @typedef {{ steps: number, above: number, lost: number }} Run steps until it stays at the goal, or Infinity; loss above the
 *   minimum at the end; the step at which it diverged, or -1
 * @typedef {{ title: string, rules: string[] }} Group
 */

const SLICE = 9; // ms of a frame that a scan may take
const TRAITS = ["surface", "mode", "chosen", "start", "steps", "step", "goal", "picked"];

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(await inflate(model.get("code")));
  const names = spec.groups.flatMap((group) => group.rules);
  const root = make(el, "div", "cf cf-race", { role: "group", "aria-label": "Race of update rules" });
  const bar = make(root, "div", "cf-buttons cf-race-bar");
  const surfaces = toggle(
    bar,
    "Surface",
    Object.keys(spec.surfaces),
    (name) => spec.surfaces[name].label,
    (surface) => put(model, { surface, start: spec.surfaces[surface].start, picked: [] }),
  );
  const modes = toggle(
    bar,
    "Rates",
    ["defaults", "tuned"],
    (mode) => mode,
    (mode) => put(model, { mode, picked: [] }),
  );
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const list = standings(side),
    lossBox = make(side, "div"),
    losses = lossPlot(lossBox, "loss above the minimum");
  const map = raceMap(root, spec, {
    choose: (chosen) =>
      put(model, {
        chosen: names.filter((name) => chosen.includes(name)),
        picked: chosen.includes(model.get("picked")[0]) ? model.get("picked") : [],
      }),
    pick: (picked) => put(model, { picked }),
  });
  const below = make(root, "div", "cf-race-sliders");
  const scrubber = stepSlider(make(main, "div"), (step) => put(model, { step }));
  spec.controls.forEach((control) => slider(below, model, control));
  button(make(below, "div", "cf-buttons"), "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  let plot = null,
    width = 0,
    drawnSurface = "";
  const here = () => spec.surfaces[model.get("surface")];
  const read = () => Object.fromEntries(["surface", "start", "steps", "goal"].map((name) => [name, model.get(name)]));
  const loop = (state, name) => code[spec.rules[name].key + spec.surfaces[state.surface].key];
  /** The rows of one run: loss, w and the rule's state at t = 0, 1, … */
  const walk = (state, name, lr) =>
    loop(state, name)(state.start, state.steps, {
      ...spec.surfaces[state.surface].hyper,
      ...spec.rules[name].hyper,
      ...(lr === null ? {} : { lr }),
    });
  const measure = (state, name, rows) =>
    outcome(rows, loop(state, name).columns.length, spec.surfaces[state.surface], state.goal);

  let drawn = { key: "" };
  /** The same, kept as long as the state is the same. */
  const walkOnce = (state, name, lr) => {
    const key = JSON.stringify([state.surface, state.start, state.steps]),
      run = `${name} ${lr}`;
    if (drawn.key !== key) drawn = { key };
    return (drawn[run] ??= walk(state, name, lr));
  };

  /** Every chosen rule at every rate, in small pieces. */
  function* scan() {
    const state = read(),
      key = JSON.stringify(state),
      known = scanned?.key === key ? scanned.rows : {};
    const rows = {};
    for (const name of model.get("chosen")) {
      if (known[name]) {
        rows[name] = known[name];
        continue;
      }
      rows[name] = [];
      for (const lr of spec.rules[name].lr === null ? [null] : spec.rates) {
        rows[name].push(measure(state, name, lr === null ? walkOnce(state, name, lr) : walk(state, name, lr)));
        yield;
      }
    }
    return { key, state, rows };
  }

  let scanned = null;
  const work = inSlices(
    scan,
    (result) => {
      scanned = result;
      map.paint(scanned.rows, scanned.state.steps);
      ask();
    },
    (busy) => root.setAttribute("aria-busy", busy),
  );

  /** The rate of a rule in this mode, and its place in the map; null where it has none. */
  const rateOf = (name) => {
    const { lr } = spec.rules[name],
      row = scanned?.rows[name];
    if (lr === null || model.get("mode") === "defaults" || !row) return lr;
    return spec.rates[best(row)];
  };

  function drawSurface() {
    const name = model.get("surface"),
      surface = here();
    if (drawnSurface === name) return;
    plot?.node.remove();
    plot = contourPlot(main, surface.domain, (start) => put(model, { start }));
    main.prepend(plot.node);
    plot.resize(width);
    plot.surface(
      grid((x, y) => code[surface.key](x, y, ...Object.values(surface.hyper)), surface.domain, FINE),
      surface.floor,
      surface.minima,
    );
    drawnSurface = name;
  }

  function draw() {
    if (!width) return;
    drawSurface();
    const state = read(),
      surface = here(),
      [rule, column] = model.get("picked"),
      chosen = model.get("chosen");
    if (scanned?.key !== JSON.stringify(state) || chosen.some((name) => !scanned.rows[name])) work();
    const shown = rule
      ? [[rule, spec.rules[rule].lr === null ? null : spec.rates[column]]]
      : chosen.map((name) => [name, rateOf(name)]);
    const runs = shown.map(([name, lr]) => ({
      name,
      lr,
      label: spec.rules[name].label,
      color: spec.rules[name].color,
      ...trail(walkOnce(state, name, lr), loop(state, name).columns.length, surface),
    }));
    const ends = rule ? chosen.map((name) => ({ name, lr: rateOf(name) })) : runs;
    const results = ends
      .map((run) => ({
        ...run,
        label: spec.rules[run.name].label,
        color: spec.rules[run.name].color,
        ...measure(state, run.name, walkOnce(state, run.name, run.lr)),
      }))
      .sort(ahead);
    const step = Math.min(model.get("step"), state.steps);
    plot.paths(runs, step, state.start);
    losses.curves(runs, state.steps, step, surface.top);
    list(results, state);
    map.mark(model.get("chosen"), scanned?.rows ?? {}, [rule, column]);
    map.say(
      rule
        ? `${spec.rules[rule].label}${at(shown[0][1])}: ${words(measure(state, rule, walkOnce(state, rule, shown[0][1])), state)}.`
        : "",
    );
    scrubber(step, state.steps);
    surfaces(model.get("surface"));
    modes(model.get("mode"));
    const order = results.map((r, k) => `${k + 1}, ${r.label}${at(r.lr)}: ${words(r, state)}`).join(". ");
    plot.node.setAttribute("aria-label", `${surface.label}, rates ${model.get("mode")}. ${order}.`);
    losses.node.setAttribute("aria-label", `Loss over ${state.steps} steps. ${order}.`);
  }

  const ask = onNextFrame(draw);
  TRAITS.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(main, (total) => {
      width = total;
      drawnSurface = "";
      draw();
    }),
    onResize(lossBox, (total) => {
      losses.resize(total);
      ask();
    }),
    onResize(map.box, (total) => {
      map.resize(total);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    work.cancel();
    TRAITS.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/** The traced loops of all rules on all surfaces arrive compressed: they are ten times as long as everything else in the page. */
function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

/** How a run went, from its rows: it has arrived when its loss stays at the goal or below. @returns {Run} */
function outcome(rows, stride, { floor, top }, goal) {
  const count = rows.length / stride,
    end = rows[(count - 1) * stride] - floor;
  let steps = count;
  while (steps > 0 && rows[(steps - 1) * stride] - floor <= goal) steps--;
  let lost = -1;
  if (!(end < top)) for (lost = 0; rows[lost * stride] - floor < top;) lost++;
  return { steps: steps === count ? Infinity : steps, above: end, lost };
}

/** A run as it is drawn: { points, above, diverged }, the points up to where it diverged. */
function trail(rows, stride, { floor, top }) {
  const count = rows.length / stride,
    above = Float64Array.from({ length: count }, (_, k) => rows[k * stride] - floor);
  const diverged = above[count - 1] < top ? -1 : above.findIndex((z) => !(z < top));
  const points = [];
  for (let k = 0; k < (diverged < 0 ? count : diverged + 1); k++) {
    const [x, y] = [rows[k * stride + 1], rows[k * stride + 2]];
    if (Math.abs(x) < 1e6 && Math.abs(y) < 1e6) points.push([x, y]);
  }
  return { points, above, diverged };
}

/** First those that arrive, by their steps; then those on their way, by their loss; then those that diverged. */
const ahead = (a, b) => (a.lost >= 0) - (b.lost >= 0) || (a.steps === b.steps ? a.above - b.above : a.steps - b.steps);

/** The place of the best run in a row of the map. */
function best(row) {
  return row.reduce(
    (k, run, j) =>
      ahead(
        { ...run, above: run.steps < Infinity ? 0 : run.above },
        { ...row[k], above: row[k].steps < Infinity ? 0 : row[k].above },
      ) < 0
        ? j
        : k,
    0,
  );
}

const at = (lr) => (lr === null ? "" : ` at η = ${showChosen(lr)}`);

function words(run, { goal, steps }) {
  if (run.lost >= 0) return `diverged at step ${run.lost}`;
  return run.steps < Infinity ? `${run.steps} steps to ${show(goal)}` : `still ${show(run.above)} above after ${steps}`;
}

/** The order of arrival in words; returns a function of (results, state, tuned). */
function standings(parent) {
  make(parent, "div", "cf-race-head").textContent = "steps to the goal (gray: the loss)";
  const node = make(parent, "ol", "cf-standings", { role: "status" }),
    rows = [];
  return (results, { goal, steps }) => {
    while (rows.length < results.length) {
      const row = make(node, "li");
      rows.push({ row, parts: ["cf-label", "cf-race-number", "cf-race-note"].map((name) => make(row, "span", name)) });
    }
    rows.splice(results.length).forEach(({ row }) => row.remove());
    results.forEach((run, k) => {
      const {
        row,
        parts: [label, number, note],
      } = rows[k];
      row.style.setProperty("--rule", run.color);
      row.classList.toggle("cf-out", run.steps === Infinity);
      label.textContent = run.label;
      number.textContent = run.lost >= 0 ? "diverged" : run.steps < Infinity ? run.steps : show(run.above);
      note.textContent = run.lr === null ? "no rate" : `η ${showChosen(run.lr)}`;
      row.title = `${run.label}${at(run.lr)}: ${words(run, { goal, steps })}`;
    });
  };
}

/** Buttons of which one is pressed; returns a function that says which. */
function toggle(parent, title, names, label, choose) {
  const box = make(parent, "div", "cf-choice", { role: "group", "aria-label": title });
  const buttons = names.map((name) => button(box, label(name), `${title}: ${label(name)}`, () => choose(name)));
  return (pressed) => buttons.forEach((node, k) => node.setAttribute("aria-pressed", names[k] === pressed));
}

function stepSlider(parent, move) {
  const row = make(parent, "label", "cf-scrubber");
  make(row, "span", "cf-name").textContent = "step";
  const input = make(row, "input", "", { type: "range", min: 0, step: 1, name: "step", "aria-label": "Step shown" });
  const value = make(row, "output", "cf-value");
  input.addEventListener("input", () => move(+input.value));
  return (step, steps) => {
    input.max = steps;
    input.value = step;
    value.textContent = step;
  };
}

/**
 * Work through the generator `job()` in slices between frames, then `done(result)`. What is asked for while it works begins when
 * it is through, so that a drag never starves it and the last picture stays until the next one is complete.
 */
function inSlices(job, done, busy) {
  let frame = 0,
    again = false,
    running = false;
  const start = () => {
    if (running) return (again = true);
    const parts = job();
    running = true;
    busy(true);
    const slice = () => {
      const end = performance.now() + SLICE;
      for (let part = parts.next(); ; part = parts.next()) {
        if (part.done) {
          running = false;
          done(part.value);
          if (again) {
            again = false;
            start();
          } else busy(false);
          return;
        }
        if (performance.now() > end) break;
      }
      frame = requestAnimationFrame(slice);
    };
    slice();
  };
  start.cancel = () => cancelAnimationFrame(frame);
  return start;
}
