"""What a rule remembers, drawn under the surface: the numbers in the page are those of the rule."""

import torch
from figure_reading import show as shown
from torch.func import grad

from course_lib.formulas import adagrad, adam, bfgs, momentum, quadratic, rprop
from course_lib.formulas.signature import signature, step
from course_lib.widgets import Descent


def states(rule, fig, steps):
    """Each state variable at the last of some steps, by name."""
    w, hyper = torch.tensor(fig.start, dtype=torch.float64), {k: getattr(fig, k) for k in signature(rule).hyper}
    state = [*signature(rule).initial(w, hyper).values()]
    for t in range(1, steps + 1):
        w, state = step(rule, w, grad(quadratic)(w), t, state, hyper)
    return dict(zip(signature(rule).state, state, strict=True))


def test_every_state_has_a_plot_with_its_numbers(show):
    fig = Descent(adam, lr=0.05, steps=40, watch=True)
    (figure,) = show(fig).figures
    plots = figure.host.locator(".cf-state-plot")
    assert plots.locator(".cf-title").all_text_contents() == ["m", "v"]
    for plot, (name, x) in zip(plots.all(), states(adam, fig, 40).items(), strict=True):
        assert (
            plot.get_attribute("aria-label")
            == f"{name} over the steps. At step 40: x {shown(x[0].item())}, y {shown(x[1].item())}."
        )
        assert plot.locator(".cf-path").count() == 2


def test_the_plots_follow_sliders_and_steps(show):
    fig = Descent(rprop, lr=0.1, steps=30, watch=True)
    (figure,) = show(fig).figures
    figure.slider("step").evaluate("(node) => { node.value = 7; node.dispatchEvent(new Event('input')); }")
    figure.settle()
    eta = states(rprop, fig, 7)["eta"]
    label = figure.host.locator(".cf-state-plot").nth(1).get_attribute("aria-label")
    assert label == f"η over the steps. At step 7: x {shown(eta[0].item())}, y {shown(eta[1].item())}."
    before = figure.host.locator(".cf-state-plot .cf-path").first.get_attribute("d")
    assert figure.move("lr", 0.3).host.locator(".cf-state-plot .cf-path").first.get_attribute("d") != before


def test_several_rules_say_whose_state_it_is(show):
    (figure,) = show(Descent([momentum, adagrad], watch=True)).figures
    assert figure.host.locator(".cf-state-plot .cf-title").all_text_contents() == ["Δ, momentum", "G, Adagrad"]


def test_without_watch_there_is_none(show):
    (figure,) = show(Descent(adam)).figures
    assert figure.host.locator(".cf-state-plot").count() == 0
    assert not figure.host.locator(".cf-states").is_visible()


def test_a_rule_with_a_matrix_walks_beside_one_that_is_watched(show):
    fig = Descent([bfgs, momentum], quadratic, steps=15, watch=True)
    (figure,) = show(fig).figures
    plot = figure.host.locator(".cf-state-plot")
    assert plot.locator(".cf-title").all_text_contents() == ["Δ, momentum"]
    delta = states(momentum, fig, 15)["delta"]
    assert (
        plot.get_attribute("aria-label")
        == f"Δ, momentum over the steps. At step 15: x {shown(delta[0].item())}, y {shown(delta[1].item())}."
    )
