"""A map as a page computes it: the shader beside the same traced program in JavaScript on one thread, both in Chromium."""

import statistics

from benchmarks.page import chromium
from benchmarks.table import Row
from course_lib.formulas import adam, rosenbrock
from course_lib.widgets import Map
from course_lib.widgets.kit.bundle import FOLDER

CELLS, STEPS, REPEATS = 512, 200, 3

_MEASURE = """async ({ texts, shader, code, spec, x, y, start, values, steps, goal, bound, repeats }) => {
  const load = (text) => import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  const [{ gpu }, { scan }, traced] = await Promise.all([...texts, code].map(load));
  const hyper = Object.fromEntries(spec.hyper.map((name) => [name, values[name]]));
  const job = () => ({ x: Float32Array.from(x), y: Float32Array.from(y), axes: spec.axes.map((a) => a.name), hyper, values: Object.values(hyper), surface: spec.surface, start, steps, goal, lowest: 0, bound });
  const chip = gpu({ shader, lost() {} }), times = { gpu: [], scan: [] };
  const run = { gpu: () => chip.compute(job(), 0, y.length), scan: () => scan(traced, job(), 0, y.length) };
  for (let k = 0; k <= repeats; k++)
    for (const [name, work] of Object.entries(run)) {
      const began = performance.now();
      work();
      if (k) times[name].push(performance.now() - began); // the first call compiles
    }
  const gl = document.createElement("canvas").getContext("webgl2"), known = gl.getExtension("WEBGL_debug_renderer_info");
  return { ...times, chip: known ? gl.getParameter(known.UNMASKED_RENDERER_WEBGL) : "a graphics chip that has no name" };
}"""


def rows() -> list[Row]:
    """The ratio of the medians."""
    fig = Map(adam, rosenbrock, x="lr", y="beta1", steps=STEPS)
    x, y = (z.tolist() for z in fig.places(CELLS, CELLS))
    given = {
        "texts": [(FOLDER / "figures" / "maps" / name).read_text("utf8") for name in ("map_gpu.js", "map_cpu.js")],
        "shader": fig.shader,
        "code": fig.code,
        "spec": fig.spec,
        "x": x,
        "y": y,
        "start": fig.start,
        "values": fig.hyper,
        "steps": STEPS,
        "goal": fig.goal,
        "bound": fig.spec["bound"],
        "repeats": REPEATS,
    }
    with chromium() as browser:
        page = browser.new_page()
        page.goto("about:blank")
        found = page.evaluate(_MEASURE, given)
    ours, theirs = (statistics.median(found[name]) for name in ("gpu", "scan"))
    note = f"{ours / 1000:.2g} and {theirs / 1000:.2g} s, {found['chip']}"
    return [
        Row(
            f"map of {CELLS} × {CELLS} runs × {STEPS} steps, Adam on Rosenbrock: against JavaScript on one thread",
            theirs / ours,
            "times",
            at_least=3,
            note=note,
        )
    ]
