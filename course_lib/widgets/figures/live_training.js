// LiveTraining: a network learns digits while the reader changes what trains it.
import { button, choice, headline, select, slider } from "../kit/controls.js";
import { inflate, inflateBytes } from "../kit/inflate.js";
import { make, put } from "../kit/kit.js";
import { live } from "../kit/live.js";
import { kernelEngine, pageEngine } from "./live_training_engines.js";
import { history } from "./live_training_history.js";
import { plots } from "./live_training_plots.js";
import { samples } from "./live_training_samples.js";

const SETTINGS = "rule hyper batch schedule total warm shift noise initialization activation seed".split(" ");
const AT_THE_BEGINNING = ["initialization", "activation", "seed"];

export const render = live({
  label: "A network that is trained live",
  name: "cf-training",
  traits: [...SETTINGS, "running"],
  unpack: inflate,
  build(stage) {
    const { model, spec, code, root, columns, onEnd, fit } = stage;
    const [main, side] = columns();
    const drawing = plots(main);
    const digits = samples(main, spec);
    const answer = headline(side, "var(--cf-accent)", { label: "", number: "", note: "" }, { live: false });
    const buttons = commands(side, stage, (order) => tell(order));
    const controls = settingsOf(side, stage);
    const past = history();
    let engine = null;
    let last = null;
    let told = "";

    function tell(order) {
      if (order.do === "reset") past.clear();
      engine?.order(order);
    }

    function take(report) {
      last = report;
      past.add(report);
      if (!report.running && model.get("running") && report.lost !== null) put(model, { running: false });
      stage.ask();
    }

    const settings = () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));

    async function begin() {
      const bytes = await inflateBytes(model.get("digits"));
      digits.draw(
        bytes.subarray(bytes.length - (spec.where === "page" ? spec.validation : spec.shown) * spec.side ** 2),
      );
      if (spec.where === "kernel") return kernelEngine(model, take);
      const setup = { ...spec, digits: pageDigits(bytes, spec), states: statesOf(spec) };
      return pageEngine({ code, text: await inflate(model.get("code")), setup }, settings(), take);
    }

    begin().then((made) => {
      engine = made;
      stage.ask();
    });
    const watching = onScreen(root, (seen) => spec.where === "page" && follow(seen));
    let seen = true;
    let going = false;

    function follow(now) {
      seen = now;
      drive(); // at once: a hidden page draws no frame
    }

    /** Train while the reader wants it and sees it. */
    function drive() {
      const go = model.get("running") && seen;
      if (engine && go !== going) engine.order({ do: go ? "start" : "pause" });
      going = engine ? go : false;
    }

    onEnd(() => {
      watching();
      put(model, { running: false });
      engine?.order({ do: "pause" });
      engine?.close();
    });
    fit(main, [drawing]);

    return (now) => {
      const text = JSON.stringify(SETTINGS.map((name) => now[name]));
      if (engine && text !== told) {
        if (told && last) past.changed(last.t);
        told = text;
        engine.order({ settings: settings() });
      }
      drive();
      controls.draw(now);
      buttons.draw(now, last);
      if (!last) return;
      answer.show(words(last, spec, now), last.lost !== null);
      digits.show(last);
      drawing.draw(past, last, spec.rules[now.rule].color);
      root.dataset.t = last.t;
    };
  },
});

const statesOf = ({ rules }) => Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, rule.states]));

/** The digits as numbers from 0 to 1. */
function pageDigits(bytes, { labels, train, validation }) {
  return { pixels: Float64Array.from(bytes, (x) => x / 16), labels: Int32Array.from(labels), train, validation };
}

function words(last, spec, { batch, running }) {
  const number = last.accuracy === null ? "?" : `${(100 * last.accuracy).toFixed(1)}%`;
  const note =
    last.lost !== null
      ? `diverged at step ${last.lost}: reset, and take a smaller rate`
      : running && last.speed
        ? `step ${last.t}, ${Math.round(last.speed)} a second (${Math.round(last.speed * batch)} digits) on ${spec.device}`
        : `step ${last.t}, on ${spec.device}`;
  return { number, label: `of ${spec.validation} new digits are named rightly`, note };
}

/** Start, step, reset. */
function commands(parent, { model, spec }, tell) {
  const box = make(parent, "div", "cf-buttons");
  const go = button(box, "Start", "Train, and go on until you pause", () =>
    put(model, { running: !model.get("running") }),
  );
  const one = button(box, "Step", "One step of training", () => tell({ do: "step" }));
  button(box, "Begin again", "New weights, and the first step", () => tell({ do: "reset" }));
  button(box, "Settings back", "The settings of the start", () => put(model, structuredClone(spec.initial)));
  return {
    draw({ running }, last) {
      go.textContent = running ? "Pause" : "Start";
      go.setAttribute("aria-pressed", running);
      for (const node of [go, one]) node.setAttribute("aria-disabled", !running && last?.lost != null);
    },
  };
}

/** The lists, choices and sliders; returns { draw(state) }. */
function settingsOf(parent, { model, spec }) {
  const labels = (names) => Object.fromEntries(names.map((name) => [name, spec.rules[name].label]));
  const remembered = {}; // a rule that comes back has the hyperparameters that it had
  const groups = spec.groups.map(([title, names]) => [title, labels(names)]);
  const rule = select(parent, "optimizer", groups, (name) => {
    remembered[model.get("rule")] = model.get("hyper");
    put(model, { rule: name, hyper: remembered[name] ?? { ...spec.rules[name].hyper } });
  });
  const hyper = hyperSliders(parent, model, spec);
  const batch = choice(parent, "batch size", spec.batches.map(String), (value) => put(model, { batch: +value }), {
    text: "batch",
    title: (word) => `${word} digits a step`,
  });
  const schedule = select(parent, "schedule", spec.schedules, (name) => put(model, { schedule: name }));
  const rows = spec.controls.map((control) => slider(parent, model, control));
  const first = make(parent, "fieldset", "cf-first");
  make(first, "legend").textContent = "from the next beginning on";
  const initialization = select(first, "initialization", spec.initializations, (name) =>
    put(model, { initialization: name }),
  );
  const activation = choice(first, "activation", spec.activations, (name) => put(model, { activation: name }));
  return {
    draw(now) {
      rule.mark(now.rule);
      hyper.draw(now);
      batch.mark(String(now.batch));
      schedule.mark(now.schedule);
      const stretched = now.schedule !== "constant";
      rows[0].hidden = !stretched;
      initialization.mark(now.initialization);
      activation.mark(now.activation);
    },
  };
}

/** The sliders of the rule that trains now: they write into the trait `hyper`. */
function hyperSliders(parent, model, spec) {
  const box = make(parent, "div", "cf-hyper");
  let shown = null;
  let followers = [];
  const scoped = {
    get: (name) => model.get("hyper")[name],
    set: (name, value) => model.set("hyper", { ...model.get("hyper"), [name]: value }),
    save_changes: () => model.save_changes(),
    on: (event, follow) => followers.push(follow),
  };
  return {
    draw({ rule, hyper }) {
      const { controls } = spec.rules[rule];
      if (controls.some(({ name }) => !(name in hyper))) return; // the rule has changed, its numbers are on their way
      if (rule !== shown) {
        shown = rule;
        followers = [];
        box.replaceChildren();
        controls.forEach((control) => slider(box, scoped, control));
      }
      followers.forEach((follow) => follow());
    },
  };
}

/** Call `seen(whether)` when the element comes to the screen or leaves it; returns the function that ends it. */
function onScreen(element, seen) {
  let inside = true;
  const tell = () => seen(inside && !document.hidden);
  const observer = new IntersectionObserver(([entry]) => {
    inside = entry.isIntersecting;
    tell();
  });
  observer.observe(element);
  document.addEventListener("visibilitychange", tell);
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", tell);
  };
}
