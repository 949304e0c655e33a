// TrainingReplay: what was recorded of real trainings, step by step. Nothing is computed.
import { button, choice, headline, scrubber } from "../kit/controls.js";
import { make, put, write } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { plots } from "./live_training_plots.js";

const FRAMES_A_REPORT = 6;

export const render = live({
  label: "Recorded trainings of a network with convolutions",
  name: "cf-training",
  traits: ["run", "seed", "step"],
  build(stage) {
    const { model, spec, columns, reset, onEnd, fit } = stage;
    const [main, side] = columns();
    const drawing = plots(main);
    const answer = headline(side, "var(--cf-accent)", { label: "", number: "", note: "" });
    const names = Object.keys(spec.runs);
    const runs = choice(side, "run", names, (run) => put(model, { run }));
    const seeds = choice(side, "seed", ["0", "1", "2"], (seed) => put(model, { seed: +seed }), { text: "seed" });
    const scrub = scrubber(side, (step) => put(model, { step }));
    const box = make(side, "div", "cf-buttons");
    let frame = 0;
    const go = button(box, "Play", "From the first step, or on", () => (frame ? stop() : play()));
    reset(side, box, stop);
    write(side, "p", "cf-hint", spec.said);

    function play() {
      if (model.get("step") >= spec.steps) put(model, { step: 0 });
      let waited = 0;
      const next = () => {
        if (++waited % FRAMES_A_REPORT === 0)
          put(model, { step: Math.min(spec.steps, model.get("step") + spec.every) });
        frame = model.get("step") < spec.steps ? requestAnimationFrame(next) : 0;
        if (!frame) stop();
      };
      frame = requestAnimationFrame(next);
      go.textContent = "Pause";
    }

    function stop() {
      cancelAnimationFrame(frame);
      frame = 0;
      go.textContent = "Play";
    }

    onEnd(stop);
    fit(main, [drawing]);

    return ({ run, seed, step }) => {
      const all = spec.runs[run][seed];
      const reports = all.slice(0, Math.max(1, Math.floor(step / spec.every)));
      const last = reports.at(-1);
      runs.mark(run);
      seeds.mark(String(seed));
      scrub(step, spec.steps);
      answer.show({
        label: "of the new digits are named rightly",
        number: `${(100 * last.accuracy).toFixed(1)}%`,
        note: `step ${last.t} of ${spec.steps}`,
      });
      drawing.draw({ reports, changes: [] }, last, spec.colors[run]);
    };
  },
});
