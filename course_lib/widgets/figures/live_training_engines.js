// Who trains: a worker of the page, the page itself where workers are not allowed, or a kernel.
import { batches, shuffle, uniform } from "./mini_batch_draws.js";
import { trainingRun } from "./live_training_run.js";

const SLICE = 50; // milliseconds of training between two reports
const IN_PAGE = 12; // where the page itself trains, and must stay alive

/**
 * Trains `slice` milliseconds at a time. Its text is also the worker's: it uses nothing but its arguments. `post(report)`
 * takes what is to be shown. Returns a function of the orders, { do, settings }.
 */
function trainer(makeRun, slice, post) {
  let run = null;
  let running = false;
  let lost = null;
  const channel = new MessageChannel(); // a timer would wait 4 ms
  channel.port1.onmessage = train;

  function tell(speed = null) {
    post({ ...run.report(), lost, speed, running });
  }

  function once() {
    if (!Number.isFinite(run.step())) {
      lost = run.t;
      running = false;
    }
  }

  function train() {
    if (!running) return;
    const begin = performance.now();
    let steps = 0;
    for (; running && performance.now() < begin + slice; steps++) once();
    tell((1000 * steps) / (performance.now() - begin));
    if (running) channel.port2.postMessage(null);
  }

  return ({ data: order }) => {
    if (order.settings) run ? run.change(order.settings) : (run = makeRun(order.settings));
    if (order.do === "start" && !running && lost === null) {
      running = true;
      channel.port2.postMessage(null);
    } else if (order.do === "pause") {
      running = false;
    } else if (order.do === "step") {
      if (lost === null) once();
      tell();
    } else if (order.do === "reset") {
      lost = null;
      run.reset();
      tell();
    } else if (order.do === "report") tell();
  };
}

/** Training in the page's own worker, from the traced `code`, of this `text`; `onReport` takes each report. */
export function pageEngine({ code, text, setup }, settings, onReport) {
  const make = inWorker({ text, code, setup }, onReport) ?? inPage({ code, setup }, onReport);
  make.order({ do: "report", settings });
  return make;
}

function inWorker({ text, code, setup }, onReport) {
  const source = `${text.replace(/^export /gm, "")}
const code = { ${Object.keys(code).join()} };
${[shuffle, uniform, batches, trainingRun, trainer].join("\n")}
onmessage = (event) => {
  const setup = event.data;
  onmessage = trainer((first) => trainingRun(code, { uniform, batches }, setup, first), ${SLICE}, (report) => postMessage(report));
};`;
  try {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(url);
    worker.onmessage = ({ data }) => onReport(data);
    worker.postMessage(setup);
    return {
      order: (order) => worker.postMessage(order),
      close() {
        worker.terminate();
        URL.revokeObjectURL(url);
      },
    };
  } catch {
    return null; // a strict policy of the site allows none: the page trains, in shorter slices
  }
}

function inPage({ code, setup }, onReport) {
  const take = trainer((first) => trainingRun(code, { uniform, batches }, setup, first), IN_PAGE, onReport);
  return { order: (order) => take({ data: order }), close: () => take({ data: { do: "pause" } }) };
}

/** Training in the kernel: settings and `running` are traits, which arrive by themselves. */
export function kernelEngine(model, onReport) {
  const listen = (content) => content.report && onReport({ ...content.report, running: model.get("running") });
  model.on("msg:custom", listen);
  const order = (told) => told.do !== "start" && told.do !== "pause" && told.do && model.send({ do: told.do });
  order({ do: "report" });
  return { order, close: () => model.off("msg:custom", listen) };
}
