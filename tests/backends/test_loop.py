"""A recurrence taken apart computes what the whole computes, and each instruction is where it runs least often."""

import numpy as np
import pytest

from course_lib.backends.loop import take_apart
from course_lib.backends.program import Program
from course_lib.backends.recurrence import trace_descent
from course_lib.formulas import RULES, SURFACES, adam, gradient_descent, quadratic, rosenbrock, saddle

PAIRS = [
    pytest.param(rule, s.formula, id=f"{name}-{s.formula.__name__}")
    for name, rule in RULES.items()
    for s in SURFACES.values()
]


def walk(loop, start, steps):
    """w at t = 0, 1, …, computed part by part as a machine would."""
    hyper = dict(zip(loop.hyper, np.linspace(0.3, 0.7, len(loop.hyper))))

    def play(instructions, inputs, wanted):
        known = set(inputs) | {i.name for i in instructions}
        return (
            dict(zip(wanted, Program("part", tuple(inputs), tuple(instructions), {"x": tuple(wanted)})(**inputs)["x"]))
            if set(wanted) <= known
            else {}
        )

    once = play(loop.once, hyper, [i.name for i in loop.once])
    initial = [hyper[x] if isinstance(x, str) else x for x in loop.initial.values()]
    carry, powers, path = dict(zip(loop.carry, [*start, *initial])), dict.fromkeys(loop.powers, 1.0), [start]
    for t in range(1, steps + 1):
        each = play(loop.each, {"t": t}, [i.name for i in loop.each])
        powers = {name: x * {**hyper, **once}.get(loop.powers[name], loop.powers[name]) for name, x in powers.items()}
        inputs = {**hyper, **{k: once[k] for k in loop.kept}, **each, **powers, **carry, "t": t}
        body = Program("body", tuple(inputs), loop.body, {"new": loop.carried, "loss": (loop.loss,)})(**inputs)
        carry = dict(zip(loop.carry, body["new"]))
        path.append([carry[c] for c in loop.carry[:2]])
    return np.array(path)


def whole(recurrence, start, steps):
    hyper = dict(zip(recurrence.hyper, np.linspace(0.3, 0.7, len(recurrence.hyper))))
    initial = [hyper[x] if isinstance(x, str) else x for x in recurrence.initial.values()]
    carry, path = dict(zip(recurrence.carry, [*start, *initial])), [start]
    for t in range(1, steps + 1):
        found = recurrence.step(**carry, t=t, **hyper)
        carry = dict(zip(recurrence.carry, np.concatenate([x for k, x in found.items() if k != "loss"])))
        path.append([carry[c] for c in recurrence.carry[:2]])
    return np.array(path)


@pytest.mark.parametrize(("rule", "surface"), PAIRS)
def test_the_parts_compute_the_whole(rule, surface):
    recurrence, start = trace_descent(rule, surface), [0.4, -0.3]
    np.testing.assert_allclose(
        walk(take_apart(recurrence), start, 4), whole(recurrence, start, 4), rtol=1e-9, atol=1e-12
    )


def ops(instructions):
    return {i.op for i in instructions}


def test_powers_of_the_step_are_running_products():
    loop = take_apart(trace_descent(adam, rosenbrock))
    assert sorted(loop.powers.values()) == ["beta1", "beta2"]
    assert "pow" not in ops(loop.body) and not loop.each and not loop.once


def test_what_depends_on_hyperparameters_alone_runs_once_if_it_is_dear():
    loop = take_apart(trace_descent(gradient_descent, quadratic))
    assert {"cos", "sin"} <= ops(loop.once) and not {"cos", "sin"} & ops(loop.body)
    assert set(loop.kept) <= {i.name for i in loop.once}
    cheap = take_apart(trace_descent(adam, rosenbrock))
    assert (
        sum(i.op == "sub" and set(i.args) & {"beta1", "beta2"} != set() for i in cheap.body) == 2
    )  # 1 - beta: cheaper than to keep


def test_what_depends_on_the_step_alone_runs_once_for_all_runs():
    def warming_up(w, g, t, *, lr=0.1):
        return w - lr * (1 - 0.9 ** (t / 10)) * g

    loop = take_apart(trace_descent(warming_up, rosenbrock))
    assert {"pow", "div"} <= ops(loop.each) and not {"pow", "div"} & ops(loop.body)


def test_whole_powers_are_products():
    assert "pow" in ops(trace_descent(gradient_descent, saddle).step.instructions)
    assert "pow" not in ops(take_apart(trace_descent(gradient_descent, saddle)).body)


@pytest.mark.parametrize("power", range(2, 17))
def test_each_whole_power(power):
    def steep(w):
        return (w**power).sum()

    recurrence = trace_descent(gradient_descent, steep)
    loop = take_apart(recurrence)
    assert "pow" not in ops(loop.body)
    np.testing.assert_allclose(walk(loop, [0.9, -0.8], 3), whole(recurrence, [0.9, -0.8], 3), rtol=1e-12)


def test_without_the_loss_what_only_it_needs_is_left_out():
    recurrence = trace_descent(gradient_descent, rosenbrock)
    with_loss, without = take_apart(recurrence), take_apart(recurrence, loss=False)
    assert len(without.body) < len(with_loss.body) and without.loss == 0.0


def test_what_is_exact():
    assert take_apart(trace_descent(gradient_descent, rosenbrock)).exact
    assert not take_apart(trace_descent(adam, rosenbrock)).exact
    assert not take_apart(trace_descent(gradient_descent, quadratic)).exact


@pytest.mark.parametrize("name", ["adam", "radam", "adamw", "rprop", "nesterov"])
def test_what_is_alike_for_all_runs_is_computed_once_for_all(name):
    """With one value for all but the rate, the bias corrections are no longer a matter of each run."""
    recurrence = trace_descent(RULES[name], quadratic)
    loop, apart = take_apart(recurrence, alike=set(recurrence.hyper) - {"lr"}), take_apart(recurrence)
    assert not loop.once and len(loop.body) <= len(apart.body) and len(loop.each) > len(apart.each)
    assert loop.alike == (set(recurrence.hyper) | set(loop.powers)) - {"lr"}
    followers = {"t", *loop.alike} | {i.name for i in loop.each}
    assert [i for i in loop.each if not {a for a in i.args if isinstance(a, str)} <= followers] == []


def test_what_is_fixed_may_be_read_by_what_each_run_computes_once():
    def rule(w, g, t, *, lr=0.1, beta=0.5):
        return w - lr / (1 - beta) * g / (1 - beta**t)

    loop = take_apart(trace_descent(rule, quadratic), loss=False, alike={"beta", "condition_number"})
    assert "1 - beta" in [str(i).split(" = ")[1] for i in loop.fixed] and any(
        i.op == "div" and i.args[1] in {j.name for j in loop.fixed} for i in loop.once
    )
    assert not {i.name for i in loop.fixed} & {i.name for i in loop.each if not {"t", *loop.powers}.isdisjoint(i.args)}
