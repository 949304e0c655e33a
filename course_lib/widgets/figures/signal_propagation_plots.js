// What SignalPropagation draws: a histogram standing upright in each layer, and mean squares against predictions.
import { write } from "../kit/kit.js";
import { linePlot, through } from "../kit/line_plot.js";
import { histogram } from "./signal_propagation_run.js";

const MARGINS = { left: 44, right: 12 };
const FAR = 1e30; // what is beyond, up or down, is drawn there

/**
 * The outline of a histogram around `center`, as wide as `room` where it is fullest. One bin alone, as that of what a
 * leaky ReLU has pressed together, does not make all others thin.
 */
function outline(counts, half, center, room, x, y) {
  const [largest, second] = [...counts].sort((a, b) => b - a);
  const most = Math.max(second, largest / 4, 1);
  const edge = (k) => y(-half + (2 * half * k) / counts.length);
  const right = [...counts].flatMap((count, k) => {
    const out = x(center + room * Math.min(1, count / most));
    return [
      [out, edge(k)],
      [out, edge(k + 1)],
    ];
  });
  const left = right.map(([out, up]) => [2 * x(center) - out, up]).reverse();
  return `${through([...right, ...left])}Z`;
}

/** Histograms of each layer's values, side by side: { resize(width), draw(layers, half, bins, words) }. */
export function histogramPlot(parent, title, color) {
  const plot = linePlot(parent, { title, name: "cf-loss-plot cf-signal-plot", height: 132, bottom: 18, ...MARGINS });
  return {
    resize: plot.resize,
    draw(layers, half, bins, words) {
      plot.draw(() => {
        const { x, y } = plot.frame({ x: [0.5, layers.length + 0.5], y: [-half, half], yLog: false, yTicks: 3 });
        plot.curves(
          layers.map((values, k) => ({
            name: "cf-violin",
            color: `var(--${color})`,
            d: outline(histogram(values, half, bins), half, k + 1, 0.45, x, y),
          })),
        );
        plot.say(`Histograms of the ${title}: ${words}.`);
      });
    },
  };
}

const within = (v) => Math.min(FAR, Math.max(1 / FAR, v));

/** Mean squares over the layers, measured and predicted: { resize(width), draw(signals, theory, line, words) }. */
export function squaresPlot(parent) {
  const options = { title: "mean squares; dashed: predicted", foot: "layer", height: 190, bottom: 38, ...MARGINS };
  const plot = linePlot(parent, { ...options, name: "cf-loss-plot cf-squares" });
  const names = ["signal", "gradient"].map((text, k) =>
    write(plot.inside, "text", `cf-signal-word ${["cf-up", "cf-down"][k]}`, text),
  );
  return {
    resize: plot.resize,
    draw(signals, theory, line, words) {
      plot.draw(() => {
        const all = [signals, theory].flatMap(({ forward, backward }) => [...forward, ...backward]).map(within);
        const decade = (f, v) => 10 ** f(Math.log10(v));
        const low = Math.min(1e-2, decade(Math.floor, Math.min(...all)));
        const high = Math.max(10, decade(Math.ceil, Math.max(...all)));
        const depth = signals.forward.length;
        const { x, y } = plot.frame({ x: [0.5, depth + 0.5], y: [low, high] });
        const at = (v) => y(Math.min(high, Math.max(low, within(v))));
        const path = (values) => through(values.map((v, k) => [x(k + 1), at(v)]));
        const curve = (values, side, dash) => ({
          name: `cf-path ${dash ? "cf-thin" : ""}`,
          color: `var(--cf-${side})`,
          d: path(values),
          dash,
        });
        plot.curves([
          ...(line ? [curve(line.forward, "up", "1 3"), curve(line.backward, "down", "1 3")] : []),
          curve(signals.forward, "up"),
          curve(signals.backward, "down"),
          curve(theory.forward, "up", "6 4"),
          curve(theory.backward, "down", "6 4"),
        ]);
        const beside = [
          [signals.forward.at(-1), x(depth), "end", signals.backward.at(-1)],
          [signals.backward[0], x(1), "start", signals.forward[0]],
        ];
        beside.forEach(([value, place, anchor, other], k) => {
          const above = at(value) <= at(other);
          const height = Math.min(plot.height - 4, Math.max(12, at(value) + (above ? -7 : 16)));
          const attributes = { x: place, y: height, "text-anchor": anchor };
          Object.entries(attributes).forEach(([key, v]) => names[k].setAttribute(key, v));
        });
        plot.say(`Mean squares of the signal and of the gradient over the layers: ${words}.`);
      });
    },
  };
}
