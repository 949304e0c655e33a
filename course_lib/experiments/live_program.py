"""The training of experiments/live.py as JavaScript: every formula of a step, traced, for a page without a kernel."""

import functools

import torch

from course_lib.backends import javascript
from course_lib.backends.javascript_arrays import arrays
from course_lib.backends.python_math import on_tensors
from course_lib.backends.trace_nests import trace_nests, trace_nests_of_any_size
from course_lib.experiments.live import (
    BATCHES,
    augmented,
    layer_shapes,
    loss_and_gradient,
    normal_of,
    outcome,
    scheduled_rate,
)
from course_lib.formulas.catalog import RULES
from course_lib.formulas.initialization import INITIALIZATIONS, nearer_orthogonal
from course_lib.formulas.network import ACTIVATIONS
from course_lib.formulas.schedules import SCHEDULES
from course_lib.formulas.signature import signature, step

COUNT = "count"  # of examples, or of a weight's numbers: the size that changes from call to call


@functools.cache
def javascript_of_training(sizes: tuple[int, ...], examples: int, validation: int) -> str:
    """A module with what a training of dense layers of these `sizes` computes, on `examples` and `validation` digits.

    `gradient_tanh()`, `outcome_tanh()`, `update_adam()`, `pick()`, `augment()` and `nearer_W1()`, … make functions of an object
    of arrays; `rate_cosine(t, lr, total, warm)`, `first_xavier_normal(draw, fan_in, fan_out)` and `normal(u, v)` give numbers.
    """
    parts = [_pick(sizes[0], examples + validation), _augment(sizes[0])]
    parts += [_gradient(sizes, name) for name in ACTIVATIONS]
    parts += [_outcome(sizes, name, validation) for name in ACTIVATIONS]
    parts += [_update(name, sizes) for name in RULES]
    parts += [_rate(name) for name in SCHEDULES]
    parts += [_first(name) for name in INITIALIZATIONS if name != "orthogonal"]
    parts += [_nearer(name, shape) for name, shape in layer_shapes(sizes).items() if len(shape) == 2]
    return "\n".join((*parts, javascript.of(normal_of, "normal", u=(), v=())))


def _pick(inputs: int, examples: int) -> str:
    """The digits of a batch, by their rows in the data."""

    def pick(a):
        return {"x": a["pixels"][a["rows"]], "y": a["labels"][a["rows"]]}

    def data(n):
        return {"pixels": (examples, inputs), "labels": torch.zeros(examples), "rows": torch.arange(n)}

    return arrays("pick", trace_nests_of_any_size(pick, data, COUNT, max(BATCHES)))


def _augment(inputs: int) -> str:
    def augment(a):
        return {"augmented": augmented(a["x"], a["down"], a["right"], a["z"], noise=a["noise"])}

    def batch(n):
        moves = {name: torch.zeros(n, dtype=torch.float64) for name in ("down", "right")}
        return {"x": (n, inputs), "z": (n, inputs), "noise": ()} | moves

    return arrays("augment", trace_nests_of_any_size(augment, batch, COUNT, max(BATCHES)))


def _batch(sizes: tuple[int, ...]):
    return lambda n: layer_shapes(sizes) | {"x": (n, sizes[0]), "y": torch.arange(n) % sizes[-1]}


def _gradient(sizes: tuple[int, ...], activation: str) -> str:
    def gradient(a):
        w = {k: a[k] for k in layer_shapes(sizes)}
        loss, g = loss_and_gradient(w, a["x"], a["y"], count=a[COUNT], activation=activation)
        return {"loss": loss} | {f"gradient of {k}": x for k, x in g.items()}

    nests = trace_nests_of_any_size(gradient, _batch(sizes), COUNT, max(BATCHES))
    return arrays(f"gradient_{activation}", nests)


def _outcome(sizes: tuple[int, ...], activation: str, validation: int) -> str:
    def validate(a):
        w = {k: a[k] for k in layer_shapes(sizes)}
        return outcome(w, a["x"], a["y"], count=a[COUNT], activation=activation)

    nests = trace_nests_of_any_size(validate, _batch(sizes), COUNT, validation)
    return arrays(f"outcome_{activation}", nests)


def _update(name: str, sizes: tuple[int, ...]) -> str:
    """A rule on the numbers of one weight, however many these are."""
    rule, own = RULES[name], signature(RULES[name])

    def update(a):
        hyper, state = {k: a[k] for k in own.hyper}, [a[k] for k in own.state]
        w, new = step(on_tensors(rule), a["w"], a["g"], a["t"], state, hyper)
        return {f"new {k}": x for k, x in zip(("w", *own.state), (w, *new), strict=True)}

    def vectors(n):
        hyper = {k: torch.tensor(x, dtype=torch.float64) for k, x in own.hyper.items()}
        return dict.fromkeys(("w", "g", *own.state), (n,)) | {"t": torch.tensor(3.0, dtype=torch.float64)} | hyper

    most = max(rows * columns for rows, columns in zip(sizes, sizes[1:], strict=False))
    return arrays(f"update_{name}", trace_nests_of_any_size(update, vectors, COUNT, most))


def _rate(name: str) -> str:
    def rate(t, lr, total, warm):
        return scheduled_rate(t, lr=lr, total=total, name=name, warm=warm)

    return javascript.of(rate, f"rate_{name}", t=(), lr=(), total=(), warm=())


def _first(name: str) -> str:
    def first(draw, fan_in, fan_out):
        return INITIALIZATIONS[name](draw, fan_in, fan_out)

    return javascript.of(first, f"first_{name}", draw=(), fan_in=(), fan_out=())


def _nearer(name: str, shape: tuple[int, int]) -> str:
    nests = trace_nests(lambda a: {"nearer": nearer_orthogonal(a["x"])}, {"x": shape})
    return arrays(f"nearer_{name}", nests)
