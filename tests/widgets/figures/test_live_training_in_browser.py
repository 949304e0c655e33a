"""LiveTraining in a browser: it trains there, as PyTorch does, while the page goes on; and in a kernel, in slices."""

import asyncio
import json

import pytest
from figure_reading import show as shown

from course_lib.experiments.data import digits
from course_lib.experiments.live import LiveRun
from course_lib.widgets import LiveTraining

WITHOUT_WORKERS = "window.Worker = class { constructor() { throw new Error('no workers here'); } };"
FRAMES = """() => new Promise((done) => {
  let longest = 0, before = performance.now();
  const end = before + 1500;
  const frame = () => { const now = performance.now(); longest = Math.max(longest, now - before); before = now;
    now < end ? requestAnimationFrame(frame) : done(longest); };
  requestAnimationFrame(frame);
})"""


@pytest.fixture
def training(show):
    """`training(…, **options)` -> the figure in a page, once its first report is drawn; `settings` are LiveTraining's."""

    def open(settings=None, **options):
        figure = show(LiveTraining(**settings or {}), **options).figures[0]
        wait(figure, "node.dataset.t === '0'")
        return figure

    return open


def wait(figure, condition: str) -> None:
    """Until the condition holds for the figure's root, `node`."""
    figure.page.wait_for_function(
        f"() => {{ const node = document.querySelector('.cf-training'); return {condition}; }}"
    )


def steps(figure) -> int:
    return int(figure.host.locator(".cf-training").get_attribute("data-t"))


def press(figure, name: str) -> None:
    figure.host.get_by_role("button", name=name, exact=True).click()


def run(count: int, **settings) -> dict:
    """The report of PyTorch's run."""
    run = LiveRun(digits(1280, 512), **settings)
    run.step(count)
    return run.report()


def test_a_step_is_pytorch_s(training):
    figure = training({"rule": "sgdw", "lr": 0.5, "batch": 64})
    for k in range(1, 4):
        press(figure, "Step")
        wait(figure, f"node.dataset.t === '{k}'")
    report = run(3, rule="sgdw", hyper={"lr": 0.5}, batch=64)
    assert figure.host.locator(".cf-number").inner_text() == f"{100 * report['accuracy']:.1f}%"
    losses, norms, rates = figure.alt()
    assert f"on validation digits {shown(report['val_loss'])}" in losses
    assert (
        norms
        == f"Norms of the last gradient by layer: W1 {shown(report['norms']['W1'])}, W2 {shown(report['norms']['W2'])}."
    )
    assert rates == "The rate after 3 steps: 0.500."
    words = figure.host.locator(".cf-sample span").all_inner_texts()
    assert [int(w[0]) for w in words] == report["predictions"][:24]


@pytest.mark.parametrize("init", ["", WITHOUT_WORKERS], ids=["in a worker", "in the page"])
def test_it_trains_and_the_page_goes_on(training, init):
    figure = training(init=init) if init else training()
    press(figure, "Start")
    wait(figure, "+node.dataset.t > 20")
    figure.page.evaluate(FRAMES)  # frames are drawn while it trains
    figure.move("lr", 0.0)
    wait(figure, "node.querySelectorAll('.cf-now-line').length > 0")
    press(figure, "Pause")
    figure.settle()
    figure.page.wait_for_timeout(200)
    before = steps(figure)
    figure.page.wait_for_timeout(300)
    assert steps(figure) == before > 20
    assert figure.alt()[2].endswith("1.0×10⁻⁴.")


def test_it_stops_where_nobody_sees_it(training):
    figure = training()
    press(figure, "Start")
    wait(figure, "+node.dataset.t > 5")
    figure.host.evaluate("node => { node.style.marginTop = '9000px'; window.scrollTo(0, 0); }")
    figure.page.wait_for_timeout(500)
    before = steps(figure)
    figure.page.wait_for_timeout(400)
    assert steps(figure) == before
    figure.host.evaluate("node => { node.style.marginTop = '0'; }")
    wait(figure, f"+node.dataset.t > {before}")


def test_a_rule_brings_its_own_sliders_and_comes_back_with_its_numbers(training):
    figure = training()
    figure.move("lr", 1.0)
    figure.host.get_by_label("optimizer").select_option("momentum")
    figure.settle()
    names = figure.host.locator(".cf-hyper input").evaluate_all("nodes => nodes.map((n) => n.name)")
    assert names == ["lr", "momentum"] and figure.value("lr") == 0.1
    figure.host.get_by_label("optimizer").select_option("adam")
    figure.settle()
    assert figure.value("lr") == 1.0 and figure.host.locator(".cf-hyper input").count() == 3


def test_a_run_that_diverges_says_so(training):
    figure = training({"rule": "gradient_descent", "lr": 1e200})
    press(figure, "Start")
    wait(figure, "node.querySelector('.cf-note').textContent.includes('diverged at step')")
    assert figure.host.get_by_role("button", name="Start", exact=True).get_attribute("aria-disabled") == "true"
    assert not figure.page.evaluate("models[0].get('running')")
    press(figure, "Begin again")
    wait(figure, "node.dataset.t === '0' && !node.querySelector('.cf-note').textContent.includes('diverged')")


def test_what_counts_from_the_beginning_on(training):
    figure = training()
    figure.host.get_by_label("initialization").select_option("orthogonal")
    press(figure, "relu")
    press(figure, "Begin again")
    press(figure, "Step")
    wait(figure, "node.dataset.t === '1'")
    report = run(1, initialization="orthogonal", activation="relu")
    assert shown(report["val_loss"]) in figure.alt()[0]
    press(figure, "Settings back")
    figure.settle()
    assert figure.page.evaluate("models[0].get('initialization')") == "xavier_uniform"


# With a kernel


@pytest.fixture
def in_a_kernel(monkeypatch):
    """A figure whose messages to a front end are kept."""
    monkeypatch.delenv("COURSE_BOOK")
    fig, told = LiveTraining("sgdw", lr=0.5), []
    monkeypatch.setattr(fig, "send", lambda content: told.append(content["report"]))
    yield fig, told
    fig.close()


def test_a_kernel_trains_in_slices_and_reports(in_a_kernel):
    fig, told = in_a_kernel
    others = []

    async def notebook():
        fig.running = True
        while len(told) < 3:
            await asyncio.sleep(0.01)
            others.append(len(told))  # as another cell would run
        fig.batch, fig.hyper = 256, {"lr": 0.1}
        fig.running = False
        await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(notebook(), 60))
    assert [r["t"] for r in told] == sorted({r["t"] for r in told}) and told[0]["speed"] > 0
    assert len(others) >= 3
    json.dumps(told, allow_nan=False)
    assert len(told[-1]["predictions"]) == 24
    stopped = fig.report["t"]
    fig.step(1)
    assert fig.report["t"] == stopped + 1 and fig._run.settings.batch == 256


def test_closing_stops_the_training(in_a_kernel):
    fig, _ = in_a_kernel

    async def notebook():
        fig.running = True
        await asyncio.sleep(0.05)
        fig.close()
        await asyncio.wait_for(fig._task, 5)

    asyncio.run(notebook())
    assert not fig.running and fig._task.done()


def test_the_buttons_of_the_front_end_reach_the_kernel(in_a_kernel):
    fig, told = in_a_kernel
    fig._told({"do": "step"})
    fig._told({"do": "step"})
    fig._told({"do": "reset"})
    assert [r["t"] for r in told] == [1, 2, 0]


def test_without_a_running_loop_it_says_what_to_call(in_a_kernel):
    fig, _ = in_a_kernel
    with pytest.raises(RuntimeError, match=r"Here call fig.step\(100\), then read fig.report"):
        fig.running = True
    assert not fig.running


def test_a_diverged_run_stays_where_it_is(in_a_kernel):
    fig, told = in_a_kernel
    fig.rule = "gradient_descent"
    fig.hyper = {"lr": 1e200}
    fig.step(50)
    assert told[-1]["lost"] == fig.report["t"] < 50 and told[-1]["loss"] is None
    fig.reset()
    assert told[-1]["lost"] is None and fig.report["t"] == 0


def test_every_rule_can_be_chosen():
    spec = LiveTraining().spec
    assert sorted(k for _, names in spec["groups"] for k in names) == sorted(spec["rules"])


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"rule": "adm"}, "rule must be one of"),
        ({"batch": 7}, "batch must be one of 8, 16, 32, 64, 128, 256, got 7"),
        ({"hyper": {"lr": -1}}, "adam's lr must be at least 0"),
        ({"noise": -0.1}, "noise must lie between 0 and 10, got -0.1"),
        ({"shift": 9}, "shift must be .* 7, got 9"),
    ],
)
def test_what_is_not_allowed_is_refused(change, sentence):
    fig = LiveTraining()
    with pytest.raises(ValueError, match=sentence):
        for name, value in change.items():
            setattr(fig, name, value)


def test_where_is_the_kernel_or_the_page():
    with pytest.raises(ValueError, match='where must be "kernel" or "page", got \'gpu\''):
        LiveTraining(where="gpu")
