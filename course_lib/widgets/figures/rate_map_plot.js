// The map of RateMap: a color for each rate of convergence, the lines of theory, and the ring that chooses a setting.
import { axisBottom, axisLeft, line, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { SHADES, logShare } from "../kit/colors.js";
import { exactAt, placeOf, valueAt } from "../kit/controls.js";
import { handle } from "../kit/handle.js";
import { make, set, showChosen, write } from "../kit/kit.js";
import { digitsOrPower } from "../kit/line_plot.js";

const MARGIN = { top: 24, right: 10, bottom: 40, left: 46 };
const HEIGHT = 346;
const SLOWEST = 1000; // steps a digit, at the dark end of the colors
const MOMENTA = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99]; // marks of the axis

/** Steps until the error has shrunk to a tenth. */
export const stepsADigit = (rate) => -1 / Math.log10(rate);

const color = (rate) => [...SHADES[Math.round(255 * logShare(stepsADigit(rate), 1, SLOWEST))], 255];

/**
 * The map in `parent`; `choose({ lr, momentum })` is called when the ring is moved. Returns { resize, paint, lines,
 * ring, say }.
 */
export function rateMap(parent, range, choose) {
  const box = make(parent, "div", "cf-map");
  const canvas = make(box, "canvas");
  const node = make(box, "svg", "", { role: "group", height: HEIGHT });
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-glass");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const foot = write(node, "text", "cf-title", "learning rate η", { "text-anchor": "end", y: HEIGHT - 6 });
  write(node, "text", "cf-title", "momentum m", { x: 4, y: 12 });
  const curves = make(inside, "g", "cf-curves");
  const words = make(inside, "g", "cf-words");
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  let width = 0;
  let now = [0, 0];
  const x = (lr) => placeOf(lr, range.lr) * width;
  const y = (m) => (1 - placeOf(m, range.momentum)) * height;
  const clamp = (u) => Math.min(1, Math.max(0, u));
  const move = (u, v) => {
    now = [clamp(u), clamp(v)]; // at once: keys may come faster than frames
    choose({ lr: valueAt(now[0], range.lr), momentum: valueAt(now[1], range.momentum) });
  };
  const at = (event) => {
    const area = back.getBoundingClientRect();
    move((event.clientX - area.left) / area.width, 1 - (event.clientY - area.top) / area.height);
  };
  const ring = handle(inside, {
    label: "Setting. Arrow keys move it.",
    drag: at,
    arrows: (dx, dy) => move(now[0] + dx / 100, now[1] + dy / 100),
  });
  back.addEventListener("click", at);

  return {
    say: (text) => node.setAttribute("aria-label", text),
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      set(back, { width, height });
      set(foot, { x: total - MARGIN.right });
      node.setAttribute("width", total);
      Object.assign(canvas.style, {
        left: `${MARGIN.left}px`,
        top: `${MARGIN.top}px`,
        width: `${width}px`,
        height: `${height}px`,
      });
      axes[0].setAttribute("transform", `translate(0,${height})`);
      const rates = scaleLog([range.lr.low, range.lr.high], [0, width]),
        decades = Array.from({ length: 6 }, (_, k) => 10 ** (k - 3));
      select(axes[0]).call(
        axisBottom(rates).tickValues(decades).tickFormat(digitsOrPower).tickSize(4).tickSizeOuter(0),
      );
      select(axes[1]).call(
        axisLeft(scaleLinear([0, 1], [0, 1]))
          .tickValues([])
          .tickSizeOuter(0),
      );
      select(axes[1])
        .selectAll(".tick-m")
        .data(MOMENTA)
        .join((enter) =>
          enter
            .append("g")
            .attr("class", "tick-m")
            .call((g) => {
              g.append("line");
              g.append("text");
            }),
        )
        .attr("transform", (m) => `translate(0,${y(m)})`)
        .call((g) => {
          g.select("line").attr("x2", -4);
          g.select("text").attr("x", -7).attr("dy", "0.32em").attr("text-anchor", "end").text(String);
        });
    },
    paint(rate, [columns, rows]) {
      [canvas.width, canvas.height] = [columns, rows];
      const pen = canvas.getContext("2d"),
        image = pen.createImageData(columns, rows);
      const rates = Array.from({ length: columns }, (_, i) => exactAt((i + 0.5) / columns, range.lr));
      for (let j = 0; j < rows; j++) {
        const m = exactAt(1 - (j + 0.5) / rows, range.momentum);
        for (let i = 0; i < columns; i++) {
          const value = rate(rates[i], m);
          if (value < 1) image.data.set(color(value), 4 * (j * columns + i)); // diverging settings stay empty
        }
      }
      pen.putImageData(image, 0, 0);
    },
    /** The stability edge, the two lines of critical damping, and the best setting where they cross. */
    lines(code, kappa) {
      const moments = Array.from({ length: 121 }, (_, k) => 1 - 0.01 ** (k / 120));
      const draw = (f) =>
        line(
          (p) => p[0].toFixed(1),
          (p) => p[1].toFixed(1),
        )(
          moments
            .filter((m) => f(m) <= code.stability_edge(m, kappa))
            .map((m) => [(Math.log(f(m) / range.lr.low) / Math.log(range.lr.high / range.lr.low)) * width, y(m)])
            .filter(([a]) => a >= 0 && a <= width),
        );
      const [bestRate, bestMomentum] = code.best_momentum(kappa);
      const paths = [
        ["cf-edge", draw((m) => code.stability_edge(m, kappa))],
        ["cf-critical", draw((m) => code.critical_rates(m, 1)[0])],
        ["cf-critical", draw((m) => code.critical_rates(m, kappa)[1])],
        ["cf-best", `M${x(bestRate) - 6},${y(bestMomentum)}h12M${x(bestRate)},${y(bestMomentum) - 6}v12`],
      ];
      select(curves)
        .selectAll("path")
        .data(paths)
        .join("path")
        .attr("class", (p) => p[0])
        .attr("d", (p) => p[1]);
      const edge = x(Math.min(range.lr.high, code.stability_edge(0, kappa)));
      const labels = [
        ["diverges", (edge + width) / 2 + 20, y(0.3), "middle"],
        ["best", x(bestRate) - 9, y(bestMomentum) + 4, "end"],
      ];
      select(words)
        .selectAll("text")
        .data(labels)
        .join("text")
        .text((l) => l[0])
        .attr("x", (l) => l[1])
        .attr("y", (l) => l[2])
        .attr("text-anchor", (l) => l[3])
        .attr("class", (l) => (l[0] === "best" ? "cf-on-map" : "cf-title"));
    },
    ring(lr, momentum) {
      now = [placeOf(lr, range.lr), placeOf(momentum, range.momentum)];
      ring.place(x(lr), y(momentum), `learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}`, lr);
    },
  };
}
