// The map of RateMap: a color for each rate of convergence, the lines of theory, and the ring that chooses a setting.
import { axisBottom, axisLeft, interpolateViridis, line, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { placeOf, valueAt } from "../kit/controls.js";
import { make, onArrows, onDrag, power, showChosen } from "../kit/kit.js";

const MARGIN = { top: 24, right: 10, bottom: 40, left: 46 };
const HEIGHT = 346;
const SLOWEST = 1000; // steps a digit, at the dark end of the colors

/** Steps until the error has shrunk to a tenth. */
export const stepsADigit = (rate) => -1 / Math.log10(rate);

const COLORS = Array.from({ length: 256 }, (_, k) => [
  ...interpolateViridis(1 - k / 255)
    .match(/\w\w/g)
    .map((hex) => parseInt(hex, 16)),
  255,
]);
const color = (rate) =>
  COLORS[Math.round(255 * Math.min(1, Math.max(0, Math.log(stepsADigit(rate)) / Math.log(SLOWEST))))];

/** The map in `parent`; `choose({ lr, momentum })` is called when the ring is moved. Returns { node, resize, paint, lines, ring }. */
export function rateMap(parent, range, choose) {
  const box = make(parent, "div", "cf-map");
  const canvas = make(box, "canvas");
  const node = make(box, "svg", "", { role: "img", height: HEIGHT });
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-glass");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const names = [
    make(node, "text", "cf-title", { "text-anchor": "end" }),
    make(node, "text", "cf-title", { x: 4, y: 12 }),
  ];
  names[0].textContent = "learning rate η";
  names[1].textContent = "momentum m";
  const curves = make(inside, "g", "cf-curves"),
    words = make(inside, "g", "cf-words");
  const ring = make(inside, "g", "cf-start", {
    tabindex: 0,
    role: "slider",
    "aria-label": "Setting. Arrow keys move it.",
  });
  make(ring, "circle", "cf-touch", { r: 20 });
  make(ring, "circle", "cf-ring", { r: 8 });
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  let width = 0,
    now = [0, 0];
  const x = (lr) => placeOf(lr, range.lr) * width,
    y = (m) => (1 - placeOf(m, range.momentum)) * height;
  const clamp = (u) => Math.min(1, Math.max(0, u));
  const move = (u, v) => {
    now = [clamp(u), clamp(v)];
    choose({ lr: valueAt(now[0], range.lr), momentum: valueAt(now[1], range.momentum) });
  };
  const at = (event) => {
    const area = back.getBoundingClientRect();
    move((event.clientX - area.left) / area.width, 1 - (event.clientY - area.top) / area.height);
  };
  onDrag(ring, at);
  back.addEventListener("click", at);
  onArrows(ring, (dx, dy) => move(now[0] + dx / 100, now[1] + dy / 100));

  return {
    node,
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      for (const [name, value] of [
        ["width", width],
        ["height", height],
      ])
        back.setAttribute(name, value);
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
        axisBottom(rates)
          .tickValues(decades)
          .tickFormat((v) => (v >= 0.01 && v <= 100 ? String(v) : power(Math.round(Math.log10(v)))))
          .tickSize(4)
          .tickSizeOuter(0),
      );
      const ticks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
      select(axes[1]).call(
        axisLeft(scaleLinear([0, 1], [0, 1]))
          .tickValues([])
          .tickSizeOuter(0),
      );
      select(axes[1])
        .selectAll(".tick-m")
        .data(ticks)
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
      names[0].setAttribute("x", total - MARGIN.right);
      names[0].setAttribute("y", HEIGHT - 6);
    },
    paint(rate, [columns, rows]) {
      [canvas.width, canvas.height] = [columns, rows];
      const pen = canvas.getContext("2d"),
        image = pen.createImageData(columns, rows);
      const rates = Array.from(
        { length: columns },
        (_, i) => range.lr.low * (range.lr.high / range.lr.low) ** ((i + 0.5) / columns),
      );
      for (let j = 0; j < rows; j++) {
        const m =
          1 -
          (1 - range.momentum.low) * ((1 - range.momentum.high) / (1 - range.momentum.low)) ** (1 - (j + 0.5) / rows);
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
      ring.setAttribute("transform", `translate(${x(lr)},${y(momentum)})`);
      ring.setAttribute("aria-valuetext", `learning rate ${showChosen(lr)}, momentum ${showChosen(momentum)}`);
      ring.setAttribute("aria-valuenow", lr);
    },
  };
}
