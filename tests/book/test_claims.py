"""The reader of claims: numbers as pages write them, and what is not what was measured."""

import math

import nbformat
import pytest
import torch
from claims import About, Above, Below, Page, Stated, check


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("5.8", 5.8, 0.1),
        ("1,412", 1412, 1),
        ("79%", 0.79, 0.01),
        (r"79\%", 0.79, 0.01),
        ("−0.30", -0.3, 0.01),
        (r"$2.9\times10^{-13}$", 2.9e-13, 1e-14),
        ("twelve", 12, 1),
    ],
)
def test_numbers_as_pages_write_them(text, value, unit):
    number = Stated.read(text)
    assert number.value == pytest.approx(value) and number.unit == pytest.approx(unit)


def page(text: str) -> Page:
    return Page("a page", nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]))


SEEDS = torch.tensor([5.76, 5.81, 5.84])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It takes 5.8 steps.", 5.83),
        ("It takes 5.8 steps.", SEEDS),
        ("It takes 4,000 steps.", About(4016)),
        ("It takes 6 steps.", Below(SEEDS)),
        ("It takes 5.7 steps.", Above(SEEDS)),
        ("It takes $10^{-6}$ steps.", 1.4e-6),
    ],
)
def test_what_was_measured_is_accepted(text, value):
    check(page(text), ("It takes {} steps.".replace("{}", "${}$") if "$" in text else "It takes {} steps.",), (value,))


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("It takes 5.9 steps.", 5.83, "says 5.9, measured: 5.83"),
        ("It takes 5.81 steps.", SEEDS, "more digits than the seeds agree on"),
        ("It takes 4,000 steps.", 4016, "says 4,000"),
        ("It takes 5.8 steps.", Below(SEEDS), "says 5.8"),
        ("It takes 20 steps.", Below(SEEDS), "says 20"),
        ("It takes 5.8 steps.", Above(SEEDS), "says 5.8"),
        ("It takes 5.8 steps.", math.inf, "says 5.8"),
        ("It took 5.8 steps.", 5.8, "does not say"),
        ("It takes 5.8 steps. It takes 5.8 steps.", 5.8, "says 2 times"),
    ],
)
def test_what_was_not_measured_is_refused(text, value, words):
    with pytest.raises(AssertionError, match=words):
        check(page(text), ("It takes {} steps.",), (value,))
