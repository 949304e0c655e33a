// MachineNow: how fast the reader's browser runs one formula, in JavaScript and on the graphics chip, for few runs and
// for many.
import { button, headline } from "../kit/controls.js";
import { make, show, write } from "../kit/kit.js";
import { linePlot, tenTo, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";
import { crossing, kindOf, laboratory } from "./machine_now_clock.js";

const MACHINES = [
  { key: "script", label: "JavaScript, one core", color: "var(--cf-own-0)" },
  { key: "chip", label: "WebGL2, the graphics chip", color: "var(--cf-accent)" },
];
const REST = 200; // ms without a change of the slider, then it is measured
const RATES = [1e3, 1e12];
const whole = (x) => Math.round(x).toLocaleString("en-US");

export const render = live({
  label: "How fast this machine is now",
  name: "cf-machine",
  traits: ["log2_runs"],
  build(stage) {
    const { spec, code, root } = stage;
    const [main, side] = stage.columns();
    const foot = "runs at once";
    const plot = linePlot(main, {
      title: "steps of Adam a second",
      foot,
      height: 300,
      bottom: 38,
      left: 46,
      right: 20,
    });
    const answer = headline(side, "var(--cf-fg)", { label: "not measured yet", number: "…", note: "" });
    const rates = MACHINES.map(({ label, color }) =>
      headline(side, color, { label, number: "…", unit: "steps a second", note: "" }, { live: false }),
    );
    stage.sliders(side);
    const buttons = stage.reset(side);
    const all = button(buttons, "Measure all sizes", "Measure 1 run, 4, 16, … up to the most", () => sweep());
    const note = write(root, "p", "cf-note cf-machine-note", "", { role: "status" });
    stage.fit(main, plot, true);

    const lab = laboratory(spec, code);
    let queue = [];
    let busy = false;
    let ended = false;
    let seen = false;
    let waiting = 0;
    let failed = "";

    async function work() {
      if (busy || !seen) return;
      busy = true;
      try {
        while (queue.length && !ended) {
          await lab.measure(queue.shift(), () => ended, stage.ask);
          stage.ask();
        }
      } catch (error) {
        failed = `The measurement failed: ${error.message}.`;
        queue = [];
      }
      busy = false;
      if (!ended) stage.ask();
    }

    function sweep() {
      queue = Array.from({ length: spec.most / 2 + 1 }, (_, k) => 2 * k);
      work();
      stage.ask();
    }

    const watch = new IntersectionObserver((entries) => {
      seen = entries.at(-1).isIntersecting;
      work();
    });
    watch.observe(root);
    stage.onEnd(() => {
      ended = true;
      watch.disconnect();
      clearTimeout(waiting);
      lab.close();
    });

    let asked = -1;
    return ({ log2_runs: k }) => {
      if (k !== asked) {
        asked = k;
        clearTimeout(waiting);
        waiting = setTimeout(() => {
          if (!queue.includes(k)) queue.push(k);
          work();
        }, REST);
      }
      const now = lab.found.get(k);
      const point = { script: now?.script, chip: now?.chip };
      MACHINES.forEach(({ key }, j) => {
        const rate = point[key];
        const absent = key === "chip" && lab.without;
        const took = rate ? `${duration((2 ** k * spec.steps) / rate)} for ${whole(2 ** k)} runs` : "";
        rates[j].show({ number: rate ? show(rate) : absent ? "none" : "…", note: took });
      });
      const equal = crossing(lab.found);
      answer.show(verdict(point, k, equal, lab.without));
      all.disabled = busy && queue.length > 0;
      const left = queue.length ? ` ${queue.length} sizes are still to be measured.` : "";
      note.textContent = (failed || lab.without || kindOf(lab.name) + agreement(now)) + (busy ? left : "");
      plot.draw(() => curves(plot, lab.found, k, equal, spec));
      plot.say(spoken(lab.found, k, equal));
    };
  },
});

/** That both machines did the same work, in a sentence. */
const agreement = (now) =>
  now?.apart >= 0
    ? ` Both machines end at the same points, but for ${show(now.apart)}: the chip computes in float32.`
    : "";

/** Seconds for people. */
const duration = (s) =>
  s < 1e-3 ? `${(1e6 * s).toPrecision(2)} µs` : s < 1 ? `${(1e3 * s).toPrecision(3)} ms` : `${s.toPrecision(3)} s`;

/** The answer in large: which machine is faster, and how many times. */
function verdict({ script, chip }, k, equal, without) {
  const label = `with ${whole(2 ** k)} ${k ? "runs" : "run"} at once`;
  if (without && script) return { label, number: "JavaScript alone", note: "" };
  if (!script || !chip) return { label, number: "measuring …", note: "" };
  const times = Math.max(script / chip, chip / script);
  const factor = times < 10 ? times.toFixed(1) : whole(times);
  const note = equal ? `equal at about ${whole(Number(equal.toPrecision(1)))} runs` : "";
  return { label, number: `${chip > script ? "the chip" : "JavaScript"} ${factor}×`, note };
}

/** What was measured so far, a line a machine, and where they cross. */
function curves(plot, found, k, equal, spec) {
  const { x, y } = plot.frame({
    x: [0.8, 2 ** spec.most * 1.3],
    y: RATES,
    xLog: true,
    xTicks: Array.from({ length: 7 }, (_, j) => 8 ** j),
    xFormat: whole,
    yFormat: tenTo,
  });
  const at = [...found.keys()].sort((a, b) => a - b);
  const lines = [{ color: "var(--cf-muted)", name: "cf-path cf-machine-at", d: upright(x(2 ** k), plot.height) }];
  for (const { key, color } of MACHINES) {
    const points = at.filter((j) => found.get(j)[key]).map((j) => [x(2 ** j), y(found.get(j)[key])]);
    lines.push({ color, d: through(points) });
    lines.push({ color, name: "cf-now", d: points.map(([a, b]) => disk(a, b)).join("") });
  }
  if (equal) lines.push({ color: "var(--cf-fg)", dash: "2 3", d: upright(x(equal), plot.height) });
  plot.curves(lines);
}

const upright = (a, height) =>
  through([
    [a, 0],
    [a, height],
  ]);
const disk = (a, b) => `M${a - 4},${b}a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z`;

/** The plot in words. */
function spoken(found, k, equal) {
  const at = [...found.keys()].sort((a, b) => a - b).filter((j) => found.get(j).script);
  if (!at.length) return "Steps of Adam a second over the number of runs at once: being measured.";
  const parts = at.map((j) => {
    const { script, chip } = found.get(j);
    return `with ${whole(2 ** j)} at once ${show(script)} by JavaScript${chip ? ` and ${show(chip)} by the chip` : ""}`;
  });
  const cross = equal ? ` They are equal at about ${whole(equal)} runs.` : "";
  return `Steps of Adam a second over the number of runs at once: ${parts.join("; ")}.${cross}`;
}
