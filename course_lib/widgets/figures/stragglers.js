// Stragglers: the lanes of n machines over some steps, and the speed-up over n by the traced formulas.
import { button, choice, headline } from "../kit/controls.js";
import { make, set, show, showChosen, write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";
import { counted, drawnTimes, lanes, leftOut } from "./stragglers_run.js";

const WINDOW = 10; // mean times that the lanes show
const COLORS = { synchronous: "var(--cf-barrier)", backup: "var(--cf-backup)", asynchronous: "var(--cf-no-barrier)" };
const WORDS = { work: "work", idle: "waiting", lost: "thrown away" };

export const render = live({
  label: "Machines that wait for each other",
  name: "cf-stragglers",
  traits: ["n", "distribution", "spread", "mode", "dropped", "seed"],
  build({ spec, code, root, put, state, columns, sliders, reset, fit }) {
    const bar = make(root, "div", "cf-stragglers-bar");
    const modes = choice(bar, "Machines", spec.modes, (mode) => put({ mode }), { text: "machines" });
    const names = Object.keys(spec.distributions);
    const kinds = choice(bar, "Times", names, (distribution) => put({ distribution }), { text: "times" });
    const [main, side] = columns();
    const work = linePlot(main, { title: "machines", foot: "time, in means of one gradient", height: 230, bottom: 38 });
    const key = make(main, "p", "cf-note cf-stragglers-key");
    for (const [kind, word] of Object.entries(WORDS)) write(key, "span", `cf-key-${kind}`, word);
    const curve = linePlot(main, { title: "speed-up", foot: "machines n", height: 190, bottom: 38 });
    const labels = curveLabels(curve, spec.modes);
    const numbers = headlines(side);
    const rows = Object.fromEntries(sliders(side).map((row, k) => [spec.controls[k].name, row]));
    const buttons = make(side, "div", "cf-buttons");
    button(buttons, "New draw", "Other times: the next seed", () => put({ seed: (state().seed + 1) >>> 0 }));
    reset(side, buttons);
    fit(main, [work, curve], true);

    return (now) => {
      const { n, distribution, spread, mode } = now;
      const color = COLORS[mode];
      const times = drawnTimes(code, spec, now);
      const slowest = code[`${spec.distributions[distribution]}_slowest`];
      const speedUp = (m, which) => expected(code, slowest, m, { ...now, n: m, mode: which });
      modes.mark(mode);
      kinds.mark(distribution);
      rows.dropped.style.visibility = mode === "backup" ? "" : "hidden";
      root.style.setProperty("--lane", color);
      const k = leftOut(now);
      const words = numbers({
        color,
        n,
        formula: speedUp(n, mode),
        counted: counted(times, now),
        steps: spec.steps,
        last: last(now, slowest(n, 0, spread)),
      });
      work.draw(() => drawLanes(work, lanes(times, now, WINDOW), n));
      curve.draw(() => labels(drawCurves(curve, speedUp, now, spec.most)));
      const setting = `${n} machines, ${spec.modes[mode]}${mode === "backup" ? `, without waiting for ${k}` : ""}`;
      work.say(`The lanes of ${setting}, ${distribution} times with the spread ${showChosen(spread)}. ${words}.`);
      curve.say(
        `The speed-up over the number of machines, below the line of n; ${show(speedUp(n, mode))} at n = ${n}.`,
      );
    };
  },
});

/** Gradients in the mean time of one, by the formula. */
function expected(code, slowest, n, state) {
  const k = leftOut(state);
  return state.mode === "asynchronous" ? n : code.backup_speed_up(n, k, slowest(n, k, state.spread));
}

/** The third number: what the mode costs. */
function last({ mode, n, dropped }, slowest) {
  if (mode === "asynchronous") return { label: "staleness of a gradient", number: String(n - 1), unit: "updates" };
  if (mode === "backup")
    return { label: "thrown away", number: `${show((100 * Math.min(dropped, n - 1)) / n)}%`, unit: "of the gradients" };
  return { label: "spent waiting", number: `${show(100 * (1 - 1 / slowest))}%`, unit: "of the time" };
}

function headlines(parent) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const row = () => headline(box, "var(--lane)", { label: "", number: "", unit: "" }, { live: false });
  const [formula, drawn, price] = [row(), row(), row()];
  return (x) => {
    formula.show({ label: `speed-up of ${x.n}`, number: show(x.formula), unit: "by the formula" });
    drawn.show({ label: `in ${x.steps} drawn steps`, number: show(x.counted), unit: "" });
    price.show(x.last);
    return (
      `${show(x.formula)} times as many gradients as one machine by the formula, ${show(x.counted)} in ${x.steps} drawn steps. ` +
      `${x.last.label}: ${x.last.number} ${x.last.unit}`.trim()
    );
  };
}

/** Bars as one path for each kind. */
function drawLanes(plot, { work, idle, lost, barriers }, n) {
  const { x, y } = plot.frame({ x: [0, WINDOW], y: [0, n], yLog: false, yTicks: [] });
  const gap = n > 24 ? 0.1 : 0.18; // of a lane
  const bar = ([m, from, to]) => {
    const [left, right] = [x(from), Math.min(x(to), x(WINDOW)) - 0.5];
    if (right <= left) return "";
    const [top, bottom] = [y(m + 1 - gap), y(m + gap)].map((v) => v.toFixed(1));
    return `M${left.toFixed(1)},${top}H${right.toFixed(1)}V${bottom}H${left.toFixed(1)}Z`;
  };
  const seen = barriers.filter((t) => t < WINDOW).map((t) => `M${x(t).toFixed(1)},${y(0)}V${y(n)}`);
  plot.curves([
    { name: "cf-lane-idle", d: idle.map(bar).join("") },
    { name: "cf-lane-lost", d: lost.map(bar).join("") },
    { name: "cf-lane-work", d: work.map(bar).join("") },
    { name: "cf-lane-barrier", d: seen.join("") },
  ]);
}

/** The three ways as curves, the chosen one strong, with a dot at n; returns where they end, in pixels. */
function drawCurves(plot, speedUp, { n, mode, dropped }, most) {
  const { x, y } = plot.frame({ x: [1, most], y: [0, most], yLog: false, xTicks: [1, 16, 32, 48, 64] });
  const counts = Array.from({ length: most }, (_, k) => k + 1);
  const list = Object.keys(COLORS).map((which) => {
    const from = which === "backup" ? counts.filter((m) => m > dropped) : counts;
    const d = through(from.map((m) => [x(m), y(speedUp(m, which))]));
    return { color: COLORS[which], d, name: which === mode ? "cf-path" : "cf-path cf-other" };
  });
  const [a, b] = [x(n), y(speedUp(n, mode))];
  plot.curves([...list, { color: COLORS[mode], name: "cf-now", d: `M${a - 5},${b}a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z` }]);
  return Object.fromEntries(Object.keys(COLORS).map((which) => [which, [x(most), y(speedUp(most, which))]]));
}

/** The names of the curves at their ends, one below the other where these meet; returns what moves them. */
function curveLabels(plot, modes) {
  const words = Object.entries(modes).map(([which, text]) => {
    const node = write(plot.inside, "text", "cf-curve-label", text, { "text-anchor": "end" });
    node.style.setProperty("--rule", COLORS[which]);
    return [which, node];
  });
  return (ends) => {
    const backup = Math.max(ends.backup[1] - 7, 26);
    const heights = { asynchronous: 4, backup, synchronous: Math.max(ends.synchronous[1] + 20, backup + 15) };
    for (const [which, node] of words)
      set(node, { x: ends[which][0] - (which === "asynchronous" ? 26 : 2), y: heights[which] });
  };
}
