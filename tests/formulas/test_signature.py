"""A rule's signature is its specification: what is read off it, and what is said where it breaks the convention."""

import functools
import math
from typing import Annotated

import pytest
import torch

from course_lib.formulas import quadratic
from course_lib.formulas.signature import Decay, Range, Rate, Strength, Tiny, inferred_range, signature, step

Warm = Annotated[float, Range(0.0, 10.0, at_least=0.0)]


def range_of(kind) -> Range:
    return kind.__metadata__[0]


def rule(w, g, t, m=0.0, v=1, *, lr: Rate = 0.1, beta: Decay = 0.9, warm: Warm = 2):
    return w - lr * g, m, v


class Callable:
    lr: int = 3  # an annotation of the class is none of the rule's

    def __call__(self, w, g, t, m=0.0, *, lr: Warm = 0.1):
        return w - lr * g, m


def decorated(fn):
    @functools.wraps(fn)
    def inner(*args, **kwargs):
        return fn(*args, **kwargs)

    return inner


def future_annotations(scope: dict, text: str = "lr: Rate = 0.1"):
    exec(
        compile(
            f"from __future__ import annotations\ndef late(w, g, t, *, {text}):\n    return w - lr * g", "late", "exec"
        ),
        scope,
    )
    return scope["late"]


def test_the_split_into_inputs_state_and_hyperparameters():
    found = signature(rule)
    assert found.name == "rule"
    assert found.inputs == ("w", "g", "t")
    assert found.state == {"m": 0.0, "v": 1.0} and list(found.state) == ["m", "v"]
    assert found.hyper == {"lr": 0.1, "beta": 0.9, "warm": 2.0} and all(type(x) is float for x in found.hyper.values())
    assert found.ranges == {"lr": range_of(Rate), "beta": range_of(Decay), "warm": range_of(Warm)}


@pytest.mark.parametrize(
    "formula, inputs, expected",
    [
        (lambda w, g, t: w, ("w", "g", "t"), ("<lambda>", {}, {})),
        (lambda x, *, a=2: x, ("w",), ("<lambda>", {}, {"a": 2.0})),
        (lambda x, grad, k, s=3, /, *, a=2: x, ("w", "g", "t"), ("<lambda>", {"s": 3.0}, {"a": 2.0})),
        (
            functools.partial(rule, lr=0.5),
            ("w", "g", "t"),
            ("rule", {"m": 0.0, "v": 1.0}, {"lr": 0.5, "beta": 0.9, "warm": 2.0}),
        ),
        (
            functools.partial(functools.partial(rule, lr=0.5), beta=0.0),
            ("w", "g", "t"),
            ("rule", {"m": 0.0, "v": 1.0}, {"lr": 0.5, "beta": 0.0, "warm": 2.0}),
        ),
        (Callable(), ("w", "g", "t"), ("Callable", {"m": 0.0}, {"lr": 0.1})),
        (Callable().__call__, ("w", "g", "t"), ("__call__", {"m": 0.0}, {"lr": 0.1})),
        (decorated(rule), ("w", "g", "t"), ("rule", {"m": 0.0, "v": 1.0}, {"lr": 0.1, "beta": 0.9, "warm": 2.0})),
    ],
)
def test_any_callable_will_do(formula, inputs, expected):
    found = signature(formula, inputs)
    assert (found.name, found.state, found.hyper) == expected
    assert len(found.inputs) == len(inputs) and set(found.ranges) == set(found.hyper)


@pytest.mark.parametrize(
    "formula", [functools.partial(rule, lr=0.5), decorated(rule), future_annotations({"Rate": Rate})]
)
def test_ranges_are_found_behind_wrappers_and_strings(formula):
    assert signature(formula).ranges["lr"] == range_of(Rate)


def test_ranges_of_a_callable_object_are_those_of_its_call():
    assert signature(Callable()).ranges["lr"] == signature(Callable().__call__).ranges["lr"] == range_of(Warm)


@pytest.mark.parametrize(
    "text", ["lr: Unknown = 0.1", "lr: nowhere.Rate = 0.1", "lr: 'not python' = 0.1", "lr: 3 = 0.1"]
)
def test_an_annotation_that_cannot_be_read_gives_the_usual_range(text):
    assert signature(future_annotations({}, text)).ranges["lr"] == range_of(Rate)


BROKEN = [
    (3, "A rule is a function like `def rule(w, g, t, v=0.0, *, lr=0.1, beta=0.9)", "got 3."),
    (lambda w, g: w, "<lambda> takes 2 of the arguments (w, g, t).", "Its first ones must be these 3, in this order."),
    (lambda *, lr=0.1: lr, "<lambda> takes 0 of the arguments (w, g, t).", "in this order"),
    (lambda w, g, t, lr: w, "<lambda>'s state `lr` has no default.", "a hyperparameter stands after the `*`"),
    (
        lambda w, g, t, *, lr: w,
        "<lambda>'s hyperparameter `lr` has no default.",
        "Give it one, as in `lr=0.0`: its slider starts there.",
    ),
    (lambda w, g, t, m=None: w, "<lambda>'s state `m` has the default None.", "It must be a number"),
    (lambda w, g, t, m=torch.tensor(0.0): w, "<lambda>'s state `m` has the default tensor(0.).", "It must be a number"),
    (lambda w, g, t, *, lr="1": w, "<lambda>'s hyperparameter `lr` has the default '1'.", "It must be a number"),
    (lambda w, g, t, *, fast=True: w, "<lambda>'s hyperparameter `fast` has the default True.", "It must be a number"),
    (lambda w, g, t, *rest: w, "<lambda> takes *args or **kwargs", "Write each one out"),
    (lambda w, g, t, **hyper: w, "<lambda> takes *args or **kwargs", "Write each one out"),
    (lambda g, w, t: w, "<lambda> takes (g, w, t), but it is handed the parameters, the gradient", "write (w, g, t)."),
    (lambda w, t, g: w, "<lambda> takes (w, t, g), but", "in this order"),
    (quadratic, "quadratic takes w alone, as a surface does", "Pass the rule first, then the surface."),
    (max, "max does not say which arguments it takes.", "Wrap it in a function like"),
]


@pytest.mark.parametrize("formula, problem, remedy", BROKEN)
def test_a_broken_convention_is_named_and_mended(formula, problem, remedy):
    with pytest.raises(TypeError) as error:
        signature(formula)
    assert problem in str(error.value) and remedy in str(error.value)


@pytest.mark.parametrize(
    "kind, default, sentence",
    [
        (Rate, -1.0, "late's lr must be at least 0 and finite, got -1.0."),
        (Decay, 1.0, "at least 0 and below 1, got 1.0"),
        (Tiny, math.inf, "finite, got inf"),
    ],
)
def test_a_default_outside_its_own_limits_is_an_error(kind, default, sentence):
    with pytest.raises(ValueError) as error:
        signature(future_annotations({"Kind": kind, "default": default}, "lr: Kind = default"))
    assert sentence in str(error.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-300, -1])
@pytest.mark.parametrize("kind", [Rate, Decay, Tiny, Strength])
def test_values_outside_every_limit(kind, value):
    with pytest.raises(ValueError, match=rf"^x must be at least 0 and .*, got {value}\.$"):
        range_of(kind).check("x", value)


@pytest.mark.parametrize(
    "kind, allowed, refused",
    [(Decay, [0, 0.5, 1 - 2**-53], [1, 1.5]), (Rate, [0, 1e-300, 1e300], []), (Tiny, [0, 1e-8], [])],
)
def test_the_edges_of_the_limits(kind, allowed, refused):
    for value in allowed:
        range_of(kind).check("x", value)
    for value in refused:
        with pytest.raises(ValueError, match="below 1"):
            range_of(kind).check("x", value)


@pytest.mark.parametrize(
    "limits, words",
    [
        ({}, "a finite number"),
        ({"at_least": 1.0}, "at least 1 and finite"),
        ({"below": 2.0}, "below 2"),
        ({"at_least": 1.0, "below": 2.0}, "at least 1 and below 2"),
    ],
)
def test_limits_in_words(limits, words):
    with pytest.raises(ValueError, match=f"^rule's x must be {words}, got nan.$"):
        Range(0.0, 1.0, **limits).check("rule's x", math.nan)


@pytest.mark.parametrize(
    "name, default, expected",
    [
        ("lr", 0.1, range_of(Rate)),
        ("eta", 0.1, range_of(Rate)),
        ("beta2", 0.999, range_of(Decay)),
        ("beta_1", 0.9, range_of(Decay)),
        ("rho", 0.9, range_of(Decay)),
        ("eps", 1e-8, range_of(Tiny)),
        ("decay", 0.01, range_of(Strength)),
        ("momentum", 0.0, range_of(Decay)),
        ("gamma", 2.0, Range(0.02, 200.0, "log")),
        ("beta", 1.0, Range(0.01, 100.0, "log")),
        ("c", 5.0, Range(0.05, 500.0, "log")),
        ("c", 0.0, Range(-1.0, 1.0)),
        ("c", -3.0, Range(-6.0, 6.0)),
        ("lr", -0.1, Range(-1.0, 1.0)),
    ],
)
def test_ranges_inferred_from_name_and_default(name, default, expected):
    found = inferred_range(name, default)
    assert found == expected
    assert found.low <= default <= found.high


def test_a_bare_value_is_a_rule_without_state():
    w = torch.tensor([1.0, 2.0])
    assert step(lambda w, g, t, *, lr=0.5: w - lr * g, w, w, 1, (), {"lr": 0.5}) == (pytest.approx([0.5, 1.0]), ())


@pytest.mark.parametrize(
    "result, sentence",
    [
        (lambda w: w, "broken returned 1 value(s), but its signature promises 2: return w, m."),
        (lambda w: (w, w, w), "broken returned 3 value(s), but its signature promises 2: return w, m."),
        (lambda w: [w, w], "broken returned a list. Return the values themselves: return w, m."),
        (
            lambda w: (None, w),
            "broken returned a w of the type NoneType. Return the new parameters, of the shape (2,).",
        ),
        (lambda w: (w.sum(), w), "broken returned a w of the shape (). Return the new parameters, of the shape (2,)."),
    ],
)
def test_a_result_against_its_signature_is_an_error(result, sentence):
    def broken(w, g, t, m=0.0):
        return result(w)

    w = torch.ones(2)
    with pytest.raises(TypeError) as error:
        step(broken, w, w, 1, (w,), {})
    assert sentence in str(error.value)


def test_a_state_may_start_at_a_hyperparameter():
    def rule(w, g, t, v=0.0, eta="lr", *, lr=0.1):
        return w - eta * g, v, eta

    assert signature(rule).state == {"v": 0.0, "eta": "lr"}
    initial = signature(rule).initial(torch.ones(2), {"lr": 0.5})
    assert {k: x.tolist() for k, x in initial.items()} == {"v": [0.0, 0.0], "eta": [0.5, 0.5]}


def test_a_state_may_start_at_a_function_of_w():
    def rule(w, g, t, B=lambda w: torch.eye(len(w)), *, lr=0.1):
        return w - lr * B @ g, B

    assert signature(rule).initial(torch.ones(3), {})["B"].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_rule_may_take_the_loss():
    def rule(w, g, t, f, v=0.0, *, lr=0.1):
        return w - lr * f(w) * g, v

    found = signature(rule)
    assert found.takes_loss and found.inputs == ("w", "g", "t", "f") and list(found.state) == ["v"]
    assert step(rule, torch.ones(1), torch.ones(1), 1, (0.0,), {"lr": 0.5}, lambda w: w.sum())[0] == 0.5


def test_a_state_called_f_is_no_loss():
    def rule(w, g, t, f=0.0):
        return w - g, f

    assert not signature(rule).takes_loss and signature(rule).state == {"f": 0.0}


def test_a_state_cannot_start_at_a_hyperparameter_that_is_not_there():
    def rule(w, g, t, eta="rate", *, lr=0.1):
        return w - eta * g, eta

    with pytest.raises(TypeError, match="state `eta` has the default 'rate'"):
        signature(rule)
