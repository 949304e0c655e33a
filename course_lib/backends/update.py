"""A rule as what it does to one parameter: the program of an update in place, for rules that treat each parameter by itself.

>>> print(trace_update(momentum))
momentum: w, g, delta -> w, delta
  once a step: _2 = 1 - momentum
  …
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.backends.loop import needed, without_whole_powers
from course_lib.backends.program import Atom, Instruction
from course_lib.backends.python_math import on_tensors
from course_lib.backends.trace import trace
from course_lib.formulas.signature import signature, step


@dataclass(frozen=True)
class Update:
    """`scalars` are computed once a step, for all parameters; `body` for each parameter.

    `inputs` are the names of a parameter, its gradient and its state; `outputs`, what replaces the parameter and the state.
    What the body reads of the scalars, of `t` and of the hyperparameters is in `read`.
    """

    name: str
    inputs: tuple[str, ...]
    hyper: tuple[str, ...]
    scalars: tuple[Instruction, ...]
    body: tuple[Instruction, ...]
    outputs: tuple[Atom, ...]

    @property
    def read(self) -> tuple[str, ...]:
        """The scalars that the body reads, hyperparameters and `t` among them."""
        own = {*self.inputs, *(i.name for i in self.body)}
        atoms = [*(a for i in self.body for a in i.args), *self.outputs]
        return tuple(dict.fromkeys(a for a in atoms if isinstance(a, str) and a not in own))

    def __hash__(self) -> int:
        return hash(
            (self.name, self.hyper, self.outputs)
        )  # of a few parts, as it is asked for in every step of a training

    def __str__(self) -> str:
        line = f"{self.name}: {', '.join(self.inputs)} -> {', '.join((self.inputs[0], *self.inputs[2:]))}"
        return "\n".join((line, *(f"  once a step: {i}" for i in self.scalars), *(f"  {i}" for i in self.body)))


def trace_update(rule: Callable) -> Update:
    """Trace one step of `rule` on two parameters at once, and keep what it does to the first.

    Raises ValueError for a rule in which one parameter feels another, as in a norm, and for what can't be traced; TypeError for
    a rule that takes the loss.
    """
    own = signature(rule)
    if own.takes_loss:
        raise TypeError(
            f"{own.name} needs the loss, not only the gradient at one parameter: it has no update of single parameters."
        )
    first = own.initial(torch.zeros(2, dtype=torch.float64), own.hyper)
    if odd := [k for k, x in first.items() if tuple(x.shape) not in ((), (2,))]:
        raise ValueError(
            f"{own.name} keeps `{odd[0]}` of the shape {tuple(first[odd[0]].shape)} for two parameters, so it does not treat each by itself."
        )

    rule_of = on_tensors(rule)

    def update(given, state, time, hyper):
        new, states = step(rule_of, given["w"], given["g"], time["t"], list(state.values()), hyper)
        return {"w": new} | {k: torch.as_tensor(x).expand(2) for k, x in zip(own.state, states, strict=True)}

    program = without_whole_powers(
        trace(
            update,
            dict.fromkeys("wg", (2,)),
            dict.fromkeys(own.state, (2,)),
            {"t": ()},
            dict.fromkeys(own.hyper, ()),
            name=own.name,
        )
    )
    outputs = [atoms[0] for atoms in program.outputs.values()]
    instructions = needed(program.instructions, set(outputs))
    if any(a in (f"{k}[1]" for k in ("w", "g", *own.state)) for i in instructions for a in i.args):
        raise ValueError(
            f"{own.name} lets one parameter feel another, as in a norm or a mean over all, so it has no update of single parameters."
        )
    common, scalars, body = {"t", *own.hyper}, [], []
    for i in instructions:
        shared = all(a in common for a in i.args if isinstance(a, str))
        (scalars if shared else body).append(i)
        common |= {i.name} if shared else set()
    inputs = tuple(f"{k}[0]" for k in ("w", "g", *own.state))
    return Update(own.name, inputs, tuple(own.hyper), tuple(scalars), tuple(body), tuple(outputs))
