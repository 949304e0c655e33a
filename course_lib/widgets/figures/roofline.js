// Roofline: a processor's two roofs, the layers below them, and what was measured.
import { choice, headline } from "../kit/controls.js";
import { make, show, write } from "../kit/kit.js";
import { linePlot, tenTo, through } from "../kit/line_plot.js";
import { live } from "../kit/live.js";

const INTENSITY = [0.1, 1e4];
const RATE = [1e8, 3e15];

export const render = live({
  label: "The roofline of a processor",
  name: "cf-roofline",
  traits: ["machine", "peak", "bandwidth", "batch"],
  build({ spec, code, root, put, columns, sliders, reset, fit }) {
    const bar = make(root, "div", "cf-roof-bar");
    const names = Object.keys(spec.machines);
    const chosen = choice(bar, "Machine", names, (machine) => {
      const { peak, bandwidth } = spec.machines[machine];
      put({ machine, peak, bandwidth });
    });
    const [main, side] = columns();
    const foot = "operations for each byte moved";
    const plot = linePlot(main, { title: "operations a second", foot, height: 420, bottom: 38, left: 46 });
    const answer = headline(side, "var(--cf-fg)", {
      label: "the roofs meet at",
      number: "",
      unit: "operations a byte",
    });
    const layers = Object.entries(spec.layers).map(([key, { label, color }]) => ({
      key,
      label,
      color,
      operations: code[`${key}_operations`],
      moved: code[`${key}_moved`],
      row: headline(side, color, { label, number: "", note: "" }, { live: false }),
    }));
    sliders(side);
    reset(side);
    write(side, "p", "cf-note", "Filled: by the formulas. Open: measured, a circle a batch.");
    fit(main, plot, true);

    return ({ machine, peak, bandwidth, batch }) => {
      chosen.mark(machine);
      const own = spec.machines[machine];
      const asGiven = own.peak === peak && own.bandwidth === bandwidth;
      const limit = code.balance(peak, bandwidth);
      answer.show({ number: show(limit) });
      const points = layers.map(({ key, label, color, operations, moved, row }) => {
        const intensity = operations(batch) / moved(batch);
        const rate = code.roof(intensity, peak, bandwidth);
        const bound = intensity < limit ? "memory bound" : "compute bound";
        const share = percent(rate / peak);
        row.show({ number: share, note: `of the peak: ${bound}, ${duration(operations(batch) / rate)}` });
        return { label, color, intensity, rate, share, bound, measured: asGiven ? (own.measured[key] ?? []) : [] };
      });
      plot.draw(() => draw(plot, code, points, { peak, bandwidth, limit }));
      const parts = points.map(
        ({ label, intensity, share, bound }) => `${label} at ${show(intensity)}, ${share} of the peak, ${bound}`,
      );
      plot.say(
        `The roof of ${machine}: it rises with the bandwidth up to ${show(limit)} operations a byte, then it is flat at ` +
          `${show(peak)} operations a second. With ${batch} samples in a batch: ${parts.join("; ")}.`,
      );
    };
  },
});

const percent = (share) => `${share < 0.1 ? (100 * share).toPrecision(2) : Math.round(100 * share)} %`;

/** Seconds for people. */
const duration = (s) =>
  s < 1e-3 ? `${(1e6 * s).toPrecision(3)} µs` : s < 1 ? `${(1e3 * s).toPrecision(3)} ms` : `${s.toPrecision(3)} s`;

/** The roof, the layers by their formulas as disks, and what was measured as circles. */
function draw(plot, code, points, { peak, bandwidth, limit }) {
  const { x, y } = plot.frame({ x: INTENSITY, y: RATE, xLog: true, xFormat: plain, yFormat: tenTo });
  const within = (rate) => Math.max(RATE[0], rate);
  const roof = [INTENSITY[0], Math.min(INTENSITY[1], Math.max(INTENSITY[0], limit)), INTENSITY[1]];
  const lines = [
    { color: "var(--cf-fg)", d: through(roof.map((i) => [x(i), y(within(code.roof(i, peak, bandwidth)))])) },
  ];
  for (const [k, { color, intensity, rate, measured }] of points.entries()) {
    const at = [x(intensity), y(within(rate))];
    lines.push({ color, dash: "2 3", d: through([at, [at[0], plot.height]]) });
    lines.push({
      color,
      name: "cf-roof-measured",
      d: measured.map(([i, r]) => disk(x(i), y(within(r)), 3.5)).join(""),
    });
    lines.push({ color, name: "cf-now", d: disk(...at, 8 - 2 * k) }); // so that none hides another
  }
  plot.curves(lines);
}

const plain = (v) => (v < 1000 ? String(+v.toPrecision(2)) : tenTo(v));
const disk = (a, b, r) => `M${a - r},${b}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
