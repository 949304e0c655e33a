// The map of a race: a row for each rule, a column for each rate, the color says how many steps it takes to the goal.
import { axisBottom, scaleLog, select } from "../kit/vendor/d3.js";
import { keyItem, logShare, ramp, roundRange, shade } from "../kit/colors.js";
import { DIVERGED, ENDS, NOT_SETTLED } from "../kit/ends.js";
import { make, onArrows, showChosen } from "../kit/kit.js";
import { tenTo } from "../kit/line_plot.js";

const ROW = 24, // a smaller button is hard to hit
  FOOT = 38;
const COLORED = [1, 1000]; // steps, at the bright and at the dark end of the colors, before anything is computed

/**
 * `choose(names)` is called when rules are switched on or off, `pick([rule, column])` when a cell is pressed,
 * `pick([])` when it is let go; the legend stands in `key`, the words about a cell in `say`. Returns { box, resize(width), paint(rows), mark(chosen, rows, picked), say(words) }.
 */
export function raceMap(parent, spec, { choose, pick, key, say }) {
  const lines = spec.groups.flatMap((group) => [{ group }, ...group.rules.map((name) => ({ name }))]);
  const rows = new Map(lines.map((line, k) => [line.name, k])),
    rates = spec.rates;
  const whole = make(parent, "div", "cf-race-map");
  const chips = make(whole, "div", "cf-chips"),
    box = make(whole, "div");
  const height = lines.length * ROW;
  const node = make(box, "svg", "", { role: "group", height: height + FOOT });
  const back = make(node, "rect", "cf-glass", { height, fill: "none" });
  const cells = make(node, "g"),
    crosses = make(node, "path", "cf-crosses"),
    defaults = make(node, "path", "cf-default"),
    tuned = make(node, "g"),
    good = make(node, "path", "cf-good");
  const axis = make(node, "g", "cf-axis", { transform: `translate(0,${height})` });
  const title = make(node, "text", "cf-title", { y: height + FOOT - 6, "text-anchor": "end" });
  title.textContent = "learning rate η";
  const ring = make(node, "rect", "cf-cell cf-start", {
    tabindex: 0,
    role: "slider",
    "aria-label": "Cell of the map. Arrow keys move it, Escape lets it go.",
    height: ROW - 2,
    rx: 2,
  });
  const note = make(say, "p", "cf-note cf-race-say");
  const colored = legend(key);
  let width = 0,
    now = { chosen: [], rows: {}, picked: [] };
  // the rules in the race; this and now.picked change at once, as the next key may come before the next frame
  let wanted = [];
  const take = (picked) => pick((now.picked = picked)),
    turn = (names) => choose((wanted = names));
  const cell = () => width / rates.length,
    left = (column) => column * cell();
  const place = (lr) => (Math.log(lr / rates[0]) / Math.log(rates[1] / rates[0]) + 0.5) * cell();

  const buttons = lines.map(({ group, name }) => {
    const chip = make(chips, "button", group ? "cf-chip cf-chip-group" : "cf-chip", {
      type: "button",
      style: `height:${ROW}px`,
    });
    chip.textContent = group ? group.title : spec.rules[name].label;
    if (name) chip.style.setProperty("--rule", spec.rules[name].color);
    chip.title = group ? "All of them, or none" : "In the race, or not";
    chip.addEventListener("click", () => {
      const own = group ? group.rules : [name],
        all = own.every((rule) => wanted.includes(rule));
      turn(all ? wanted.filter((rule) => !own.includes(rule)) : [...wanted, ...own]);
    });
    return chip;
  });

  const running = () => lines.filter(({ name }) => now.chosen.includes(name)).map(({ name }) => name);
  const single = (name) => spec.rules[name].lr === null;
  const bestOf = (name) => (now.rows[name] ?? []).reduce((k, run, j, row) => (run.steps < row[k].steps ? j : k), 0);
  node.addEventListener("click", (event) => {
    const area = back.getBoundingClientRect();
    const { name } = lines[Math.floor((event.clientY - area.top) / ROW)] ?? {};
    if (!name || !now.chosen.includes(name)) return;
    const column = single(name)
      ? 0
      : Math.min(rates.length - 1, Math.max(0, Math.floor((event.clientX - area.left) / cell())));
    take(now.picked[0] === name && now.picked[1] === column ? [] : [name, column]);
  });
  onArrows(ring, (dx, dy) => {
    const names = running();
    if (!names.length) return;
    const [rule = names[0], column = bestOf(names[0])] = now.picked;
    const name = names[Math.min(names.length - 1, Math.max(0, names.indexOf(rule) - Math.sign(dy)))];
    take([
      name,
      single(name)
        ? 0
        : Math.min(rates.length - 1, Math.max(0, (single(rule) ? bestOf(name) : column) + Math.sign(dx))),
    ]);
  });
  ring.addEventListener("keydown", (event) => event.key === "Escape" && take([]));

  function paint() {
    const drawn = running()
      .filter((name) => now.rows[name])
      .flatMap((name) => now.rows[name].map((run, column) => ({ name, run, column })));
    const span = ({ name }) => (single(name) ? width : cell());
    const arrived = drawn.filter(({ run }) => run.steps < Infinity).map(({ run }) => Math.max(1, run.steps));
    const range = roundRange(arrived) ?? COLORED;
    colored(range);
    const color = (steps) => shade(logShare(Math.max(1, steps), ...range));
    select(cells)
      .selectAll("rect")
      .data(drawn)
      .join("rect")
      .attr("x", (d) => left(d.column))
      .attr("y", (d) => rows.get(d.name) * ROW + 1)
      .attr("width", span)
      .attr("height", ROW - 2)
      .attr("class", ({ run }) => (run.lost >= 0 ? "cf-lost" : run.steps === Infinity ? "cf-late" : ""))
      .attr("fill", ({ run }) => (run.steps < Infinity ? color(run.steps) : null));
    crosses.setAttribute(
      "d",
      drawn
        .filter(({ run }) => run.lost >= 0)
        .map((d) => {
          const x = left(d.column) + span(d) / 2,
            y = (rows.get(d.name) + 0.5) * ROW;
          return `M${(x - 2.5).toFixed(1)},${y - 2.5}l5,5M${(x - 2.5).toFixed(1)},${y + 2.5}l5,-5`;
        })
        .join(""),
    );
  }

  return {
    box,
    resize(total) {
      width = total - 10;
      node.setAttribute("width", total);
      back.setAttribute("width", width);
      title.setAttribute("x", width);
      const x = scaleLog([rates[0], rates.at(-1)], [cell() / 2, width - cell() / 2]);
      const powers = x.ticks().filter((v) => Number.isInteger(Math.round(Math.log10(v) * 1e6) / 1e6));
      select(axis).call(axisBottom(x).tickValues(powers).tickFormat(tenTo).tickSize(4).tickSizeOuter(0));
      paint();
    },
    paint(scanned) {
      now.rows = scanned;
      paint();
    },
    mark(chosen, scanned, picked) {
      const before = now.chosen.join();
      wanted = chosen;
      now = { chosen, rows: scanned, picked: picked[0] ? picked : [] };
      if (before !== chosen.join()) paint();
      buttons.forEach((chip, k) => {
        const own = lines[k].group ? lines[k].group.rules : [lines[k].name];
        chip.setAttribute(
          "aria-pressed",
          own.every((rule) => chosen.includes(rule)),
        );
      });
      const rated = running().filter((name) => !single(name));
      defaults.setAttribute(
        "d",
        rated
          .filter((name) => spec.rules[name].lr >= rates[0] && spec.rules[name].lr <= rates.at(-1))
          .map((name) => `M${place(spec.rules[name].lr).toFixed(1)},${(rows.get(name) + 0.5) * ROW}h0`)
          .join(""),
      );
      const winners = rated.filter((name) => now.rows[name]?.[bestOf(name)].steps < Infinity);
      select(tuned)
        .selectAll("rect")
        .data(winners)
        .join("rect")
        .attr("class", "cf-tuned")
        .attr("rx", 2)
        .attr("x", (name) => left(bestOf(name)) + 1)
        .attr("y", (name) => rows.get(name) * ROW + 2)
        .attr("width", Math.max(1, cell() - 2))
        .attr("height", ROW - 4);
      good.setAttribute(
        "d",
        winners
          .map((name) => {
            const most = 2 * now.rows[name][bestOf(name)].steps,
              y = (rows.get(name) + 1) * ROW - 3.5;
            return now.rows[name]
              .map(({ steps }, k) => (steps <= most ? `M${left(k).toFixed(1)},${y}h${cell().toFixed(1)}` : ""))
              .join("");
          })
          .join(""),
      );
      const [rule = running()[0], column = rule ? bestOf(rule) : 0] = now.picked;
      ring.classList.toggle("cf-idle", !now.picked.length);
      if (rule) {
        ring.setAttribute("x", left(column));
        ring.setAttribute("y", rows.get(rule) * ROW + 1);
        ring.setAttribute("width", single(rule) ? width : cell());
        ring.setAttribute("aria-valuenow", column);
      }
      node.setAttribute(
        "aria-label",
        `Map: steps to the goal for ${rates.length} learning rates, by rule. ${rated
          .filter((name) => now.rows[name])
          .map((name) => {
            const row = now.rows[name],
              count = (test) => row.filter(test).length;
            const [there, gone] = [count((r) => r.steps < Infinity), count((r) => r.lost >= 0)];
            return `${spec.rules[name].label}: reaches it at ${there}, has not settled at ${row.length - there - gone}, diverges at ${gone}`;
          })
          .join(". ")}.`,
      );
    },
    say(words) {
      note.textContent = words
        ? `${words} Press it again to see all.`
        : "Press a cell to see its path and its loss alone.";
      ring.setAttribute("aria-valuetext", words || "no cell chosen");
    },
  };
}

/** The legend; returns a function of the range of steps that is colored. */
function legend(parent) {
  const box = make(parent, "div", "cf-race-legend", { role: "img" });
  const colored = ramp(box, {});
  const square = { x: 1, y: 1, width: 14, height: 14 };
  const draw = {
    "cf-late": (mark) => make(mark, "rect", "cf-late", square),
    "cf-lost"(mark) {
      make(mark, "rect", "cf-lost", square);
      make(mark, "path", "cf-crosses", { d: "M5.5,5.5l5,5M5.5,10.5l5,-5" });
    },
    "cf-default": (mark) => make(make(mark, "g"), "path", "cf-default", { d: "M8,8h0" }),
    "cf-tuned": (mark) => make(mark, "rect", "cf-tuned", { ...square, rx: 2 }),
    "cf-good": (mark) => make(mark, "path", "cf-good", { d: "M1,8h14" }),
  };
  const ends = [NOT_SETTLED, DIVERGED].map((end) => `${ENDS[end].mark} ${ENDS[end].name}`);
  const texts = [...ends, "default", "best", "at most twice its steps"];
  Object.values(draw).forEach((how, k) => keyItem(box, "cf-race-key", texts[k], [16, 16], how));
  return ([low, high]) => {
    const marks = [`${showChosen(low)}, fast`, `${showChosen(high)} steps, slow`];
    colored.show(marks, "");
    box.setAttribute(
      "aria-label",
      `Colors: from ${low} steps to the goal, bright, to ${high}, dark; gray: not settled; with a cross: diverged. ` +
        "The dot is the default rate, the frame the best, the line the rates that need at most twice its steps.",
    );
  };
}
