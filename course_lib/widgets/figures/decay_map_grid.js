// One map of a DecayMap: a cell for each (weight decay, learning rate), its valley, and a cross hair.
import { axisBottom, axisLeft, scaleLog, select } from "../kit/vendor/d3.js";
import { handle } from "../kit/handle.js";
import { make, set } from "../kit/kit.js";
import { digitsOrPower } from "../kit/line_plot.js";

const MARGIN = { top: 22, right: 8, bottom: 38, left: 40 };
const [HIGH, LOW] = [25, 17]; // px a learning rate, on a wide window and on a phone
const PHONE = 560; // px of a window
const A_DECADE = 3; // cells a decade, both ways
const POWERS = (v) => {
  const k = Math.log10(v);
  return Math.abs(k - Math.round(k)) < 1e-6;
};

/** Where a cell lies, in cells from the left: on the axis of λ, or of η·λ. */
export function columns(map, axis) {
  const value = (i, j) => map.decays[i][j] * (axis === "product" ? map.rates[i] : 1);
  const low = Math.min(...map.rates.map((_, i) => value(i, 0)));
  const place = (x) => A_DECADE * Math.log10(x / low);
  const count = Math.round(Math.max(...map.rates.map((_, i) => place(value(i, map.decays[i].length - 1))))) + 1;
  return {
    low,
    count,
    value,
    place,
    of: (i, j) => Math.round(place(value(i, j))),
    at: (i, column) => column - Math.round(place(value(i, 0))),
  };
}

/**
 * A map in `parent`. `choose(i, j)` is called with the rate's and the decay's index. Returns { say, resize, paint,
 * cross }.
 */
export function decayGrid(parent, name, choose) {
  const box = make(parent, "div", "cf-map");
  const canvas = make(box, "canvas"),
    node = make(box, "svg", "", { role: "group" });
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-glass"),
    outline = make(inside, "path", "cf-measured");
  const axes = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const titles = [
    make(node, "text", "cf-title", { "text-anchor": "end" }),
    make(node, "text", "cf-title", { x: 4, y: 12 }),
  ];
  titles[1].textContent = "learning rate η";
  const diverged = make(inside, "path", "cf-dead"),
    predicted = make(inside, "path", "cf-predicted"),
    halo = make(inside, "path", "cf-valley cf-halo"),
    valley = make(inside, "path", "cf-valley");
  const hair = make(inside, "path", "cf-hair");
  let map = null,
    axis = "decay",
    lattice = null,
    width = 0,
    row = HIGH,
    now = [0, 0];
  const clamp = (x, most) => Math.min(most, Math.max(0, x));
  const height = () => map.rates.length * row,
    cell = () => width / lattice.count;
  const x = (place) => (place + 0.5) * cell(),
    y = (i) => height() - (i + 0.5) * row;
  /** The cell of this rate that is nearest to a column. */
  const pick = (i, column) => {
    const rate = clamp(i, map.rates.length - 1);
    // for the next key, which may come before the next frame
    now = [rate, clamp(lattice.at(rate, column), map.decays[rate].length - 1)];
    choose(...now);
  };
  const at = (event) => {
    const area = back.getBoundingClientRect();
    pick(Math.floor((area.bottom - event.clientY) / row), Math.floor((event.clientX - area.left) / cell()));
  };
  const few = (d) => Math.sign(d) * Math.min(3, Math.abs(d));
  const ring = handle(inside, {
    label: "",
    touch: 18,
    ring: 7,
    drag: at,
    arrows: (dx, dy) => pick(now[0] + few(dy), lattice.of(...now) + few(dx)),
  });
  back.addEventListener("click", at);

  function frame() {
    set(back, { width, height: height() });
    set(node, { width: width + MARGIN.left + MARGIN.right, height: height() + MARGIN.top + MARGIN.bottom });
    Object.assign(canvas.style, {
      left: `${MARGIN.left}px`,
      top: `${MARGIN.top}px`,
      width: `${width}px`,
      height: `${height()}px`,
    });
    axes[0].setAttribute("transform", `translate(0,${height()})`);
    const span = (k) => lattice.low * 10 ** (k / A_DECADE);
    const across = scaleLog([span(-0.5), span(lattice.count - 0.5)], [0, width]),
      up = scaleLog([map.rates[0] / 10 ** (0.5 / A_DECADE), map.rates.at(-1) * 10 ** (0.5 / A_DECADE)], [height(), 0]);
    const few = across.ticks().filter(POWERS);
    const stride = Math.ceil(few.length / (width / 34));
    select(axes[0]).call(
      axisBottom(across)
        .tickValues(few.filter((v) => Math.round(Math.log10(v)) % stride === 0))
        .tickFormat(digitsOrPower)
        .tickSize(4)
        .tickSizeOuter(0),
    );
    select(axes[1]).call(
      axisLeft(up).tickValues(up.ticks().filter(POWERS)).tickFormat(digitsOrPower).tickSize(4).tickSizeOuter(0),
    );
    titles[0].textContent = axis === "product" ? "η · λ" : "weight decay λ";
    titles[0].setAttribute("x", width + MARGIN.left);
    titles[0].setAttribute("y", height() + MARGIN.top + MARGIN.bottom - 5);
  }

  /** The edge of what was measured: a parallelogram on one of the axes. */
  function edge() {
    const last = (i) => lattice.of(i, map.decays[i].length - 1) + 1,
      down = map.rates.map((_, i) => i);
    const left = down.flatMap((i) => [
        [lattice.of(i, 0), i],
        [lattice.of(i, 0), i + 1],
      ]),
      right = down
        .flatMap((i) => [
          [last(i), i],
          [last(i), i + 1],
        ])
        .reverse();
    return `M${[...left, ...right].map(([c, i]) => `${(c * cell()).toFixed(1)},${height() - i * row}`).join("L")}Z`;
  }

  function lines() {
    const dots = map.valley.map((decay, i) => [decay, i]).filter(([decay]) => decay !== null);
    const along = ([decay, i]) => lattice.place(decay * (axis === "product" ? map.rates[i] : 1));
    const d = dots.length
      ? `M${dots.map((dot) => `${x(along(dot)).toFixed(1)},${y(dot[1]).toFixed(1)}`).join("L")}`
      : "";
    for (const path of [halo, valley]) path.setAttribute("d", d);
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const slope = map.predicted + (axis === "product" ? 1 : 0),
      middle = [mean(dots.map(along)), mean(dots.map((dot) => dot[1]))];
    const ends = [-0.5, map.rates.length - 0.5].map((i) => [clamp(x(middle[0] + slope * (i - middle[1])), width), i]);
    const bound = ends.map(([px]) => (slope ? middle[1] + (px / cell() - 0.5 - middle[0]) / slope : null));
    predicted.setAttribute(
      "d",
      `M${ends.map(([px, i], k) => `${px.toFixed(1)},${y(bound[k] ?? i).toFixed(1)}`).join("L")}`,
    );
  }

  return {
    say: (words) => node.setAttribute("aria-label", words),
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      row = innerWidth < PHONE ? LOW : HIGH;
    },
    /** `color(i, j)` is [r, g, b], or null where the run diverged. */
    paint(shown, on, color) {
      [map, axis, lattice] = [shown, on, columns(shown, on)];
      frame();
      [canvas.width, canvas.height] = [lattice.count, map.rates.length];
      const pen = canvas.getContext("2d"),
        image = pen.createImageData(lattice.count, map.rates.length),
        dead = [];
      map.rates.forEach((_, i) =>
        map.decays[i].forEach((_, j) => {
          const rgb = color(i, j),
            column = lattice.of(i, j);
          if (rgb) image.data.set([...rgb, 255], 4 * ((map.rates.length - 1 - i) * lattice.count + column));
          else dead.push(`M${(x(column) - 2.5).toFixed(1)},${y(i) - 2.5}l5,5m0,-5l-5,5`);
        }),
      );
      pen.putImageData(image, 0, 0);
      diverged.setAttribute("d", dead.join(""));
      outline.setAttribute("d", edge());
      lines();
    },
    cross(i, j, words) {
      now = [i, j];
      const [px, py] = [x(lattice.of(i, j)), y(i)];
      hair.setAttribute("d", `M0,${py}H${width}M${px.toFixed(1)},0V${height()}`);
      set(ring.node, { "aria-label": `${name()}: cell of the map. Arrow keys move it on both maps.` });
      ring.place(+px.toFixed(1), py, words, map.rates[i]);
    },
  };
}
