// Ridge: the minimum of a quadratic loss with weight decay, for every strength of the decay, and two paths to it.
import { axisBottom, axisLeft, line, scaleLinear, scaleLog, select } from "../kit/vendor/d3.js";
import { button, slider } from "../kit/controls.js";
import { COARSE, FINE, contourPlot, grid } from "../kit/contour_plot.js";
import { load, make, onArrows, onDrag, onNextFrame, onResize, power, put, show, showChosen } from "../kit/kit.js";

const REST = 150; // ms without a change, then the contours are drawn finely
const TRACE = Array.from({ length: 161 }, (_, k) => 10 ** (-4 + k / 20)); // strengths along the ridge trace
const PHASES = Array.from({ length: 121 }, (_, k) => (k * Math.PI) / 60);
const FAR = 100; // a run that ends beyond has diverged
const SHARES = { height: 186, top: 22, right: 10, bottom: 38, left: 44 };

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const root = make(el, "div", "cf cf-ridge", { role: "group", "aria-label": "A loss with weight decay" });
  const columns = make(root, "div", "cf-grid");
  const main = make(columns, "div", "cf-main"),
    side = make(columns, "div", "cf-side");
  const contour = contourPlot(main, spec.domain, (start) => put(model, { start }));
  const marks = overlay(contour.node, spec.domain, (minimum) => put(model, { minimum }));
  make(main, "p", "cf-note cf-ridge-note").textContent =
    "Drag the start, or the data's minimum θ*. Dotted: where the minimum goes as λ grows. Bars from 0: the share of θ* that is left along the valley and across it.";
  const box = make(main, "div");
  const shares = sharesPlot(box, spec.decays);
  const rows = headlines(side, spec.runs);
  spec.controls.forEach((control) => slider(side, model, control));
  const buttons = make(side, "div", "cf-buttons");
  button(buttons, "Reset", "Back to the start values", () => put(model, { ...spec.initial }));

  let surface = "",
    refine = 0;

  /** Contours of the data's loss: coarse at once while it moves, fine when it rests. */
  function drawSurface(place) {
    const key = place.join();
    if (surface === key) return;
    const cells = (columns) => grid((x, y) => code.bowl(x, y, ...place), spec.domain, columns);
    clearTimeout(refine);
    contour.surface(cells(surface ? COARSE : FINE), 0, []);
    if (surface) refine = setTimeout(() => contour.surface(cells(FINE), 0, []), REST);
    surface = key;
  }

  function draw() {
    const [decay, lr, momentum, kappa, angle, start, minimum, steps] = [
      ...spec.controls.map((c) => c.name),
      "start",
      "minimum",
      "steps",
    ].map((name) => model.get(name));
    const place = [...minimum, kappa, angle],
      solution = code.ridge_minimum(...place, decay);
    drawSurface(place);
    const walk = (run) =>
      code[run.key](start, steps, {
        lr,
        momentum,
        decay,
        x: minimum[0],
        y: minimum[1],
        condition_number: kappa,
        angle,
      });
    const runs = spec.runs.map((run) => ({ ...run, ...path(walk(run), code[run.key].columns.length, solution) }));
    contour.paths(runs, steps, start);
    marks.draw({ code, place, decay, minimum, solution, kept: [1, kappa].map((h) => code.shrinkage(h, decay)) });
    const norm = (strength) => ratio(Math.hypot(...code.ridge_minimum(...place, strength)), Math.hypot(...minimum));
    const words = rows(norm(decay), runs, steps);
    shares.draw({ decay, kappa, share: code.shrinkage, norm });
    contour.node.setAttribute(
      "aria-label",
      `Contours of a loss of condition number ${showChosen(kappa)} with its minimum at ${showChosen(minimum[0])}, ${showChosen(minimum[1])}. Weight decay ${showChosen(decay)} moves it to ${show(solution[0])}, ${show(solution[1])}. ${words}.`,
    );
  }

  const ask = onNextFrame(draw);
  const traits = [...spec.controls.map((c) => c.name), "start", "minimum", "steps"];
  traits.forEach((name) => model.on(`change:${name}`, ask));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const stop = [
    onResize(main, (width) => {
      contour.resize(width);
      draw();
    }),
    onResize(box, (width) => {
      shares.resize(width);
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

const ratio = (a, b) => (b > 0 ? a / b : 1);
const percent = (share) => `${show(100 * share)}%`;

/** A run's rows as points, the step at which it left for good (-1: it stayed), and its distance to the solution at the end. */
function path(rows, width, solution) {
  const points = Array.from({ length: rows.length / width }, (_, k) => [rows[k * width + 1], rows[k * width + 2]]);
  const far = ([x, y]) => !(Math.hypot(x, y) < FAR);
  const diverged = far(points.at(-1)) ? points.findIndex(far) : -1;
  const [x, y] = points.at(-1);
  return {
    points: diverged < 0 ? points : points.slice(0, diverged + 1),
    diverged,
    distance: Math.hypot(x - solution[0], y - solution[1]),
  };
}

/** The numbers; returns a function that shows them and gives the words. */
function headlines(parent, runs) {
  const box = make(parent, "div", "cf-results", { role: "status" });
  const row = (label, color) => {
    const node = make(box, "div", "cf-result");
    node.style.setProperty("--rule", color);
    make(node, "span", "cf-label").textContent = label;
    return [make(node, "span", "cf-number"), make(node, "span", "cf-unit"), node];
  };
  const [norm, unit] = row("norm of θλ", "var(--cf-fg)");
  unit.textContent = "of that of θ*";
  const ends = runs.map((run) => row(run.label, run.color));
  return (share, walks, steps) => {
    norm.textContent = percent(share);
    walks.forEach(({ diverged, distance }, k) => {
      const [number, after, node] = ends[k];
      number.textContent = diverged < 0 ? show(distance) : "diverged";
      after.textContent = diverged < 0 ? `away, step ${steps}` : `at step ${diverged}`;
      node.classList.toggle("cf-diverged", diverged >= 0);
    });
    return [
      `Its norm is ${percent(share)} of the data's`,
      ...walks.map(
        (w) =>
          `${w.label}: ${w.diverged < 0 ? `${show(w.distance)} away after ${steps} steps` : `diverged at step ${w.diverged}`}`,
      ),
    ].join(". ");
  };
}

/** What lies over the contours: the trace, the circle and the contour that touch, the shares along the eigenvectors, a second ring. */
function overlay(node, [[x0, x1], [y0, y1]], moveMinimum) {
  const back = node.querySelector(".cf-back"),
    inside = back.parentNode,
    clip = node.querySelector(".cf-contours").getAttribute("clip-path");
  const layer = make(inside, "g", "cf-ridge-marks", { "clip-path": clip });
  inside.insertBefore(layer, node.querySelector(".cf-minima"));
  const curves = Object.fromEntries(
    ["circle", "touching", "trace", "whole-along", "whole-across", "along", "across", "zero"].map((name) => [
      name,
      make(layer, "path", `cf-${name}`),
    ]),
  );
  const solution = make(layer, "path", "cf-solution"),
    words = ["θ*", "θ", "0"].map((text) => Object.assign(make(layer, "text", "cf-ridge-word"), { textContent: text }));
  make(words[1], "tspan", "cf-sub", { dy: 4 }).textContent = "λ";
  const ring = make(inside, "g", "cf-start cf-data", {
    tabindex: 0,
    role: "slider",
    "aria-label": "The data's minimum. Arrow keys move it.",
  });
  make(ring, "circle", "cf-touch", { r: 20 });
  make(ring, "circle", "cf-ring", { r: 8 });
  make(ring, "path", "cf-solution", { d: "M-5,0h10M0,-5v10" });
  let now = [0, 0];
  const size = () => [back.getAttribute("width"), back.getAttribute("height")].map(Number);
  const place = ([a, b]) => {
    const [width, height] = size();
    return [((a - x0) / (x1 - x0)) * width, ((y1 - b) / (y1 - y0)) * height];
  };
  const keep = ([a, b]) =>
    moveMinimum((now = [Math.min(x1, Math.max(x0, a)), Math.min(y1, Math.max(y0, b))].map((v) => +v.toPrecision(3)))); // at once: keys may come faster than frames
  onDrag(ring, (event) => {
    const area = back.getBoundingClientRect();
    keep([
      x0 + ((event.clientX - area.left) / area.width) * (x1 - x0),
      y1 - ((event.clientY - area.top) / area.height) * (y1 - y0),
    ]);
  });
  onArrows(ring, (dx, dy) => keep([now[0] + (dx * (x1 - x0)) / 200, now[1] + (dy * (x1 - x0)) / 200]));
  const draw = (name, points) =>
    curves[name].setAttribute(
      "d",
      line(
        (p) => p[0].toFixed(1),
        (p) => p[1].toFixed(1),
      )(points.map(place)),
    );

  return {
    draw({ code, place: here, decay, minimum, solution: end, kept }) {
      now = minimum;
      const radius = Math.hypot(...end),
        loss = code.bowl(...end, ...here),
        axes = code.eigenvectors(here[3]);
      draw(
        "circle",
        PHASES.map((phase) => [radius * Math.cos(phase), radius * Math.sin(phase)]),
      );
      draw(
        "touching",
        PHASES.map((phase) => code.level_curve(phase, ...here, loss)),
      );
      draw("trace", [minimum, ...TRACE.map((strength) => code.ridge_minimum(...here, strength)), [0, 0]]);
      ["along", "across"].forEach((name, k) => {
        const axis = axes.slice(2 * k, 2 * k + 2),
          size = axis[0] * minimum[0] + axis[1] * minimum[1];
        draw(`whole-${name}`, [[0, 0], axis.map((a) => a * size)]);
        draw(name, [[0, 0], axis.map((a) => a * size * kept[k])]);
      });
      const [[zx, zy], [sx, sy], [dx, dy]] = [[0, 0], end, minimum].map(place);
      curves.zero.setAttribute("d", `M${zx - 3},${zy}a3,3 0 1,0 6,0a3,3 0 1,0 -6,0`);
      solution.setAttribute("d", `M${sx - 6},${sy}h12M${sx},${sy - 6}v12`);
      [
        [dx + 12, dy - 8],
        [sx + 8, sy - 8],
        [zx - 14, zy + 14],
      ].forEach(([a, b], k) => {
        words[k].setAttribute("x", a);
        words[k].setAttribute("y", b);
      });
      words[1].style.display = Math.hypot(sx - dx, sy - dy) < 24 || Math.hypot(sx - zx, sy - zy) < 24 ? "none" : "";
      ring.setAttribute("transform", `translate(${dx},${dy})`);
      ring.setAttribute("aria-valuetext", `x ${showChosen(minimum[0])}, y ${showChosen(minimum[1])}`);
      ring.setAttribute("aria-valuenow", minimum[0]);
    },
  };
}

/** What is left along each eigenvector, and of the norm, over the strength of the decay. */
function sharesPlot(parent, [low, high]) {
  const node = make(parent, "svg", "cf-loss-plot cf-shares", { role: "img", height: SHARES.height });
  make(node, "text", "cf-title", { x: 4, y: 12 }).textContent = "share that is left";
  const foot = make(node, "text", "cf-title", { y: SHARES.height - 6, "text-anchor": "end" });
  foot.textContent = "weight decay λ";
  const inside = make(node, "g", "", { transform: `translate(${SHARES.left},${SHARES.top})` });
  const height = SHARES.height - SHARES.top - SHARES.bottom;
  const axes = [make(inside, "g", "cf-axis", { transform: `translate(0,${height})` }), make(inside, "g", "cf-axis")];
  const now = make(inside, "line", "cf-now-line", { y1: 0, y2: height });
  const x = scaleLog([low, high], [0, 1]),
    y = scaleLinear([0, 1], [height, 0]);
  const names = ["along", "across", "norm"],
    texts = ["valley", "across", "norm"];
  const curves = names.map((name) => make(inside, "path", `cf-${name}`)),
    dots = names.map((name) => make(inside, "circle", `cf-dot-${name}`, { r: 4 }));
  const words = names.map((name, k) =>
    Object.assign(make(inside, "text", `cf-word-${name}`), { textContent: texts[k] }),
  );
  const strengths = Array.from({ length: 81 }, (_, k) => low * (high / low) ** (k / 80));
  return {
    resize(total) {
      const width = total - SHARES.left - SHARES.right;
      x.range([0, width]);
      node.setAttribute("width", total);
      foot.setAttribute("x", total - SHARES.right);
      const decades = Array.from({ length: 5 }, (_, k) => 10 ** (k - 2));
      select(axes[0]).call(
        axisBottom(x)
          .tickValues(decades)
          .tickFormat((v) => (v >= 0.01 ? String(v) : power(Math.round(Math.log10(v)))))
          .tickSize(4)
          .tickSizeOuter(0),
      );
      select(axes[1]).call(
        axisLeft(y)
          .tickValues([0, 0.5, 1])
          .tickFormat((v) => `${100 * v}%`)
          .tickSize(-width)
          .tickSizeOuter(0),
      );
    },
    draw({ decay, kappa, share, norm }) {
      const of = [(strength) => share(1, strength), (strength) => share(kappa, strength), norm];
      const place = x(Math.min(high, Math.max(low, decay)));
      of.forEach((value, k) => {
        curves[k].setAttribute(
          "d",
          line(
            (s) => x(s).toFixed(1),
            (s) => y(value(s)).toFixed(1),
          )(strengths),
        );
        dots[k].setAttribute("cx", place);
        dots[k].setAttribute("cy", y(value(decay)));
      });
      const half = strengths.find((strength) => norm(strength) < 0.5) ?? high;
      [
        [0.4, "end"],
        [1.2 * Math.min(kappa, 20), "start"],
        [half, "end"],
      ].forEach(([strength, anchor], k) => {
        words[k].setAttribute("x", x(strength) + (anchor === "end" ? -8 : 8));
        words[k].setAttribute("y", y(of[k](strength)) + 4);
        words[k].setAttribute("text-anchor", anchor);
      });
      for (const end of ["x1", "x2"]) now.setAttribute(end, place);
      node.setAttribute(
        "aria-label",
        `What is left of the data's minimum over the weight decay. At ${showChosen(decay)}: along the valley ${percent(of[0](decay))}, across it ${percent(of[1](decay))}, of the norm ${percent(of[2](decay))}.`,
      );
    },
  };
}
