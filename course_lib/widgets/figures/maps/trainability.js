// Trainability: a network in every pixel, trained on the reader's graphics chip; and the loss of the one at the ring.
import { headline } from "../../kit/controls.js";
import { load, make, onResize, show } from "../../kit/kit.js";
import { lossPlot } from "../../kit/loss_plot.js";
import { fates, fatesLegend } from "./map_colors.js";
import { mapStage } from "./map_stage.js";

const ZOOM = 2;
const TOP = 1e6; // of the losses that are drawn

/**
 * The shader's results for each network in rows `from` to `to`, by the traced loops. Uses nothing but its arguments: it
 * is also a worker's text.
 */
export function scan({ train }, { x, y, axes, hyper, steps, bound }, from, to) {
  const columns = x.length,
    floats = new Float32Array(4 * columns * (to - from)),
    setting = { ...hyper };
  for (let j = from, at = 0; j < to; j++) {
    setting[axes[1]] = y[j];
    for (let i = 0; i < columns; i++, at += 4) {
      setting[axes[0]] = x[i];
      const losses = train(setting, steps, bound);
      let when = 0,
        total = 0;
      for (; when <= steps && losses[when] <= bound; when++) total += losses[when] / losses[0];
      const lost = when <= steps;
      floats.set([when, lost ? Infinity : losses[steps], total / (steps + 1), lost ? 1 : 0], at);
    }
  }
  return floats;
}

export async function render({ model, el }) {
  const spec = model.get("spec"),
    code = await load(model.get("code"));
  const stage = mapStage({ model, el }, { title: `Map of trainability: ${spec.title}`, factor: ZOOM });
  const { root, bar, side } = stage;
  root.classList.add("cf-trained");
  fatesLegend(bar);
  const result = headline(side, "", { label: "", number: "", note: "" });
  const lossBox = make(side, "div", "cf-far");
  const losses = lossPlot(lossBox, "loss, step by step");
  stage.controls(side, "cf-trained-controls");

  /** The finished picture in words. */
  function words({ floats }) {
    const percent = (u) => `${Math.round((400 * u) / floats.length)} %`;
    let lost = 0,
      trained = 0;
    for (let at = 0; at < floats.length; at += 4) floats[at + 3] ? lost++ : (trained += floats[at + 1] < spec.goal);
    return `Map of trainability over ${stage.over()}. In ${model.get("steps")} steps ${percent(trained)} of the networks reach a loss below ${spec.goal}, ${percent(lost)} diverge.`;
  }

  /** The run at the ring. */
  function draw() {
    const steps = model.get("steps"),
      run = code.train(stage.hyper(), steps, spec.bound),
      when = run.findIndex((z) => !(z <= spec.bound));
    losses.curves([{ color: "var(--cf-own-0)", above: run }], steps, steps, TOP);
    const number = when >= 0 ? "diverges" : run[steps] < spec.goal ? "trains" : "does not settle low";
    const note = when >= 0 ? `at step ${when}` : `loss ${show(run[0])} → ${show(run[steps])}`;
    result.show({ label: `at ${stage.where()}`, number, note }, when >= 0);
    losses.say(`Loss of the network at the ring over ${steps} steps: it ${number}, ${note}.`);
  }

  const paint = fates(); // the same colors in the light and in the dark
  const { close } = stage.begin({
    code,
    scan,
    words,
    draw,
    paint: (...row) => paint(model.get("steps"), ...row),
  });
  const end = onResize(lossBox, losses.resize);
  return () => {
    end();
    close();
  };
}
