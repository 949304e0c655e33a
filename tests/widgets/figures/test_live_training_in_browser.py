"""LiveTraining in a browser: it trains there, as PyTorch does, while the page goes on; and in a kernel, in slices."""

import pytest
from figure_reading import show as shown

from course_lib.experiments.data import digits
from course_lib.experiments.live import LiveRun
from course_lib.widgets import LiveTraining

WITHOUT_WORKERS = "window.Worker = class { constructor() { throw new Error('no workers here'); } };"
FRAMES = """() => new Promise((done) => {
  let left = 30;
  const frame = () => (left-- ? requestAnimationFrame(frame) : done());
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
    before = steps(figure)
    figure.page.evaluate(FRAMES)
    assert steps(figure) > before  # it trained while frames were drawn
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
    figure = training({"rule": "gradient_descent", "lr": 1e308})
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
