"""What the front page says, bound to its figure and to the list of chapters."""

import pytest
import torch
import yaml
from claims import BOOK, Page

from course_lib.experiments import sweep
from course_lib.formulas import gradient_descent, momentum, rosenbrock

page = Page("intro")


@page.claim(
    "Gradient descent, from {} of the places in this picture:",
    r"from the first place gradient descent is out above $\eta = {}$, momentum above {}.",
)
def test_which_rule_is_thrown_out(page):
    fig = page.figure(0)
    assert (fig.lr, fig.steps) == (0.004, 200)
    (left, right), (low, high) = fig.spec["domain"]
    places = torch.cartesian_prod(*(torch.linspace(*ends, 81, dtype=torch.float64) for ends in ((left, right), (low, high))))
    out = {}
    for rule in (gradient_descent, momentum):
        end = sweep(rule, rosenbrock, places, fig.steps, keep="end", lr=fig.lr)
        out[rule] = 1 - (end.isfinite() & (end.abs() < 100)).all(1).double().mean().item()
    assert out[momentum] == 0
    largest = []
    for rule, rates in ((gradient_descent, (0.004, 0.006, 0.0063)), (momentum, (0.03, 0.032, 0.036))):
        lr = torch.tensor(rates, dtype=torch.float64)
        end = sweep(rule, rosenbrock, fig.start, fig.steps, keep="end", lr=lr)
        assert (end.isfinite() & (end.abs() < 3)).all(1).tolist() == [True, True, False]
        largest.append(rates[1])
    return out[gradient_descent], *largest


@page.claim("of the course ELEG {}, Introduction to Deep Learning", "February {}.", "Text: [CC BY {}]")
def test_the_source_and_the_license():
    assert "Attribution 4.0 International" in (BOOK.parent / "LICENSE-text").read_text("utf8")
    return 5491, 2023, 4.0


def test_it_promises_what_the_book_holds():
    """A link to the first chapter of each part, in order; no part is forgotten."""
    toc = yaml.safe_load((BOOK.parent / "_toc.yml").read_text("utf8"))
    first = [part["chapters"][0]["file"].removeprefix("book/") for part in toc["parts"]]
    places = [page.text.find(f"({name}.ipynb)") for name in first]
    assert min(places) > 0 and places == sorted(places)


def test_the_first_screen_is_a_question_and_a_figure():
    first, figure = page.notebook.cells[:2]
    assert len(first.source.split()) < 45 and first.source.strip().endswith("?**")
    assert "remove-input" in figure.metadata["tags"] and "Descent(" in figure.source


@pytest.mark.parametrize("lr", [0.0065, 0.008])
def test_gradient_descent_is_out_where_momentum_is_not(lr):
    fig = page.figure(0)
    fig.lr = lr
    ends = {rule: path[-1] for rule, path in fig.path.items()}
    assert not torch.isfinite(ends["gradient_descent"]).all() or ends["gradient_descent"].abs().max() > 10
    assert ends["momentum"].abs().max() < 3


test_changed_numbers_are_noticed = page.test_of_numbers()
