// LayoutChooser: the days of a training by layout, GPUs and topology, as stacked bars by the traced formulas; slide 61's
// table beside them.
import { keyItem } from "../kit/colors.js";
import { choice, headline } from "../kit/controls.js";
import { make, set, show, showChosen, write } from "../kit/kit.js";
import { linePlot } from "../kit/line_plot.js";
import { live } from "../kit/live.js";

export const PARTS = [
  ["computing", "var(--cf-computing)"],
  ["gradients", "var(--cf-gradients)"],
  ["maps", "var(--cf-maps)"],
];
const WIDTH = 0.62; // of a bar, in GPUs
const NEAR = 0.005; // relative: the bandwidth is the slide's

export const render = live({
  label: "Days of a training by layout",
  name: "cf-costs cf-layouts",
  traits: (spec) => ["parallelism", "topology", "n", ...spec.controls.map((c) => c.name)],
  build(stage) {
    const { spec, code, root, put, columns, sliders, reset, fit } = stage;
    const bar = make(root, "div", "cf-costs-bar");
    const text = (words) => ({ text: words, name: "cf-choice cf-costs-choice" });
    const choose = (layout) => put({ parallelism: layout, n: possible(spec.shapes[layout], stage.state().n) });
    const layouts = choice(bar, "Layout", spec.layouts, choose, text("layout"));
    const topologies = choice(bar, "Topology", spec.topologies, (topology) => put({ topology }), text("topology"));
    const [main, side] = columns();
    const plot = linePlot(main, { title: "days", foot: "GPUs", height: 270, bottom: 38, left: 44 });
    key(main);
    const box = make(side, "div", "cf-results", { role: "status" });
    const whole = headline(box, "var(--cf-fg)", { label: "", number: "", unit: "" }, { live: false });
    const all = Array.from({ length: spec.most }, (_, k) => String(k + 1));
    const counts = choice(side, "GPUs", all, (n) => put({ n: +n }), text("GPUs"));
    sliders(side);
    reset(side);
    const rows = table(root, spec.rows);
    fit(main, plot, true);

    const parts = (topology, [groups, members], bandwidth, speed) => {
      const [compute, gradients, maps] = spec.constants;
      return code[topology](compute / speed, gradients, maps, groups, members, bandwidth / spec.fitted);
    };
    return ({ parallelism: layout, topology, n, bandwidth, speed }) => {
      const shapes = spec.shapes[layout];
      layouts.mark(layout);
      topologies.mark(topology);
      counts.mark(String(n));
      for (const node of counts.box.querySelectorAll("button")) node.disabled = !(node.textContent in shapes);
      const bars = Object.entries(shapes).map(([k, shape]) => [+k, [...parts(topology, shape, bandwidth, speed)]]);
      const alone = sum(parts(topology, [1, 1], bandwidth, speed));
      const here = bars.find(([k]) => k === n)[1];
      const total = sum(here);
      whole.show({
        label: `${n} GPU${n > 1 ? "s" : ""}, ${spec.layouts[layout]}`,
        number: `${show(total)} days`,
        unit: `${show(alone / total)} times as fast as one`,
      });
      const same = speed === 1 && Math.abs(bandwidth / spec.fitted - 1) < NEAR;
      const measured = same ? spec.rows.filter((row) => fits(row, shapes)) : [];
      plot.draw(() => draw(plot, bars, n, measured, spec.most));
      rows((row) => sum(parts(topology, [row.groups, row.members], spec.fitted, 1)));
      const words = PARTS.map(([name], k) => `${name} ${show(here[k])}`).join(", ");
      plot.say(
        `Stacked bars of days over the number of GPUs, ${spec.layouts[layout]} layout, ${spec.topologies[topology]}, ` +
          `${showChosen(bandwidth)} GB/s: with ${n} GPUs ${show(total)} days (${words}). ` +
          bars.map(([k, days]) => `${k}: ${show(sum(days))}`).join("; "),
      );
    };
  },
});

const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
const fits = ({ groups, members }, shapes) => {
  const [g, m] = shapes[groups * members] ?? [];
  return g === groups && m === members;
};

/** The number of GPUs that a layout can have, if not n then the nearest smaller one, or the smallest. */
function possible(shapes, n) {
  const counts = Object.keys(shapes).map(Number);
  return counts.includes(n) ? n : (counts.filter((k) => k < n).at(-1) ?? counts[0]);
}

/** The bars, a frame around the chosen one, and crosses where the slide says something. */
function draw(plot, bars, n, measured, most) {
  const top = 1.08 * Math.max(...bars.map(([, days]) => sum(days)), ...measured.map((row) => row.days));
  const axes = { x: [0.5, most + 0.5], y: [0, top], yLog: false };
  const { x, y } = plot.frame({ ...axes, xTicks: bars.map(([k]) => k), xFormat: String });
  const rect = (k, low, high) => `M${x(k - WIDTH / 2)},${y(low)}V${y(high)}H${x(k + WIDTH / 2)}V${y(low)}Z`;
  const stacks = PARTS.map(([name, color], part) => {
    const d = bars.map(([k, days]) => rect(k, sum(days.slice(0, part)), sum(days.slice(0, part + 1)))).join("");
    return { d, color, name: `cf-stack cf-stack-${name}` };
  });
  const chosen = { d: rect(n, 0, sum(bars.find(([k]) => k === n)[1])), name: "cf-frame", color: "" };
  const cross = ({ groups, members, days }) => {
    const [a, b] = [x(groups * members), y(days)];
    return `M${a - 6},${b - 6}L${a + 6},${b + 6}M${a - 6},${b + 6}L${a + 6},${b - 6}`;
  };
  const crosses = { d: measured.map(cross).join(""), name: "cf-measured", color: "" };
  plot.curves([...stacks, chosen, crosses]);
}

/** What the colors and the crosses mean. */
function key(parent) {
  const box = make(parent, "div", "cf-costs-key");
  for (const [name, color] of PARTS)
    keyItem(box, "cf-costs-item", name, [14, 12], (svg) => {
      make(svg, "path", "cf-stack", { d: "M0,0H12V12H0Z" }).style.setProperty("--rule", color);
    });
  keyItem(box, "cf-costs-item", "slide 61", [14, 12], (svg) => {
    make(svg, "path", "cf-measured", { d: "M1,1L11,11M1,11L11,1" });
  });
}

/** Slide 61 and the model; returns a function of (row) => days that fills the model's columns. */
function table(parent, rows) {
  const node = make(parent, "table", "cf-costs-table");
  write(node, "caption", "", "Slide 61: days for 100 epochs, modeled with its hardware and the chosen topology");
  const head = make(make(node, "thead"), "tr");
  ["", "slide", "model", "error"].forEach((word) => write(head, "th", "", word, { scope: "col" }));
  const body = make(node, "tbody");
  const cells = rows.map((row) => {
    const line = make(body, "tr");
    write(line, "th", "", row.words, { scope: "row" });
    write(line, "td", "", row.days.toFixed(1));
    return [row, make(line, "td"), make(line, "td")];
  });
  return (model) => {
    for (const [row, days, error] of cells) {
      const [value, apart] = [model(row), 100 * (model(row) / row.days - 1)];
      days.textContent = value.toFixed(2);
      const rounded = Math.abs(apart) < 0.05 ? 0 : apart;
      error.textContent = `${rounded > 0 ? "+" : rounded < 0 ? "−" : ""}${Math.abs(rounded).toFixed(1)}%`;
      set(error, { class: Math.abs(apart) > 10 ? "cf-costs-wrong" : "" });
    }
  };
}
