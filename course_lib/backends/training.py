"""The training of a small network as nests of loops: what a browser runs for every pixel of a map of trainability."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from course_lib.backends.nests import Load, Nest, Nests, affine, contiguous, variables
from course_lib.backends.trace_nests import trace_nests
from course_lib.formulas.signature import Signature, signature

WEIGHTS = ("W", "V")
INPUTS = (*WEIGHTS, "x", "y")
TAKEN = {"scale": "the scale of the first weights", "loss": "the loss before the step"}


@dataclass(frozen=True)
class Training:
    """`first` writes the weights at t = 0, from `hyper`; `step` writes `loss`, at the weights before the step, and the new weights.

    `weights` are their shapes, `constants` the arrays that never change, `arrays` all others that a step writes, with their sizes.
    """

    name: str
    weights: dict[str, tuple[int, ...]]
    hyper: tuple[str, ...]
    first: Nests
    step: Nests

    @property
    def constants(self) -> dict:
        return {**self.first.constants, **self.step.constants}

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        return {
            k: shape for nests in (self.first, self.step) for k, shape in nests.made.items() if k not in self.weights
        }


def signature_of(step: Callable) -> Signature:
    """What a formula of training says of itself: `step(W, V, x, y, *, lr=1.0) -> W, V`. Raises TypeError for another one."""
    found = signature(step, inputs=INPUTS)
    if found.inputs != INPUTS or found.state:
        raise TypeError(
            f"{found.name} must take the arguments ({', '.join(INPUTS)}) and, after a `*`, hyperparameters, got ({', '.join((*found.inputs, *found.state))})."
        )
    for name in TAKEN.keys() & found.hyper.keys():
        raise TypeError(f"{found.name} has a hyperparameter `{name}`, which is {TAKEN[name]} here: rename it.")
    return found


def new_weights(step: Callable, W, V, x, y, hyper: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """One step. Raises TypeError where it returns something else than W and V in their shapes."""
    new = step(W, V, x, y, **hyper)
    if not isinstance(new, tuple) or [getattr(w, "shape", None) for w in new] != [W.shape, V.shape]:
        got = ", ".join(
            str(tuple(w.shape)) if hasattr(w, "shape") else type(w).__name__
            for w in (new if isinstance(new, tuple) else [new])
        )
        raise TypeError(
            f"{signature_of(step).name} must return the new W and V, of the shapes {tuple(W.shape)} and {tuple(V.shape)}, got {got}."
        )
    return new


def trace_training(
    step: Callable, W: torch.Tensor, V: torch.Tensor, x: torch.Tensor, y: torch.Tensor, loss: Callable
) -> Training:
    """Trace `step` and `loss(W, V, x, y)`. The weights begin at `scale` times W and V, and `scale` is one more hyperparameter.

    Raises TypeError for a formula of another form, ValueError for one that has no form as nests of loops.
    """
    found = signature_of(step)
    hyper = dict.fromkeys(("scale", *found.hyper), ())

    def first(given: dict) -> dict:
        return {name: given["scale"] * w for name, w in zip(WEIGHTS, (W, V), strict=True)}

    def one_step(given: dict) -> dict:
        weights = [given[name] for name in WEIGHTS]
        before = loss(*weights, x, y)  # first: a step may write into the weights
        new = new_weights(step, *weights, x, y, {k: given[k] for k in found.hyper})
        return {"loss": before} | {f"next {name}": w for name, w in zip(WEIGHTS, new, strict=True)}

    shapes = {name: tuple(w.shape) for name, w in zip(WEIGHTS, (W, V), strict=True)}
    begun = _renamed(trace_nests(first, {"scale": ()}), "start")
    made = trace_nests(one_step, shapes | {h: () for h in hyper})
    return Training(found.name, shapes, tuple(hyper), begun, _in_place(made, shapes))


def _renamed(nests: Nests, prefix: str) -> Nests:
    """With other names for the constants, so that two traces can stand in one text."""
    new = {k: f"{prefix} {k}" for k in nests.constants}
    lines = [
        replace(
            n, lines=tuple(replace(x, array=new.get(x.array, x.array)) if isinstance(x, Load) else x for x in n.lines)
        )
        for n in nests.nests
    ]
    return replace(nests, constants={new[k]: x for k, x in nests.constants.items()}, nests=tuple(lines))


def _in_place(nests: Nests, shapes: dict[str, tuple[int, ...]]) -> Nests:
    """The new weights written over the old ones: at once where nobody reads the old ones later or elsewhere, else from a copy."""
    written, copies = [], []
    for k, nest in enumerate(nests.nests):
        name = nest.target.removeprefix("next ")
        if nest.target == name:
            written.append(nest)
            continue
        own = (
            all(x.index == nest.index for x in nest.lines if isinstance(x, Load) and x.array == name) and not nest.over
        )
        later = any(isinstance(x, Load) and x.array == name for other in nests.nests[k + 1 :] for x in other.lines)
        if own and not later:
            written.append(replace(nest, target=name))
        else:
            written.append(nest)
            place = affine(contiguous(shapes[name]), variables("i", shapes[name]))
            copies.append(Nest(name, shapes[name], (), (Load("#0", nest.target, place),), "#0"))
    return replace(nests, nests=(*written, *copies), outputs=("loss", *shapes))
