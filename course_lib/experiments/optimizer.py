"""A rule as a torch.optim.Optimizer, so that it trains real networks with everything PyTorch has around optimizers."""

from collections.abc import Callable

import torch

from course_lib.formulas.signature import signature, step


class Optimizer(torch.optim.Optimizer):
    """Train `params` by `rule`; its hyperparameters are the parameter groups' options.

        optimizer = Optimizer(model.parameters(), momentum, lr=0.1)

    Works with parameter groups, learning-rate schedulers, closures and state_dict. Raises TypeError for an unknown
    hyperparameter and for a rule that takes the loss, ValueError for a value outside its limits, and RuntimeError for a
    sparse gradient.
    """

    def __init__(self, params, rule: Callable, **hyper):
        self.rule, self.signature = rule, signature(rule)
        if self.signature.takes_loss:
            raise TypeError(f"{self.signature.name} needs the loss as a function of all parameters in one vector. Run it with sweep(rule, loss, start, steps), or take a rule of (w, g, t).")
        super().__init__(params, self.signature.hyper | self._checked(hyper))

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"rule": self.rule, "signature": self.signature}

    def _checked(self, hyper: dict) -> dict:
        name, known = self.signature.name, self.signature.hyper
        for key, value in hyper.items():
            if key not in known:
                raise TypeError(f"{name} has no hyperparameter `{key}`. It has: {', '.join(known) or 'none'}.")
            self.signature.check(key, float(value))
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
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, hyper)
        return loss

    def _update(self, p: torch.Tensor, hyper: dict) -> None:
        if p.grad.is_sparse:
            raise RuntimeError(f"{self.signature.name} takes dense gradients, got a sparse one. Use sparse=False in the embedding.")
        state = self.state[p]
        if not state:
            state["t"] = 0
            state.update(self.signature.initial(p, hyper))
        state["t"] += 1
        w, new = step(self.rule, p, p.grad, state["t"], [state[k] for k in self.signature.state], hyper)
        new = [x.clone() if _shares(x, p) or _shares(x, p.grad) else x for x in new]  # both will change in place
        p.copy_(w)
        state.update(zip(self.signature.state, new, strict=True))


def _shares(x, y: torch.Tensor) -> bool:
    return isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
