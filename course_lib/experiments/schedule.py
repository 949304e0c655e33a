"""A schedule as one of PyTorch's schedulers: the rates of an optimizer as a pure function of the steps taken."""

from collections.abc import Callable

import torch
from torch.optim.lr_scheduler import LRScheduler

from course_lib.experiments.settings import number, whole_number
from course_lib.formulas.signature import signature


class ScheduleLR(LRScheduler):
    """Sets every group's rate to `schedule(t)`, whose `lr` is the rate that the group began with. `as_scheduler` makes it."""

    def __init__(self, schedule: Callable, optimizer: torch.optim.Optimizer, t: int, hyper: dict):
        self.schedule, self.hyper = schedule, hyper
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", number("lr", group["lr"]))
        super().__init__(optimizer, last_epoch=t - 1)  # its first step adds 1

    def get_lr(self) -> list[float]:
        """The rates after `last_epoch` steps, one for each group, from nothing but this number."""
        return [self.schedule(self.last_epoch, lr=number("lr", lr), **self.hyper) for lr in self.base_lrs]

    def state_dict(self) -> dict:
        """How many steps were taken, and the rates that the groups began with."""
        return {"last_epoch": self.last_epoch, "base_lrs": [number("lr", lr) for lr in self.base_lrs]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on where another scheduler stopped: the groups have their rates at once, whatever was loaded before or after what.

        Raises ValueError for a state_dict of another kind of scheduler, or of an optimizer with another number of groups.
        """
        if set(state_dict) != {"last_epoch", "base_lrs"}:
            raise ValueError(f"This state_dict was saved by another scheduler: it has {', '.join(state_dict)}.")
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"This state_dict is of {len(state_dict['base_lrs'])} parameter groups, and the optimizer has {len(self.base_lrs)}."
            )
        self.base_lrs = [*state_dict["base_lrs"]]
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["initial_lr"] = lr
        self._update_lr(whole_number("last_epoch", state_dict["last_epoch"]))

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._last_lr = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, self._last_lr):
            group["lr"].fill_(lr) if isinstance(group["lr"], torch.Tensor) else group.update(lr=lr)


def as_scheduler(schedule: Callable, optimizer: torch.optim.Optimizer, *, t: int = 0, **hyper) -> ScheduleLR:
    """A scheduler of PyTorch's kind for any optimizer: call its `step()` after each `optimizer.step()`.

        scheduler = as_scheduler(warm_restarts, optimizer, T_0=10, T_mult=2)

    Each parameter group begins at its own rate, which is the schedule's `lr`. `t` is how many steps were taken before.
    The rates depend on the number of steps alone, so a run that is resumed goes on as it would have: load the two state_dicts
    in any order, or make the scheduler anew with that t. Raises TypeError for an `lr` and for an unknown hyperparameter;
    ValueError for one outside of its limits.
    """
    own = signature(schedule, inputs=("t",))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"as_scheduler takes a schedule, then an Optimizer of torch, got {type(optimizer).__name__}.")
    if "lr" in hyper:
        raise TypeError(
            f"{own.name} takes its lr from the optimizer's parameter groups. Set it there: lr={hyper['lr']}."
        )
    if unknown := set(hyper) - set(own.hyper):
        raise TypeError(f"{own.name} has no `{min(unknown)}`. It has: {', '.join(own.hyper)}.")
    for name, value in hyper.items():
        own.check(name, number(name, value))
    return ScheduleLR(schedule, optimizer, whole_number("t", t), hyper)
