// What Ridge draws over its contours, and what is left of the data's minimum for every strength of the decay.
import { handle } from "../kit/handle.js";
import { make, set, show, showChosen, write } from "../kit/kit.js";
import { digitsOrPower, linePlot, through } from "../kit/line_plot.js";

const TRACE = Array.from({ length: 161 }, (_, k) => 10 ** (-4 + k / 20)); // strengths along the ridge trace
const PHASES = Array.from({ length: 121 }, (_, k) => (k * Math.PI) / 60);
const CURVES = ["circle", "touching", "trace", "whole-along", "whole-across", "along", "across", "zero"];
const SHARES = ["along", "across", "norm"];
const NEAR = 24; // pixels, between two marks that would cover each other's names

const percent = (share) => `${show(100 * share)}%`;

/**
 * The trace, the circle and the contour that touch, the shares along the eigenvectors, a second ring: { draw(state) }.
 */
export function overlay(contour, code, moveMinimum) {
  const layer = contour.layer("cf-ridge-marks", "minima");
  const curves = Object.fromEntries(CURVES.map((name) => [name, make(layer, "path", `cf-${name}`)]));
  const solution = make(layer, "path", "cf-solution");
  const words = ["θ*", "θ", "0"].map((text) => write(layer, "text", "cf-ridge-word", text));
  write(words[1], "tspan", "cf-sub", "λ", { dy: 4 });
  const [x0, x1] = contour.domain[0];
  let now = [0, 0];
  const move = (point) => moveMinimum((now = contour.keep(point))); // at once: keys may come faster than frames
  const ring = handle(contour.layer("", "", false), {
    label: "The data's minimum. Arrow keys move it.",
    name: "cf-start cf-data",
    drag: (event) => move(contour.at(event)),
    arrows: (dx, dy) => move([now[0] + (dx * (x1 - x0)) / 200, now[1] + (dy * (x1 - x0)) / 200]),
  });
  make(ring.node, "path", "cf-solution", { d: "M-5,0h10M0,-5v10" });
  const draw = (name, points) => set(curves[name], { d: through(points.map(contour.pixel)) });

  return {
    draw({ place, decay, minimum, solution: end, kept }) {
      now = minimum;
      const radius = Math.hypot(...end);
      const loss = code.bowl(...end, ...place);
      const axes = code.eigenvectors(place[3]);
      draw(
        "circle",
        PHASES.map((phase) => [radius * Math.cos(phase), radius * Math.sin(phase)]),
      );
      draw(
        "touching",
        PHASES.map((phase) => code.level_curve(phase, ...place, loss)),
      );
      draw("trace", [minimum, ...TRACE.map((strength) => code.ridge_minimum(...place, strength)), [0, 0]]);
      ["along", "across"].forEach((name, k) => {
        const axis = axes.slice(2 * k, 2 * k + 2);
        const size = axis[0] * minimum[0] + axis[1] * minimum[1];
        draw(`whole-${name}`, [[0, 0], axis.map((a) => a * size)]);
        draw(name, [[0, 0], axis.map((a) => a * size * kept[k])]);
      });
      const [[zx, zy], [sx, sy], [dx, dy]] = [[0, 0], end, minimum].map(contour.pixel);
      set(curves.zero, { d: `M${zx - 3},${zy}a3,3 0 1,0 6,0a3,3 0 1,0 -6,0` });
      set(solution, { d: `M${sx - 6},${sy}h12M${sx},${sy - 6}v12` });
      set(words[0], { x: dx + 12, y: dy - 8 });
      set(words[1], { x: sx + 8, y: sy - 8 });
      set(words[2], { x: zx - 14, y: zy + 14 });
      const covered = Math.hypot(sx - dx, sy - dy) < NEAR || Math.hypot(sx - zx, sy - zy) < NEAR;
      words[1].style.display = covered ? "none" : "";
      ring.place(dx, dy, `x ${showChosen(minimum[0])}, y ${showChosen(minimum[1])}`, minimum[0]);
    },
  };
}

/**
 * What is left along each eigenvector, and of the norm, over the strength of the decay: { resize(width), draw(state) }.
 */
export function sharesPlot(parent, [low, high]) {
  const margins = { height: 186, top: 22, right: 10, bottom: 38, left: 44 };
  const plot = linePlot(parent, {
    title: "share that is left",
    foot: "weight decay λ",
    name: "cf-loss-plot cf-shares",
    ...margins,
  });
  const over = make(plot.inside, "g");
  const dots = SHARES.map((name) => make(over, "circle", `cf-dot-${name}`, { r: 4 }));
  const words = ["valley", "across", "norm"].map((text, k) => write(over, "text", `cf-word-${SHARES[k]}`, text));
  const strengths = Array.from({ length: 81 }, (_, k) => low * (high / low) ** (k / 80));
  const yAxis = { y: [0, 1], yLog: false, yTicks: [0, 0.5, 1], yFormat: (v) => `${100 * v}%` };

  function draw({ decay, kappa, share, norm }) {
    const { x, y } = plot.frame({ x: [low, high], xLog: true, xFormat: digitsOrPower, ...yAxis });
    const values = [(strength) => share(1, strength), (strength) => share(kappa, strength), norm];
    const place = x(Math.min(high, Math.max(low, decay)));
    plot.curves(values.map((f, k) => ({ name: `cf-${SHARES[k]}`, d: through(strengths.map((s) => [x(s), y(f(s))])) })));
    values.forEach((value, k) => set(dots[k], { cx: place, cy: y(value(decay)) }));
    const half = strengths.find((strength) => norm(strength) < 0.5) ?? high;
    [
      [0.4, "end"],
      [1.2 * Math.min(kappa, 20), "start"],
      [half, "end"],
    ].forEach(([strength, anchor], k) =>
      set(words[k], {
        x: x(strength) + (anchor === "end" ? -8 : 8),
        y: y(values[k](strength)) + 4,
        "text-anchor": anchor,
      }),
    );
    plot.mark(place);
    const [along, across, whole] = values.map((value) => percent(value(decay)));
    plot.say(
      `What is left of the data's minimum over the weight decay. At ${showChosen(decay)}: ` +
        `along the valley ${along}, across it ${across}, of the norm ${whole}.`,
    );
  }

  return { ...plot, draw: (state) => plot.draw(() => draw(state)) };
}
