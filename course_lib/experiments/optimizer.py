"""A rule as a torch.optim.Optimizer, so that it trains real networks with everything PyTorch has around optimizers."""

import contextlib
import re
from collections.abc import Callable

import torch
from torch.autograd.graph import increment_version

from course_lib.backends import numba_update, triton_update
from course_lib.backends.python_math import on_tensors
from course_lib.backends.update import trace_update
from course_lib.experiments.number import Checked, Checking, Number
from course_lib.experiments.settings import check_names, number
from course_lib.formulas.signature import signature, step

FUSED = {"cpu": numba_update, "cuda": triton_update}  # what updates all parameters of a device at once
OPTIONS = {"params", "param_names", "name"}  # of a parameter group beside the hyperparameters
SCHEDULED = {
    "initial_lr",
    "max_lr",
    "min_lr",
    "base_momentum",
    "max_momentum",
    "swa_lr",
}  # what PyTorch's schedulers note there


class Optimizer(torch.optim.Optimizer):
    """Train `params` by `rule`; its hyperparameters are the parameter groups' options.

        optimizer = Optimizer(model.parameters(), momentum, lr=0.1)

    Works with parameter groups (which may have a `name`), learning-rate schedulers, closures and state_dict. A group of a rule with
    beta1, beta2, … has `betas`, too, the same numbers, for schedulers that cycle the momentum. Complex parameters are pairs of real
    numbers, as in torch.optim. With `fused=True` all parameters are updated by generated code in one pass over the memory, on the
    CPU by Numba and on a CUDA GPU by Triton; what these can't take (half precision, a transposed tensor, a GPU without Triton) is
    updated one by one as without it. All of those are computed before the first is written: a step that fails changes nothing.

    Raises TypeError for an unknown hyperparameter, one that is no number, and a rule that takes the loss; ValueError for a value
    outside its limits, a state_dict of another rule, fusing a rule in which parameters feel each other, and for what can't be
    computed in a sweep either, as float(t); RuntimeError for a sparse gradient.
    """

    def __init__(self, params, rule: Callable, *, fused: bool = False, **hyper):
        self.rule, self.signature = rule, signature(rule)
        if self.signature.takes_loss:
            raise TypeError(
                f"{self.signature.name} needs the loss as a function of all parameters in one vector. Run it with sweep(rule, loss, start, steps), or take a rule of (w, g, t)."
            )
        self.fused = trace_update(rule) if fused else None
        self._on_tensors, self._checks = on_tensors(rule), False
        super().__init__(params, _Group(self.signature.hyper | self._checked(hyper)))

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"rule": self.rule, "signature": self.signature, "fused": self.fused}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._on_tensors, self._checks = on_tensors(self.rule), False
        self.param_groups = [_Group(group) for group in self.param_groups]

    def _checked(self, hyper: dict) -> dict:
        check_names((self.signature,), hyper)
        for name, value in hyper.items():
            self.signature.check(name, number(name, value))
        return hyper

    def add_param_group(self, param_group: dict) -> None:
        """Add parameters with their own hyperparameters; a misspelled one is an error, not silently ignored."""
        if isinstance(param_group, dict):  # torch.optim says what else is wrong
            self._checked({k: v for k, v in param_group.items() if k not in OPTIONS | SCHEDULED})
            param_group = _Group(param_group)
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on where another Optimizer with this rule stopped. Raises ValueError for the state_dict of another rule."""
        own, groups = self.signature, state_dict["param_groups"]
        hyper = {tuple(k for k in group if k not in OPTIONS | SCHEDULED) for group in groups}
        states = {tuple(state) for state in state_dict["state"].values()}
        if any({*h} != {*own.hyper} for h in hyper) or any({*s} != {"t", *own.state} for s in states):
            saved = [", ".join(next(iter(x), ())) or "none" for x in (hyper, states)]
            raise ValueError(
                f"This state_dict was saved by another rule: its hyperparameters are ({saved[0]}) and its state is ({saved[1]}). "
                f"{own.name} has ({', '.join(own.hyper) or 'none'}) and ({', '.join(('t', *own.state))})."
            )
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def step(self, closure: Callable | None = None):
        """Replace every parameter that has a gradient by the rule's w; returns the closure's loss, if there is one."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        alone, rows = [], {}
        for k, group in enumerate(self.param_groups):
            hyper = {name: Number(number(name, group[name])) for name in self.signature.hyper}
            for p in group["params"]:
                if p.grad is not None:
                    state = self._state(p, hyper)
                    tensors = [_real(p), _real(p.grad), *(state[name] for name in self.signature.state)]
                    if self._fuses(tensors):
                        rows.setdefault((k, p.device, p.dtype, state["t"]), []).append((p, state, tensors, hyper))
                    else:
                        alone.append((p, state, self._computed(tensors, state["t"], hyper)))
        for p, state, (w, new) in alone:
            _real(p).copy_(w)
            self.state[p] = state | dict(zip(self.signature.state, new, strict=True))
        for (_, device, _, t), together in rows.items():
            tensors = [x for _, _, x, _ in together]
            FUSED[device.type].apply(self.fused, tensors, [x.real for x in together[0][3].values()], t)
            increment_version(
                [x for w, _, *states in tensors for x in (w, *states)]
            )  # so that autograd sees what changed
            self.state.update({p: state for p, state, *_ in together})
        return loss

    def _state(self, p: torch.Tensor, hyper: dict) -> dict:
        """A parameter's state for its next step; what is kept of it stays as it was."""
        if p.grad.is_sparse:
            raise RuntimeError(
                f"{self.signature.name} takes dense gradients, got a sparse one. Use sparse=False in the embedding."
            )
        kept = self.state.get(p) or {"t": 0, **self.signature.initial(_real(p), hyper)}
        return kept | {"t": kept["t"] + 1}

    def _computed(self, tensors: list[torch.Tensor], t: int, hyper: dict) -> tuple[torch.Tensor, list]:
        """The new w and the new state, in tensors of their own. A parameter's first step is checked: see Checking."""
        w, g, *state = tensors
        if t > 1 and not self._checks:
            with contextlib.suppress(TypeError):  # of a function that takes no number: then once more, checked
                return self._apart(w, g, state, *step(self._on_tensors, w, g, Number(t), state, hyper))
        with Checking() as mode:
            checked = {name: Checked(x.real) for name, x in hyper.items()}
            found = step(self._on_tensors, w, g, Checked(t), state, checked)
        self._checks |= mode.needed
        return self._apart(w, g, state, *found)

    @staticmethod
    def _apart(w, g, state: list, w_new: torch.Tensor, new: tuple) -> tuple[torch.Tensor, list]:
        """The same values, in memory that is neither w's nor g's: both will change in place."""
        new = [x if isinstance(x, torch.Tensor) else torch.full_like(old, x) for x, old in zip(new, state, strict=True)]
        return w_new, [x.clone() if _shares(x, w) or _shares(x, g) else x for x in new]

    def _fuses(self, tensors: list[torch.Tensor]) -> bool:
        p = tensors[0]
        return (
            self.fused is not None
            and p.dtype in (torch.float32, torch.float64)
            and p.device.type in FUSED
            and FUSED[p.device.type].takes(p.device)
            and _alike(tensors)
        )


class _Group(dict):
    """A parameter group in which `betas` is the tuple of beta1, beta2, …: PyTorch's schedulers look for it."""

    def _names(self) -> list[str]:
        return sorted(k for k in self if re.fullmatch(r"beta\d", k))

    def __contains__(self, key) -> bool:
        return super().__contains__(key) or key == "betas" and bool(self._names())

    def __missing__(self, key):
        if key in self:
            return tuple(self[k] for k in self._names())
        raise KeyError(key)

    def __setitem__(self, key, value) -> None:
        if key == "betas" and key in self:
            self.update(zip(self._names(), value, strict=True))
        else:
            super().__setitem__(key, value)


def _real(x: torch.Tensor) -> torch.Tensor:
    """A complex tensor as pairs of real numbers, (…, 2), in the same memory; any other as it is."""
    return torch.view_as_real(x) if x.is_complex() else x


def _alike(tensors: list[torch.Tensor]) -> bool:
    """Whether all lie alike in memory, so that one index counts through them. It is asked for each parameter in each step."""
    p, *others = tensors
    device, dtype, size = p.device, p.dtype, p.numel()
    for x in others:
        if (
            not isinstance(x, torch.Tensor)
            or x.dtype is not dtype
            or x.numel() != size
            or not x.is_contiguous()
            or x.device != device
        ):
            return False
    return p.is_contiguous()


def _shares(x, y: torch.Tensor) -> bool:
    return isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
