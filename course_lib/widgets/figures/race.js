// Race: rules side by side on a surface of choice; beside them the map of all rates and rules. Scans run between frames.
import { contourPlot } from "../kit/contour_plot.js";
import { choice, scrubber } from "../kit/controls.js";
import { DIVERGED, ENDS, NOT_SETTLED, writeEnd } from "../kit/ends.js";
import { make, show, showChosen, write } from "../kit/kit.js";
import { inflate } from "../kit/inflate.js";
import { live } from "../kit/live.js";
import { lossPlot } from "../kit/loss_plot.js";
import { numbersOf, readout, stepLength } from "../kit/readout.js";
import { cut, lossesAbove, pointsOf } from "../kit/rows.js";
import { raceMap } from "./race_map.js";
import { best, compare, inSlices, outcome } from "./race_runs.js";

const TRAITS = ["surface", "mode", "chosen", "start", "steps", "step", "goal", "picked"];

export const render = live({
  label: "Race of update rules",
  name: "cf-race",
  traits: TRAITS,
  unpack: inflate,
  build(stage) {
    const { spec, code, root, model, put, columns, sliders, reset, fit, onEnd } = stage;
    const names = spec.groups.flatMap((group) => group.rules);
    const bar = make(root, "div", "cf-buttons cf-race-bar");
    const labels = Object.fromEntries(Object.entries(spec.surfaces).map(([name, { label }]) => [name, label]));
    const surfaces = choice(bar, "Surface", labels, (surface) =>
      put({ surface, start: spec.surfaces[surface].start, picked: [] }),
    );
    const modes = choice(bar, "Rates", ["defaults", "tuned"], (mode) => put({ mode, picked: [] }));
    const [main, side] = columns("cf-ordered");
    const contourBox = make(main, "div", "cf-near");
    const scrubBox = make(main, "div", "cf-near");
    const lossBox = make(main, "div", "cf-far");
    const losses = lossPlot(lossBox, "loss above the minimum", { height: 154 });
    const key = make(root, "div");
    const map = raceMap(side, spec, {
      key,
      say: make(main, "div", "cf-far"),
      choose(chosen) {
        const picked = model.get("picked");
        put({
          chosen: names.filter((name) => chosen.includes(name)),
          picked: chosen.includes(picked[0]) ? picked : [],
        });
      },
      pick: (picked) => put({ picked }),
    });
    const results = make(root, "div", "cf-race-results");
    const list = standings(make(results, "div"));
    const readOff = readout(make(results, "div"), [{ label: "", color: "" }], QUANTITIES);
    const below = make(root, "div", "cf-race-sliders");
    const showStep = scrubber(scrubBox, (step) => put({ step }));
    sliders(below);
    reset(below);
    let plot = null;
    let width = 0;
    let drawnSurface = "";
    let drawn = { key: "" };
    let scanned = null;

    const read = () => Object.fromEntries(["surface", "start", "steps", "goal"].map((name) => [name, model.get(name)]));
    const loop = (state, name) => code[spec.rules[name].key + spec.surfaces[state.surface].key];
    /** The rows of one run: loss, w and the rule's state at t = 0, 1, … */
    const walk = (state, name, lr) => {
      const hyper = { ...spec.surfaces[state.surface].hyper, ...spec.rules[name].hyper };
      return loop(state, name)(state.start, state.steps, lr === null ? hyper : { ...hyper, lr });
    };
    /** The same, kept as long as the state is the same. */
    const walkOnce = (state, name, lr) => {
      const key = JSON.stringify([state.surface, state.start, state.steps]);
      if (drawn.key !== key) drawn = { key };
      return (drawn[`${name} ${lr}`] ??= walk(state, name, lr));
    };
    const measure = (state, name, rows) =>
      outcome(code, rows, loop(state, name).columns.length, spec.surfaces[state.surface], state.goal);

    /** Every chosen rule at every rate, in small pieces. */
    function* scan() {
      const state = read();
      const key = JSON.stringify(state);
      const known = scanned?.key === key ? scanned.rows : {};
      const rows = {};
      for (const name of model.get("chosen")) {
        rows[name] = known[name] ?? [];
        if (known[name]) continue;
        for (const lr of spec.rules[name].lr === null ? [null] : spec.rates) {
          rows[name].push(measure(state, name, (lr === null ? walkOnce : walk)(state, name, lr)));
          yield;
        }
      }
      return { key, state, rows };
    }

    const work = inSlices(
      scan,
      (result) => {
        scanned = result;
        map.paint(scanned.rows, scanned.state.steps);
        stage.ask();
      },
      (busy) => root.setAttribute("aria-busy", busy),
    );

    /** The rate of a rule in this mode; null where it has none. */
    const rateOf = (name) => {
      const { lr } = spec.rules[name];
      const row = scanned?.rows[name];
      if (lr === null || model.get("mode") === "defaults" || !row) return lr;
      return spec.rates[best(code, row)];
    };

    /** A plot of its own for each surface, as each has its own domain. */
    function plotOf(name) {
      if (drawnSurface === name) return;
      const surface = spec.surfaces[name];
      plot?.close();
      plot = contourPlot(contourBox, surface.domain, (start) => put({ start }));
      plot.resize(width);
      const loss = (x, y) => code[surface.key](x, y, ...Object.values(surface.hyper));
      plot.surface(name, loss, { floor: surface.floor, minima: surface.minima });
      drawnSurface = name;
    }

    const resize = (total) => {
      width = total;
      drawnSurface = "";
    };
    fit(contourBox, { resize }, true);
    fit(lossBox, losses);
    fit(map.box, map);
    onEnd(work.cancel);
    onEnd(() => plot?.close());

    return ({ chosen, picked, mode, step: wanted, ...state }) => {
      if (!width) return;
      plotOf(state.surface);
      const surface = spec.surfaces[state.surface];
      const [rule, column] = picked;
      const now = read();
      if (scanned?.key !== JSON.stringify(now) || chosen.some((name) => !scanned.rows[name])) work();
      const { lr: rate } = spec.rules[rule] ?? {};
      const shown = rule
        ? [[rule, rate === null ? null : spec.rates[column]]]
        : chosen.map((name) => [name, rateOf(name)]);
      const face = (name) => ({ name, label: spec.rules[name].label, color: spec.rules[name].color });
      const runs = shown.map(([name, lr]) => {
        const rows = walkOnce(now, name, lr);
        const stride = loop(now, name).columns.length;
        const { ended } = measure(now, name, rows);
        const above = lossesAbove(rows, stride, surface.floor);
        return { ...face(name), lr, rows, ...cut(pointsOf(rows, stride), above, surface.top, ended) };
      });
      const ends = rule ? chosen.map((name) => ({ ...face(name), lr: rateOf(name) })) : runs;
      const results = ends
        .map((run) => ({ ...run, ...measure(now, run.name, walkOnce(now, run.name, run.lr)) }))
        .sort(compare(code));
      const step = Math.min(wanted, now.steps);
      plot.paths(runs, step, now.start);
      const unmarked = ({ ended, ...run }) => run; // a dozen marks would hide each other
      losses.curves(rule ? runs : runs.map(unmarked), now.steps, step, surface.top);
      list(results, now);
      map.mark(chosen, scanned?.rows ?? {}, [rule, column]);
      const one = rule && words(measure(now, rule, walkOnce(now, rule, shown[0][1])), now);
      map.say(rule ? `${spec.rules[rule].label}${at(shown[0][1])}: ${one}.` : "");
      const first = runs.find(({ name }) => name === (rule ?? results[0]?.name));
      showStep(step, now.steps, first ? atStep(readOff, first, code, surface, step) : "");
      surfaces.mark(now.surface);
      modes.mark(mode);
      const order = results.map((r, k) => `${k + 1}, ${r.label}${at(r.lr)}: ${words(r, now)}`).join(". ");
      plot.say(`${surface.label}, rates ${mode}. ${order}.`);
      losses.say(`Loss over ${now.steps} steps. ${order}.`);
    };
  },
});

const QUANTITIES = ["rule", "w = (x, y)", "loss J", "gradient ∇J", "step length", "whole run"];

/** Shows what stands at a step of a run, and gives it in words. */
function atStep(read, { label, lr, rows, above, diverged, ended }, code, { key, hyper }, wanted) {
  const width = rows.length / above.length;
  const step = Math.min(wanted, diverged < 0 ? above.length - 1 : diverged);
  const w = (k) => [rows[k * width + 1], rows[k * width + 2]];
  const slope = numbersOf(code[`${key}_slope`](...w(step), ...Object.values(hyper)));
  const length = stepLength(w(step), step ? w(step - 1) : null);
  const cells = [`${label}${at(lr)}`, numbersOf(w(step)), show(rows[step * width]), slope, length];
  read(`At step ${wanted}`, [[...cells, (cell) => writeEnd(cell, ended, diverged)]]);
  return `${cells[0]}: w ${cells[1]}, loss ${cells[2]}, gradient ${slope}, step length ${length}.`;
}

const at = (lr) => (lr === null ? "" : ` at η = ${showChosen(lr)}`);

function words(run, { goal, steps }) {
  if (run.lost >= 0) return `diverged at step ${run.lost}`;
  if (run.steps < Infinity) return `${run.steps} steps to ${show(goal)}`;
  return `not settled, ${show(run.above)} above after ${steps}`;
}

/** The order of arrival in words; returns a function of (results, state). */
function standings(parent) {
  write(parent, "div", "cf-race-head", "steps to the goal (∼ not settled: its last loss)");
  const node = make(make(parent, "div", "", { role: "status" }), "ol", "cf-standings"); // a list with a role is no list
  const rows = [];
  return (results, { goal, steps }) => {
    while (rows.length < results.length) {
      const row = make(node, "li");
      rows.push({ row, parts: ["cf-label", "cf-race-number", "cf-race-note"].map((name) => make(row, "span", name)) });
    }
    rows.splice(results.length).forEach(({ row }) => row.remove());
    results.forEach((run, k) => {
      const { row, parts } = rows[k];
      const [unsettled, gone] = [NOT_SETTLED, DIVERGED].map((end) => ENDS[end].mark);
      const number =
        run.lost >= 0 ? `${gone} diverged` : run.steps < Infinity ? run.steps : `${unsettled} ${show(run.above)}`;
      const texts = [run.label, number, run.lr === null ? "no rate" : `η ${showChosen(run.lr)}`];
      row.style.setProperty("--rule", run.color);
      row.classList.toggle("cf-out", run.steps === Infinity);
      parts.forEach((part, j) => (part.textContent = texts[j]));
      row.title = `${run.label}${at(run.lr)}: ${words(run, { goal, steps })}`;
    });
  };
}
