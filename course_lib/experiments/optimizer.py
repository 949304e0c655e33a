"""A rule as a torch.optim.Optimizer, so that it trains real networks with everything PyTorch has around optimizers."""

from collections.abc import Callable

import torch
from torch.autograd.graph import increment_version

from course_lib.backends import numba_update, triton_update
from course_lib.backends.update import trace_update
from course_lib.experiments.settings import check_names
from course_lib.formulas.signature import signature, step

FUSED = {"cpu": numba_update, "cuda": triton_update}  # what updates all parameters of a device at once


class Optimizer(torch.optim.Optimizer):
    """Train `params` by `rule`; its hyperparameters are the parameter groups' options.

        optimizer = Optimizer(model.parameters(), momentum, lr=0.1)

    Works with parameter groups, learning-rate schedulers, closures and state_dict. With `fused=True` all parameters are updated
    by generated code in one pass over the memory, on the CPU by Numba and on a CUDA GPU by Triton; what these can't take (half
    precision, a transposed tensor, a GPU without Triton) is updated one by one as without it.

    Raises TypeError for an unknown hyperparameter and for a rule that takes the loss, ValueError for a value outside its limits
    and for fusing a rule in which parameters feel each other, RuntimeError for a sparse gradient.
    """

    def __init__(self, params, rule: Callable, *, fused: bool = False, **hyper):
        self.rule, self.signature = rule, signature(rule)
        if self.signature.takes_loss:
            raise TypeError(
                f"{self.signature.name} needs the loss as a function of all parameters in one vector. Run it with sweep(rule, loss, start, steps), or take a rule of (w, g, t)."
            )
        self.fused = trace_update(rule) if fused else None
        super().__init__(params, self.signature.hyper | self._checked(hyper))

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"rule": self.rule, "signature": self.signature, "fused": self.fused}

    def _checked(self, hyper: dict) -> dict:
        check_names((self.signature,), hyper)
        for name, value in hyper.items():
            self.signature.check(name, float(value))
        return hyper

    def add_param_group(self, param_group: dict) -> None:
        """Add parameters with their own hyperparameters; a misspelled one is an error, not silently ignored."""
        internal = {"params", "param_names", "initial_lr"}
        self._checked({k: v for k, v in param_group.items() if k not in internal})
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable | None = None):
        """Replace every parameter that has a gradient by the rule's w; returns the closure's loss, if there is one."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            hyper = {k: group[k] for k in self.signature.hyper}
            rows = {}
            for p in group["params"]:
                if p.grad is not None:
                    state = self._next(p, hyper)
                    tensors = [p, p.grad, *(state[k] for k in self.signature.state)]
                    if self.fused and _alike(tensors):
                        rows.setdefault((p.device, p.dtype, state["t"]), []).append(tensors)
                    else:
                        self._update(p, state, hyper)
            for (device, dtype, t), together in rows.items():
                if (
                    dtype in (torch.float32, torch.float64)
                    and device.type in FUSED
                    and FUSED[device.type].takes(device)
                ):
                    FUSED[device.type].apply(self.fused, together, [float(x) for x in hyper.values()], t)
                    increment_version(
                        [x for p, _, *states in together for x in (p, *states)]
                    )  # so that autograd sees what changed
                else:
                    for p, *_ in together:
                        self._update(p, self.state[p], hyper)
        return loss

    def _next(self, p: torch.Tensor, hyper: dict) -> dict:
        """The state of a parameter, at its next step."""
        if p.grad.is_sparse:
            raise RuntimeError(
                f"{self.signature.name} takes dense gradients, got a sparse one. Use sparse=False in the embedding."
            )
        state = self.state[p]
        if not state:
            state["t"] = 0
            state.update(self.signature.initial(p, hyper))
        state["t"] += 1
        return state

    def _update(self, p: torch.Tensor, state: dict, hyper: dict) -> None:
        w, new = step(self.rule, p, p.grad, state["t"], [state[k] for k in self.signature.state], hyper)
        new = [x.clone() if _shares(x, p) or _shares(x, p.grad) else x for x in new]  # both will change in place
        p.copy_(w)
        state.update(zip(self.signature.state, new, strict=True))


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
