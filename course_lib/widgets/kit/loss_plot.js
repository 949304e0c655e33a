// The loss above its floor, step by step, on a log axis.
import { linePlot } from "./line_plot.js";

const SMALLEST = 1e-16; // as far as doubles tell a loss from its floor

/** A loss curve in `parent`. Returns linePlot's parts and curves(runs, steps, step, top). */
export function lossPlot(parent, title) {
  const plot = linePlot(parent, { title });

  /** `runs`: [{ color, above: Float64Array of losses above the floor }]; the axis spans what they take, up to `top`. */
  function curves(runs, steps, step, top) {
    const seen = runs.flatMap(({ above }) => Array.from(above)).filter((z) => z > SMALLEST && z < top);
    const low = 10 ** Math.floor(Math.log10(Math.min(top / 10, ...seen)));
    const high = 10 ** Math.ceil(Math.log10(Math.max(10 * low, ...seen)));
    const { x, y } = plot.frame({ x: [0, steps], y: [low, high] });
    const places = Array.from({ length: steps + 1 }, (_, k) => x(k).toFixed(1));
    const curve = (above) => {
      const end = Math.min(
        steps,
        above.findLastIndex((z) => Number.isFinite(z) && z < top),
      );
      let d = "";
      for (let k = 0; k <= end; k++)
        d += `${k ? "L" : "M"}${places[k]},${y(Math.max(low, Math.min(top, above[k]))).toFixed(1)}`;
      return d;
    };
    plot.curves(runs.map(({ color, above }) => ({ color, d: curve(above) })));
    plot.mark(x(step));
  }

  return { ...plot, curves: (...what) => plot.draw(() => curves(...what)) };
}
