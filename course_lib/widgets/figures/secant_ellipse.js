// SecantEllipse: the path of a quasi-Newton rule, and at each step the ellipse of B beside that of the inverse Hessian.
import { axisBottom, axisLeft, line, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { button, slider } from "../kit/controls.js";
import { COARSE, FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { load, make, onNextFrame, onResize, power, put, show } from "../kit/kit.js";

const REST = 150; // ms without a change, then the contours are drawn finely
const PHASES = Array.from({ length: 97 }, (_, k) => (k * Math.PI) / 48);
const PLOT = { height: 152, top: 22, right: 10, bottom: 22, left: 44 };
const SMALLEST = 1e-16; // as far as doubles tell B from the inverse Hessian

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const root = make(el, "div", "cf cf-secant", { role: "group", "aria-label": spec.title });
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const contour = contourPlot(main, spec.domain, (start) => put(model, { start }));
  const marks = overlay(contour.node, spec.domain);
  const scrubber = stepScrubber(main, model);
  const key = make(main, "p", "cf-note cf-secant-note");
  for (const [text, name] of [
    ["Filled", "b"],
    [": B. "],
    ["Dashed", "h"],
    [": H⁻¹, with the same area. From the center: the steps −Bg and −H⁻¹g."],
  ]) {
    if (name) make(key, "b", `cf-word-${name}`).textContent = text;
    else key.append(text);
  }
  const rows = headlines(side);
  const box = make(side, "div");
  const values = trackPlot(
    box,
    ["eigenvalues of ", ["B", "cf-word-b"], " and ", ["H⁻¹", "cf-word-h"]],
    ["cf-of-b", "cf-of-b", "cf-of-h", "cf-of-h"],
  );
  const errors = trackPlot(box, ["relative error ‖B − H⁻¹‖ / ‖H⁻¹‖"], ["cf-of-b"]);
  const controls = make(root, "div", "cf-secant-controls");
  spec.controls.forEach((control) => slider(controls, model, control));
  const buttons = make(controls, "div", "cf-buttons");
  const choices = spec.runs.map(({ label }) =>
    button(buttons, `${label} search`, `${label} search along the line`, () => put(model, { search: label })),
  );
  button(buttons, "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  let surface = "",
    refine = 0;

  /** Contours of the surface as it is now: coarse at once where it changes, fine when it rests. */
  function drawSurface(shape) {
    const now = JSON.stringify(shape);
    if (surface === now) return;
    const minima = code.minima ? [code.minima(...shape)].flat() : [],
      points = minima.flatMap((x, k) => (k % 2 ? [] : [[x, minima[k + 1]]]));
    const fill = (columns) => {
      const cells = grid((x, y) => code.loss(x, y, ...shape), spec.domain, columns);
      contour.surface(cells, points.length ? code.loss(...points[0], ...shape) : Math.min(0, cells.lowest), points);
    };
    clearTimeout(refine);
    if (surface) refine = setTimeout(() => fill(FINE), REST);
    fill(surface ? COARSE : FINE);
    surface = now;
  }

  function draw() {
    const hyper = Object.fromEntries(spec.hyper.map((name) => [name, model.get(name)])),
      shape = spec.surface.map((name) => hyper[name]);
    const steps = model.get("steps"),
      step = Math.min(model.get("step"), steps),
      start = model.get("start"),
      search = model.get("search");
    const run = spec.runs.findIndex(({ label }) => label === search);
    drawSurface(shape);
    const trail = follow(code, code[spec.runs[run].key](start, steps, hyper), shape);
    contour.paths([{ color: "var(--cf-rule-bfgs)", points: trail.map(({ w }) => w), diverged: -1 }], step, start);
    const here = trail[step];
    marks(code, here, code.slope(...here.w, ...shape), spec.size);
    rows(here, step);
    values.draw(
      [
        ...[0, 1].map((k) => trail.map(({ own }) => own[k])),
        ...[0, 1].map((k) => trail.map(({ wanted }) => wanted[k])),
      ],
      step,
    );
    errors.draw([trail.map(({ error }) => error)], step);
    scrubber(step, steps);
    choices.forEach((node, k) => node.setAttribute("aria-pressed", k === run));
    const [words, wanted] = [here.own, here.wanted].map((pair) => pair.map(show).join(" and "));
    const none = here.wanted[0] > 0 ? "" : " One of them is negative, so H⁻¹ has no ellipse here.";
    contour.node.setAttribute(
      "aria-label",
      `${spec.title}, ${search} search. At step ${step} B has the eigenvalues ${words}, the inverse Hessian ${wanted}.${none} The relative error of B is ${show(here.error)}, the loss ${show(here.loss)}.`,
    );
    values.node.setAttribute(
      "aria-label",
      `The eigenvalues of B and of the inverse Hessian over ${steps} steps. At step ${step}: ${words}, and ${wanted}.`,
    );
    errors.node.setAttribute(
      "aria-label",
      `The relative error of B over ${steps} steps: ${show(trail[0].error)} at step 0, ${show(here.error)} at step ${step}, ${show(trail.at(-1).error)} at the end.`,
    );
  }

  const ask = onNextFrame(draw),
    traits = [...spec.hyper, "search", "start", "steps", "step"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take the sliders' arrow keys
  const stop = [
    onResize(main, (width) => {
      contour.resize(width);
      draw();
    }),
    onResize(box, (width) => {
      values.resize(width);
      errors.resize(width);
      ask();
    }),
  ];
  return () => {
    stop.forEach((end) => end());
    ask.cancel();
    clearTimeout(refine);
    traits.forEach((name) => model.off(`change:${name}`, ask));
  };
}

/** A traced run's rows, one entry a step: the loss, w, B, the inverse Hessian, the eigenvalues of both, and the error. */
function follow(code, rows, shape) {
  const width = 7; // the loss, w and B
  return Array.from({ length: rows.length / width }, (_, k) => {
    const [loss, x, y, ...B] = rows.subarray(k * width, (k + 1) * width);
    const H = code.inverse_hessian(x, y, ...shape);
    return {
      loss,
      w: [x, y],
      B,
      H,
      own: code.eigenvalues(...B),
      wanted: code.eigenvalues(...H),
      error: code.relative_error(...B, ...H),
    };
  });
}

/** The two ellipses and the steepest point of each, over the contours: a function that draws them. */
function overlay(node, [[x0, x1], [y0, y1]]) {
  const back = node.querySelector(".cf-back"),
    inside = back.parentNode,
    clip = node.querySelector(".cf-contours").getAttribute("clip-path");
  const layer = make(inside, "g", "cf-secant-marks", { "clip-path": clip });
  inside.insertBefore(layer, node.querySelector(".cf-start"));
  const marks = ["b", "h"].map((name) => [
    make(layer, "path", `cf-ellipse-${name}`),
    make(layer, "path", `cf-ray-${name}`),
  ]);
  const gone = make(layer, "text", "cf-hint cf-no-ellipse", { x: 8 });
  return (code, { w, B, H, wanted }, g, size) => {
    const [width, height] = ["width", "height"].map((side) => Number(back.getAttribute(side)));
    const place = ([a, b]) => [((w[0] + a - x0) / (x1 - x0)) * width, ((y1 - w[1] - b) / (y1 - y0)) * height];
    const draw = line(
        (p) => p[0].toFixed(1),
        (p) => p[1].toFixed(1),
      ),
      curved = wanted[0] > 0;
    [
      [B, true],
      [H, curved],
    ].forEach(([matrix, visible], k) => {
      const [ellipse, ray] = marks[k],
        end = visible ? code.steepest(...g, ...matrix, size) : [NaN];
      ellipse.setAttribute(
        "d",
        visible ? draw(PHASES.map((phase) => place(code.ellipse(phase, ...matrix, size)))) : "",
      );
      ray.setAttribute("d", end.every(Number.isFinite) ? draw([place([0, 0]), place(end)]) : "");
    });
    gone.textContent = curved ? "" : "H curves downward here: no ellipse of H⁻¹";
    gone.setAttribute("y", height - 10);
  };
}

/** The numbers; returns a function that shows them. */
function headlines(parent) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const [error, loss] = [
    ["error of B", "--cf-rule-bfgs"],
    ["loss", "--cf-fg"],
  ].map(([label, color]) => {
    const row = make(box, "div", "cf-result");
    row.style.setProperty("--rule", `var(${color})`);
    make(row, "span", "cf-label").textContent = label;
    return [make(row, "span", "cf-number"), make(row, "span", "cf-unit")];
  });
  return (here, step) => {
    error[0].textContent = show(here.error);
    loss[0].textContent = show(here.loss);
    for (const [, unit] of [error, loss]) unit.textContent = `at step ${step}`;
  };
}

/** Positive numbers over the steps on a log axis: { node, resize(width), draw(series, step) }; `classes` names each line. */
function trackPlot(parent, title, classes) {
  const node = make(parent, "svg", "cf-loss-plot", { role: "img", height: PLOT.height });
  const head = make(node, "text", "cf-title", { x: 4, y: 12 });
  for (const part of title)
    Array.isArray(part) ? (make(head, "tspan", part[1]).textContent = part[0]) : head.append(part);
  const inside = make(node, "g", "", { transform: `translate(${PLOT.left},${PLOT.top})` }),
    height = PLOT.height - PLOT.top - PLOT.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const now = make(inside, "line", "cf-now-line", { y1: 0, y2: height });
  const lines = classes.map((name) => make(inside, "path", `cf-track ${name}`));
  const x = scaleLinear(),
    y = scaleLog().range([height, 0]).clamp(true);
  return {
    node,
    resize(total) {
      node.setAttribute("width", total);
      x.range([0, total - PLOT.left - PLOT.right]);
    },
    draw(series, step) {
      const seen = series.flat().filter((z) => z > SMALLEST && Number.isFinite(z)),
        last = series[0].length - 1;
      const [low, high] = seen.length
        ? [Math.floor(Math.log10(Math.min(...seen))), Math.ceil(Math.log10(Math.max(...seen)))]
        : [-1, 0];
      const top = Math.max(high, low + 1),
        stride = Math.ceil((top - low) / 4);
      x.domain([0, last]);
      y.domain([10 ** low, 10 ** top]);
      const whole = Array.from({ length: last + 1 }, (_, k) => k),
        every = Math.ceil((last + 1) / 7);
      select(axes[0]).call(
        axisBottom(x)
          .tickValues(whole.filter((k) => k % every === 0))
          .tickFormat(String)
          .tickSize(4)
          .tickSizeOuter(0),
      );
      select(axes[1]).call(
        axisLeft(y)
          .tickValues(Array.from({ length: Math.floor((top - low) / stride) + 1 }, (_, k) => 10 ** (low + k * stride)))
          .tickFormat((v) => power(Math.round(Math.log10(v))))
          .tickSize(-x.range()[1])
          .tickSizeOuter(0),
      );
      series.forEach((numbers, k) => lines[k].setAttribute("d", path(numbers, x, y)));
      for (const end of ["x1", "x2"]) now.setAttribute(end, x(step));
    },
  };
}

/** A line through the numbers, with a gap where there is nothing positive to draw; zero lies on the floor. */
function path(numbers, x, y) {
  const floor = y.domain()[0];
  return (
    line()
      .defined(([, z]) => z >= 0)
      .x(([k]) => x(k).toFixed(1))
      .y(([, z]) => y(Math.max(z, floor)).toFixed(1))(numbers.map((z, k) => [k, z])) ?? ""
  );
}

/** The slider under the plot that goes back and forth in time. */
function stepScrubber(parent, model) {
  const row = make(parent, "label", "cf-scrubber");
  make(row, "span", "cf-name").textContent = "step";
  const input = make(row, "input", "", { type: "range", min: 0, step: 1, name: "step", "aria-label": "Step shown" }),
    value = make(row, "output", "cf-value");
  input.addEventListener("input", () => put(model, { step: +input.value }));
  return (step, steps) => {
    input.max = steps;
    input.value = step;
    value.textContent = step;
  };
}
