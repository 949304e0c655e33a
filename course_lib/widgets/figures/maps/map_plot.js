// The picture of a map with its axes and its ring: drag to move it, wheel or pinch to zoom, the ring to choose a run.
import { axisBottom, axisLeft, scaleLinear, select } from "../../kit/vendor/d3.js";
import { handle } from "../../kit/handle.js";
import { complaint, placeOf, ticks, valueAt, moved, zoomed } from "./map_axes.js";
import { make, set, showChosen, uniqueId } from "../../kit/kit.js";

const MARGIN = { top: 22, right: 10, bottom: 40, left: 52 };
const TALL = 0.8; // of its width
const DIGIT = 7; // pixels, about
const STILL = 4; // pixels that a press may move and still be a press

/**
 * `choose([x, y])` is called with the ring's new setting, `look([x bounds, y bounds])` with a new view.
 * Returns { box, canvas, node, size(), resize(width), axes(views), ring(setting), zoom(factor) }.
 */
export function mapPlot(parent, axes, { choose, look }) {
  const box = make(parent, "div", "cf-map cf-map-plot cf-near");
  const canvas = make(box, "canvas");
  const node = make(box, "svg", "", { role: "group" });
  const clip = uniqueId("map");
  const inside = make(node, "g", "", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  const back = make(inside, "rect", "cf-glass");
  const clipped = make(make(make(node, "defs"), "clipPath", "", { id: clip }), "rect");
  const lines = [make(inside, "g", "cf-axis"), make(inside, "g", "cf-axis")];
  const names = [
    make(node, "text", "cf-title", { "text-anchor": "end" }),
    make(node, "text", "cf-title", { x: 4, y: 12 }),
  ];
  axes.forEach(({ label, symbol }, k) => {
    names[k].textContent = label === symbol ? label : `${label} ${symbol}`;
  });
  const hair = make(inside, "path", "cf-map-hair", { "clip-path": `url(#${clip})` });
  let width = 0,
    height = 0,
    views = axes.map((axis) => axis.initial),
    places = [0.5, 0.5],
    dirty = true;

  const fits = () => axes.every((axis, k) => !complaint(axis, views[k]));
  const inView = (u) => Math.min(1, Math.max(0, u));
  const move = (...to) => {
    if (!fits()) return;
    places = to.map(inView);
    choose(places.map((u, k) => valueAt(axes[k], views[k], u, [width, height][k])));
  };
  const at = ({ clientX, clientY }) => {
    const area = back.getBoundingClientRect();
    return [(clientX - area.left) / area.width, 1 - (clientY - area.top) / area.height];
  };
  const see = (next) => {
    views = next; // at once: the next event may come before the next frame
    dirty = true;
    look(next);
  };
  const zoom = (factor, around = places.map(inView)) =>
    fits() && see(axes.map((axis, k) => zoomed(axis, views[k], factor, around[k])));
  const pan = (shares) => fits() && see(axes.map((axis, k) => moved(axis, views[k], shares[k])));

  const { node: ring, place: put } = handle(inside, {
    label: "Setting of the run. Arrow keys move it; plus and minus zoom the map, 0 shows all of it.",
    drag: (event) => move(...at(event)),
    arrows: (dx, dy) => move(inView(places[0]) + dx / 100, inView(places[1]) + dy / 100),
  });
  ring.addEventListener("keydown", ({ key }) => {
    if (key === "+" || key === "=") zoom(1 / 1.25);
    if (key === "-" || key === "_") zoom(1.25);
    if (key === "0") see(axes.map((axis) => axis.initial));
  });
  box.addEventListener(
    "wheel",
    (event) => {
      // the page scrolls until the map is chosen
      if (!event.ctrlKey && !event.metaKey && !box.contains(document.activeElement)) return;
      event.preventDefault();
      zoom(Math.exp(Math.min(60, Math.max(-60, event.deltaY)) * (event.ctrlKey ? 0.01 : 0.003)), at(event).map(inView));
    },
    { passive: false },
  );
  touches(canvas, {
    // below the axes, and not in the svg, inside of which browsers ignore touch-action
    at,
    drag: (from, to) => pan(from.map((u, k) => u - to[k])),
    pinch: (factor, from, to) => {
      zoom(1 / factor, from);
      pan(from.map((u, k) => u - to[k]));
    },
    press: (place) => {
      ring.focus({ preventScroll: true });
      move(...place);
    },
  });

  function drawAxes() {
    if (!dirty || !width || !fits()) return;
    dirty = false;
    const scales = [scaleLinear([0, width]), scaleLinear([height, 0])];
    axes.forEach((axis, k) => {
      const marks = ticks(axis, views[k], k ? 6 : Math.max(3, Math.round(width / 80)));
      const draw = (k ? axisLeft : axisBottom)(scales[k])
        .tickValues(marks.map((m) => m.place))
        .tickFormat((_, i) => marks[i].text)
        .tickSize(4)
        .tickSizeOuter(0);
      select(lines[k]).call(draw);
      if (k === 0)
        select(lines[0])
          .selectAll("text")
          .attr("x", (place) =>
            Math.min(
              0,
              (1 - place) * width + MARGIN.right - (DIGIT / 2) * marks.find((m) => m.place === place).text.length,
            ),
          ); // the last one ends in the figure
    });
  }

  return {
    box,
    canvas,
    node,
    zoom,
    size: () => [width, height],
    resize(total) {
      width = total - MARGIN.left - MARGIN.right;
      height = Math.round(width * TALL);
      for (const rect of [back, clipped]) set(rect, { width, height });
      set(node, { width: total, height: height + MARGIN.top + MARGIN.bottom });
      for (const [key, value] of [
        ["left", MARGIN.left],
        ["top", MARGIN.top],
        ["width", width],
        ["height", height],
      ])
        canvas.style[key] = `${value}px`;
      lines[0].setAttribute("transform", `translate(0,${height})`);
      names[0].setAttribute("x", total - MARGIN.right);
      names[0].setAttribute("y", height + MARGIN.top + MARGIN.bottom - 6);
      dirty = true;
      drawAxes();
    },
    axes(next) {
      dirty ||= next.some((bounds, k) => bounds.some((x, i) => x !== views[k][i]));
      views = next;
      drawAxes();
    },
    ring(setting) {
      if (!fits()) return;
      const exact = setting.map((x, k) => placeOf(axes[k], views[k], x));
      places = exact.map(inView);
      const [u, v] = [places[0] * width, (1 - places[1]) * height];
      ring.classList.toggle(
        "cf-outside",
        exact.some((x) => !(x > -1e-6 && x < 1 + 1e-6)),
      );
      hair.setAttribute("d", `M0,${v.toFixed(1)}H${width}M${u.toFixed(1)},0V${height}`);
      const words = axes.map((axis, k) => `${axis.label} ${showChosen(setting[k])}`).join(", ");
      put(+u.toFixed(1), +v.toFixed(1), words, setting[0]);
    },
  };
}

/**
 * One finger or the mouse drags or presses, two fingers pinch. Places are shares of the plot: [0, 0] is its lower left
 * corner.
 */
function touches(node, { at, drag, pinch, press }) {
  const down = new Map(); // finger -> { first, now: events }
  const middle = (a, b) => a.map((u, k) => (u + b[k]) / 2);
  const gap = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  let still = true;
  node.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    node.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    still = down.size === 1 && { x: event.clientX, y: event.clientY };
  });
  node.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    if (still && Math.hypot(event.clientX - still.x, event.clientY - still.y) < STILL) return;
    still = false;
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other)
      pinch(
        gap(event, other) / Math.max(1, gap(before, other)),
        middle(at(before), at(other)),
        middle(at(event), at(other)),
      );
    else drag(at(before), at(event));
    down.set(event.pointerId, event);
  });
  const end = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (event.type === "pointerup" && still) press(at(event));
    still = false;
  };
  for (const type of ["pointerup", "pointercancel"]) node.addEventListener(type, end);
}
