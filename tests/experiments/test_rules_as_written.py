"""Rules as people write them: each row agrees on all machines, or all of them refuse it with the same sentence.

The machines: sweep by PyTorch, the trace as generated loops for Numba (run as Python, since compiling takes seconds a rule) and
as JavaScript where Node is installed, and Optimizer.
"""

import functools
import json
import math
import shutil
import subprocess
from math import cos

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib.backends import javascript, numba
from course_lib.backends.loop import take_apart
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments import Optimizer, sweep

RATES, START, STEPS = [0.02, 0.1, 0.3], [1.0, -0.7], 7


def bowl(w):
    x, y = w
    return x**2 + 3 * y**2 + x * y


def warm_up(t, steps=4):
    return min(1.0, t / steps)


def halved(t):
    return 0.5 * (1 + math.cos(math.pi * t / 10))


def first_step_apart(w, g, t, m=0.0, *, lr=0.1):
    if t == 1:
        m = g
    else:
        m = 0.5 * m + g
    return w - lr * m, m


def clipped(w, g, t, *, lr=0.1):
    size = g.norm()
    if size > 1:
        g = g / size
    return w - lr * g


def two_questions(w, g, t, *, lr=0.1):
    if t > 3 and g.norm() < 2:
        return w - 0.5 * lr * g
    return w - lr * g


def assigned(w, g, t, *, lr=0.1):
    d = g.clone()
    d[d > 1] = 1.0
    return w - lr * d


def unrolled(w, g, t, *, lr=0.1):
    for k in range(3):
        w = w - lr * g / (k + 1)
    return w


def in_torchs_words(w, g, t, m=0.0, v=0.0, *, lr=0.1, beta=0.9):
    m = m.mul(beta).add(g, alpha=1 - beta)
    v = v.mul(beta).addcmul(g, g, value=1 - beta)
    return w.addcdiv(m, v.sqrt().add(1e-8), value=-lr), m, v


# what a reader might write: name -> the rule. All machines give the same path.
AGREE = {
    # the step in a condition
    "if t == 1": first_step_apart,
    "t == 1 in an expression": lambda w, g, t, *, lr=0.1: w - (lr if t == 1 else lr / 2) * g,
    "if t in": lambda w, g, t, *, lr=0.1: w - lr * (g if t in (2, 4) else 2 * g),
    "if not t": lambda w, g, t, *, lr=0.1: w - lr * (g if not t > 3 else g.sign()),
    "two questions": two_questions,
    "where of t": lambda w, g, t, *, lr=0.1: w - lr * torch.where(t < 5, g, 2 * g),
    "where of t and numbers": lambda w, g, t, *, lr=0.1: w - lr * torch.where(t < 5, 1.0, 0.1) * g,
    "where of t and lr": lambda w, g, t, *, lr=0.1: w - torch.where(t < 3, lr, 0.1 * lr) * g,
    "both conditions": lambda w, g, t, *, lr=0.1: w - lr * torch.where((t > 2) & (t < 5), g, 2 * g),
    "negated condition": lambda w, g, t, *, lr=0.1: w - lr * torch.where(~(t > 2), g, 2 * g),
    "condition as a factor": lambda w, g, t, *, lr=0.1: w - lr * (t % 3 == 0) * g,
    "condition and tensor": lambda w, g, t, *, lr=0.1: w - lr * torch.where((t > 2) & (g > 0), g, 2 * g),
    "condition as a number": lambda w, g, t, *, lr=0.1: w - lr * (t < 5).double() * g,
    # schedules
    "min(1, t / 10)": lambda w, g, t, *, lr=0.1: w - lr * min(1, t / 10) * g,
    "max": lambda w, g, t, *, lr=0.1: w - lr * max(0.1, 1 - t / 5) * g,
    "of a helper": lambda w, g, t, *, lr=0.1: w - lr * warm_up(t) * g,
    "math.cos": lambda w, g, t, *, lr=0.1: w - lr * math.cos(math.pi * t / 100) * g,
    "math.cos in a helper": lambda w, g, t, *, lr=0.1: w - lr * halved(t) * g,
    "cos imported": lambda w, g, t, *, lr=0.1: w - lr * cos(t / 10) * g,
    "math.exp": lambda w, g, t, *, lr=0.1: w - lr * math.exp(-0.01 * t) * g,
    "math.sqrt of lr": lambda w, g, t, *, lr=0.1: w - math.sqrt(lr) * g / 4,
    "math.log with a base": lambda w, g, t, *, lr=0.1: w - lr / (1 + math.log(t, 2)) * g,
    "math.pow": lambda w, g, t, *, lr=0.1: w - lr * math.pow(0.9, t) * g,
    "torch.cos": lambda w, g, t, *, lr=0.1: w - lr * torch.cos(math.pi * t / 100) * g,
    "t.sqrt()": lambda w, g, t, *, lr=0.1: w - lr / t.sqrt() * g,
    "t ** 0.5": lambda w, g, t, *, lr=0.1: w - lr / t**0.5 * g,
    "power of t": lambda w, g, t, *, lr=0.1: w - lr * 0.9**t * g,
    "steps of t": lambda w, g, t, *, lr=0.1: w - lr * 0.5 ** (t // 3) * g,
    "abs": lambda w, g, t, *, lr=0.1: w - lr * abs(t - 4) / 4 * g,
    "a triangle": lambda w, g, t, *, lr=0.1: w - lr * torch.minimum(t / 4, 2 - t / 4) * g,
    # hyperparameters as tensors
    "torch.sqrt(lr)": lambda w, g, t, *, lr=0.1: w - torch.sqrt(lr) * g / 4,
    "torch.clamp(lr)": lambda w, g, t, *, lr=0.1: w - torch.clamp(lr, max=0.05) * g,
    "lr.clamp": lambda w, g, t, *, lr=0.1: w - lr.clamp(max=0.05) * g,
    "torch.tensor(lr)": lambda w, g, t, *, lr=0.1: w - torch.tensor(lr) * g,
    "torch.as_tensor": lambda w, g, t, *, lr=0.1: w - lr * torch.as_tensor(t / 10) * g,
    "torch.tensor of two": lambda w, g, t, *, lr=0.1: w - torch.tensor([lr, lr / 2]) * g,
    "full_like": lambda w, g, t, *, lr=0.1: w - torch.full_like(g, lr) * g,
    "clamp by lr": lambda w, g, t, *, lr=0.1: w - g.clamp(-lr, lr),
    "if lr": lambda w, g, t, *, lr=0.1: w - (lr if lr < 0.2 else 0.2) * g,
    "maximum with lr": lambda w, g, t, *, lr=0.1: w - torch.maximum(g, torch.zeros_like(g) + lr) / 9,
    "alpha and value": in_torchs_words,
    "lerp": lambda w, g, t, m=0.0, *, lr=0.1, beta=0.9: (w - lr * m, torch.lerp(m, g, 1 - beta)),
    # the gradient in a condition
    "if g.norm()": clipped,
    "norm in an expression": lambda w, g, t, *, lr=0.1: w - lr * (g if g.norm() < 1 else g / g.norm()),
    "max of two": lambda w, g, t, *, lr=0.1: w - lr * g / max(g[0].abs(), g[1].abs()).clamp(min=0.1),
    "if torch.any": lambda w, g, t, *, lr=0.1: w - lr * (g.sign() if (g.abs() > 1).any() else g),
    "an assignment by a mask": assigned,
    "where of the gradient": lambda w, g, t, *, lr=0.1: w - lr * torch.where(g.abs() > 0.5, g, torch.zeros_like(g)),
    "a loop of a fixed length": unrolled,
    # functions of the gradient
    "softshrink": lambda w, g, t, *, lr=0.1: F.softshrink(w - lr * g, 0.01),
    "softplus": lambda w, g, t, *, lr=0.1: w - lr * F.softplus(g),
    "log1p": lambda w, g, t, *, lr=0.1: w - lr * g.sign() * torch.log1p(g.abs()),
    "expm1": lambda w, g, t, *, lr=0.1: w - lr * torch.expm1(0.1 * g),
    "exp2 and log2": lambda w, g, t, *, lr=0.1: w - lr * torch.exp2(-t) * torch.log2(1 + g**2),
    "round": lambda w, g, t, *, lr=0.1: w - lr * torch.round(4 * g) / 4,
    "copysign": lambda w, g, t, *, lr=0.1: w - lr * torch.copysign(w, g),
    "hypot": lambda w, g, t, *, lr=0.1: w - lr * g / torch.hypot(g[0], g[1] + 1),
    "erf": lambda w, g, t, *, lr=0.1: w - lr * torch.erf(g),
    "tan and atan": lambda w, g, t, *, lr=0.1: w - lr * torch.atan(g) * torch.tan(lr),
    "std": lambda w, g, t, *, lr=0.1: w - lr * (g - g.mean()) / (g.std() + 0.1),
    "var": lambda w, g, t, *, lr=0.1: w - lr * g / (1 + g.var(correction=0)),
    "prod": lambda w, g, t, *, lr=0.1: w - lr * g / (1 + g.prod().abs()),
    "amax": lambda w, g, t, *, lr=0.1: w - lr * g / (g.abs().amax() + 0.1),
    "nan_to_num": lambda w, g, t, *, lr=0.1: w - lr * torch.nan_to_num(g / g, nan=0.5) * g,
    "leaky_relu": lambda w, g, t, *, lr=0.1: w - lr * F.leaky_relu(g),
    "gelu": lambda w, g, t, *, lr=0.1: w - lr * F.gelu(g),
    "trunc, floor, ceil": lambda w, g, t, *, lr=0.1: w - lr * (g.trunc() + g.floor() + g.ceil()) / 8,
    "a partial": functools.partial(lambda w, g, t, *, lr=0.1, factor=1.0: w - lr * factor * g, factor=0.5),
}  # fmt: skip


def changed(w, g, t, *, lr=0.1):
    w -= lr * g
    return w


def waits(w, g, t, *, lr=0.1):
    return w - lr * g * int(t)


NUMBER = "turns a tensor into a Python number. Compute with torch's functions, as in torch.cos(t)"

# name -> the rule, and what every machine says
REFUSED = {
    "float(t)": (lambda w, g, t, *, lr=0.1: w - lr * float(t) * g, f"`float(x)` {NUMBER}"),
    "float(lr)": (lambda w, g, t, *, lr=0.1: w - float(lr) * g, f"`float(x)` {NUMBER}"),
    "int(t)": (waits, f"`int(x)` {NUMBER}"),
    "range(t)": (lambda w, g, t, *, lr=0.1: w - lr * len(range(t)) * g, f"`range(x)` {NUMBER}"),
    "t.item()": (lambda w, g, t, *, lr=0.1: w - lr * t.item() * g, f"`x.item()` {NUMBER}"),
    "norm.item()": (lambda w, g, t, *, lr=0.1: w - lr * g.norm().item() * g, f"`x.item()` {NUMBER}"),
    "float(norm)": (lambda w, g, t, *, lr=0.1: w - lr * float(g.norm()) * g, f"`float(x)` {NUMBER}"),
    "g.numpy()": (lambda w, g, t, *, lr=0.1: w - lr * torch.from_numpy(g.numpy()), f"NumPy {NUMBER}"),
    "np.sign": (lambda w, g, t, *, lr=0.1: w - lr * np.sign(g), f"NumPy {NUMBER}"),
    "np.sqrt(lr)": (lambda w, g, t, *, lr=0.1: w - np.sqrt(lr) * g, f"NumPy {NUMBER}"),
    "tolist": (lambda w, g, t, *, lr=0.1: w - lr * sum(g.tolist()), f"`x.tolist()` {NUMBER}"),
    "torch.equal": (lambda w, g, t, *, lr=0.1: w - lr * (g if torch.equal(g, w) else -g), f"`torch.equal` {NUMBER}"),
    "randn_like": (lambda w, g, t, *, lr=0.1: w - lr * (g + torch.randn_like(g)), "`randn_like` draws random numbers"),
    "torch.randn": (lambda w, g, t, *, lr=0.1: w - lr * torch.randn(2), "`randn` draws random numbers"),
    "the `*` forgotten": (lambda w, g, t, lr=0.1: w - lr * g, "A hyperparameter stands after it: `def rule(w, g, t, *, lr=0.1)`."),
    "a list": (lambda w, g, t, v=0.0, *, lr=0.1: [w - lr * g, v], "returned a list. Return the values themselves: return w, v."),
    "nothing": (lambda w, g, t, *, lr=0.1: None, "returned a w of the type NoneType."),
    "too few": (lambda w, g, t, v=0.0, *, lr=0.1: w - lr * g, "returned 1 value(s), but its signature promises 2"),
    "a w of another shape": (lambda w, g, t, *, lr=0.1: (w - lr * g).sum(), "returned a w of the shape ()."),
    "a state of another shape": (lambda w, g, t, v=0.0, *, lr=0.1: (w - lr * g, g.norm()), "keep its shape."),
    "a state that is a number": (lambda w, g, t, v=0.0, *, lr=0.1: (w - lr * g, 5.0), "keep its shape."),
    "a state that is None": (lambda w, g, t, v=0.0, *, lr=0.1: (w - lr * g, None), "returned `v` of the type NoneType."),
    "w and g exchanged": (lambda g, w, t, *, lr=0.1: w - lr * g, "takes (g, w, t), but it is handed"),
    "a surface": (bowl, "bowl takes w alone, as a surface does"),
    "no default": (lambda w, g, t, *, lr: w - lr * g, "hyperparameter `lr` has no default."),
    "a flag": (lambda w, g, t, *, fast=True: w - g, "It must be a number"),
}  # fmt: skip


def by_sweep(rule):
    return sweep(rule, bowl, START, STEPS, machine="torch", lr=RATES).transpose(0, 1).numpy()  # (runs, steps + 1, 2)


def by_numba(rule):
    """The generated loops, as the Python that they are."""
    text = numba.source(take_apart(trace_descent(rule, bowl), loss=False), "float64", path=True)
    plain = "prange = range\ndef njit(**options):\n    return lambda function: function\n"
    scope = {}
    exec(text.replace("from numba import njit, prange\n", plain), scope)
    hyper = [h for h in trace_descent(rule, bowl).hyper]
    values = [np.array(RATES) if h == "lr" else np.full(3, DEFAULTS[h]) for h in hyper]
    out = np.empty((STEPS + 1, 2, 3))
    with np.errstate(all="ignore"):
        scope["run"](np.array(START)[:, None], np.empty(0), tuple(values), STEPS, 3, 0, 3, out)
    return out.transpose(2, 0, 1)


DEFAULTS = {"beta": 0.9, "factor": 0.5}


def by_optimizer(rule):
    return np.array([_trained(rule, rate) for rate in RATES])


def _trained(rule, rate):
    w = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = Optimizer([w], rule, **({"lr": rate} if rule is not bowl else {}))
    path = [w.tolist()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        bowl(w).backward()
        optimizer.step()
        path.append(w.tolist())
    return path


MACHINES = {"sweep": by_sweep, "trace": by_numba, "Optimizer": by_optimizer}


def test_the_table_is_long_enough():
    assert len(AGREE) + len(REFUSED) >= 57


@pytest.mark.parametrize("name", AGREE)
def test_all_machines_agree(name):
    paths = {machine: run(AGREE[name]) for machine, run in MACHINES.items()}
    for machine, path in paths.items():
        np.testing.assert_allclose(path, paths["sweep"], rtol=1e-9, atol=1e-12, err_msg=f"{machine} and sweep")
    assert np.abs(paths["sweep"][:, -1] - START).max() > 1e-3


@pytest.mark.parametrize("name", REFUSED)
def test_all_machines_refuse_with_one_sentence(name):
    rule, sentence = REFUSED[name]
    said = {}
    for machine, run in MACHINES.items():
        with pytest.raises((TypeError, ValueError)) as error:
            run(rule)
        said[machine] = f"{error.type.__name__}: {error.value}"
    assert len(set(said.values())) == 1, said
    assert sentence in said["sweep"]


def test_the_page_computes_the_same():
    if (node := shutil.which("node")) is None:
        pytest.skip("needs Node")
    texts, runs = [], []
    for k, rule in enumerate(AGREE.values()):
        texts.append(javascript.loop(f"run{k}", trace_descent(rule, bowl)).removeprefix("export "))
        runs.append(f"RATES.map((lr) => pick(run{k}, run{k}(START, STEPS, {{ ...DEFAULTS, lr }})))")
    given = "".join(
        f"const {name} = {json.dumps(value)};\n"
        for name, value in {"RATES": RATES, "START": START, "STEPS": STEPS, "DEFAULTS": DEFAULTS}.items()
    )
    pick = "const pick = (run, rows) => Array.from({ length: STEPS + 1 }, (_, t) => [...rows.slice(t * run.columns.length + 1).slice(0, 2)]);\n"
    program = given + pick + "\n".join(t.replace("\nexport ", "\n") for t in texts)
    program += f"\nconsole.log(JSON.stringify([{', '.join(runs)}]));"
    done = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True, timeout=60)
    differ = []
    for (name, rule), path in zip(AGREE.items(), json.loads(done.stdout), strict=True):
        if not np.allclose(np.array(path, float), by_sweep(rule), rtol=1e-9, atol=1e-12):
            differ.append(name)
    assert not differ
