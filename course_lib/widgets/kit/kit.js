// What every figure shares: how it writes numbers, makes elements, loads traced programs and redraws.

/** Make an element inside `parent`: `make(root, "div", "cf-plot", { title: "…" })`. */
export function make(parent, tag, className = "", attributes = {}) {
  const svg = tag === "svg" || parent?.namespaceURI === "http://www.w3.org/2000/svg";
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (className) node.setAttribute("class", className);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent?.append(node);
  return node;
}

/** Set some attributes of an element. */
export function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
}

/** Words inside an svg or beside it: `make` with the text. */
export function write(parent, tag, className, text, attributes = {}) {
  const node = make(parent, tag, className, attributes);
  node.textContent = text;
  return node;
}

let ids = 0;

/** An id that no other element of the page has; in Jupyter every figure has its own copy of this text, and of `ids`. */
export const uniqueId = (name) => `cf-${name}-${++ids}-${Math.random().toString(36).slice(2, 8)}`;

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const MINUS = (text) => text.replace("-", "−");

/** A measured number for people: three significant digits, powers of ten where zeros would have to be counted. */
export function show(x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "not a number" : x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e-3 && size < 1e5) return MINUS(size < 1000 ? x.toPrecision(3) : x.toFixed(0));
  const [mantissa, exponent] = x.toExponential(1).split("e");
  return `${MINUS(mantissa)}×${power(+exponent)}`;
}

/** A number that somebody chose: as short as it is, 0.9 and not 0.900. */
export function showChosen(x) {
  const size = Math.abs(x);
  return size >= 1e-4 && size < 1e5 ? MINUS(String(+x.toPrecision(6))) : show(x);
}

/** 10 to an integer power, as text: `10⁻³`. */
export function power(exponent) {
  return "10" + String(exponent).replace(/[-\d]/g, (c) => SUPERSCRIPTS[c]);
}

const programs = new Map();

/** The ES module with this text, made once: traced programs arrive as text. */
export function load(text) {
  if (!programs.has(text)) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    programs.set(
      text,
      import(url).finally(() => URL.revokeObjectURL(url)),
    );
  }
  return programs.get(text);
}

/** Call `draw` once in the next frame, however often it is asked for before. */
export function onNextFrame(draw) {
  let waiting = 0;
  const ask = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      draw();
    });
  };
  ask.cancel = () => cancelAnimationFrame(waiting);
  return ask;
}

/** Call `resize(width)` now and whenever the element's width changes; returns the function that ends it. */
export function onResize(element, resize) {
  let last = 0;
  const observer = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0 && width !== last) resize((last = width));
  });
  observer.observe(element);
  return () => observer.disconnect();
}

/** Set traits and send them to Python, if there is one. */
export function put(model, values) {
  for (const [key, value] of Object.entries(values)) model.set(key, value);
  model.save_changes();
}

/** Drag by mouse, pen or finger: `move(event)` at every position from the first. */
export function onDrag(node, move) {
  // browsers ignore touch-action inside an svg, and would scroll
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  node.addEventListener("pointerdown", (down) => {
    if (down.button > 0) return;
    down.preventDefault();
    down.stopPropagation();
    node.setPointerCapture(down.pointerId);
    const end = () => {
      node.removeEventListener("pointermove", move);
      for (const type of ["pointerup", "pointercancel"]) node.removeEventListener(type, end);
    };
    node.addEventListener("pointermove", move);
    for (const type of ["pointerup", "pointercancel"]) node.addEventListener(type, end);
    move(down);
  });
}

/** Move by arrow keys, ten times as far with Shift: `move(dx, dy)` with dy upward. */
export function onArrows(node, move) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  node.addEventListener("keydown", (event) => {
    if (!(event.key in ways)) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    move(...ways[event.key].map((d) => d * far));
  });
}

/** Calls `changed` when the page, JupyterLab or the system turns dark or light; returns the function that ends it. */
export function onTheme(changed) {
  const observer = new MutationObserver(changed),
    dark = matchMedia("(prefers-color-scheme: dark)");
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  dark.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", changed);
  };
}
