// The picture of Ring: a row for each machine, a box for each part of its array, a bar for what it has sent.
import { make, set, show, write } from "../kit/kit.js";

const [TOP, ROW, LEFT, GAP] = [22, 34, 74, 14];

/** { resize(width), draw({ now, before, sent, most, n }), say(words) }. */
export function ringPlot(parent) {
  const svg = make(parent, "svg", "cf-allreduce-plot", { role: "img" });
  const names = ["boxes", "partial", "whole", "arrived", "bars"];
  const paths = Object.fromEntries(names.map((name) => [name, make(svg, "path", `cf-allreduce-${name}`)]));
  const words = make(svg, "g");
  let width = 500;

  function draw({ now, before, sent, most, n }) {
    const cells = 0.64 * (width - LEFT);
    const [side, bar] = [cells / n, width - LEFT - cells - GAP];
    const d = { boxes: "", partial: "", whole: "", arrived: "", bars: "" };
    words.replaceChildren();
    set(svg, { width, height: TOP + n * ROW });
    write(words, "text", "cf-title", "parts of the array", { x: LEFT, y: 13 });
    write(words, "text", "cf-title", "MB sent", { x: LEFT + cells + GAP, y: 13 });
    now.forEach((row, rank) => {
      const y = TOP + rank * ROW;
      write(words, "text", "cf-title", `machine ${rank}`, { x: 0, y: y + ROW / 2 + 2 });
      row.forEach((held, chunk) => {
        const x = LEFT + chunk * side;
        const box = rectangle(x + 2, y + 3, side - 4, ROW - 8);
        d.boxes += box;
        if (held.count !== before[rank][chunk].count) d.arrived += box;
        if (held.count === n) d.whole += box;
        else d.partial += stripes(held, n, x + 3, y + 4, side - 6, ROW - 10);
      });
      const long = most ? (bar * sent[rank]) / most : 0;
      d.bars += rectangle(LEFT + cells + GAP, y + ROW - 9, long, 4);
      write(words, "text", "cf-allreduce-sent", show(sent[rank]), { x: LEFT + cells + GAP, y: y + ROW - 14 });
    });
    for (const name of names) set(paths[name], { d: d[name] });
  }

  return {
    draw,
    resize: (now) => (width = now),
    say: (text) => set(svg, { "aria-label": text }),
  };
}

const rectangle = (x, y, w, h) => `M${x.toFixed(1)},${y.toFixed(1)}h${w.toFixed(1)}v${h}h${(-w).toFixed(1)}Z`;

/** One stripe for each machine in the sum, in its place. */
function stripes({ first, count }, n, x, y, w, h) {
  const each = w / n;
  const ranks = Array.from({ length: count }, (_, k) => (first + k) % n);
  return ranks.map((rank) => rectangle(x + rank * each + 0.5, y, Math.max(each - 1, 1), h)).join("");
}
