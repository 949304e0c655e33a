"""How near to each other the answers of the machines are: to rounding in float64, and in float32 rule by rule.

The deviation of a run is the largest |a - b| / (1 + |b|) over its steps and coordinates: relative where a coordinate is large,
absolute where it is small. In float64 it is at most 1e-12 without transcendental functions, else 1e-9. In float32 a machine may
fuse a product and a sum, which rounds once instead of twice. How far that carries depends on the rule: see FLOAT32.

These are promises for the first STEPS steps of a run that is moderate (no coordinate reaches MODERATE) and steady (PyTorch's own
float32 and float64 deviate by less than STEADY). In other runs a last bit decides where they go, on any machine.

    python -m course_lib.experiments.tolerances [rule …]    measures them: the largest deviation of Numba from PyTorch
"""

import sys
from collections.abc import Callable

import torch

from course_lib.backends.loop import take_apart
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments.sweep import sweep
from course_lib.formulas.catalog import CATALOG, RULES, SECOND_ORDER
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import SURFACES, Surface

STEPS, MODERATE, STEADY = 30, 1e3, 1e-4
TYPICAL = 1e-6  # in float32 half of the runs of any rule on any surface deviate less

# Two times and more of the largest deviation that `python -m course_lib.experiments.tolerances` prints, on a CPU with AVX2 and FMA;
# a GPU, whose quotients are approximate, was not measured. The largest of 2,000 runs hangs on a few starts: between two draws of
# them it changed up to tenfold. The numbers stand beside the rules, in the catalog. Why they differ:
#
# - A step in proportion to the gradient, 2e-4 to 1e-3: at the largest rates that do not diverge, each step across a steep wall
#   multiplies what the last one left, and an average over the gradients carries it on.
# - The sign alone, 5e-7 to 1e-6: a last bit of the gradient is lost, unless the gradient is nearly 0. Rprop deviated in no run;
#   in PyTorch's spelling, 1e-4, one of 2,734 runs did, where a gradient all but vanished.
# - A gradient over a long average of its own size (Adagrad, Adam, AMSGrad, Adamax), 1e-6 to 5e-6: steps of about lr, whatever
#   the gradient's last bits are.
# - Over a shorter one, or with ε alone below it (Adadelta, RMSprop), 3e-4 to 3e-3: near a minimum a small number is divided by a
#   small number, so that at rates of 0.1 and more the steps there are as long as elsewhere, from wall to wall.
# - As Adam, but NAdam and LAMB jump from wall to wall, too, at 100 times their default rates, and RAdam begins as momentum:
#   3e-4 to 1e-3.
# - A Hessian that is nearly singular, and a line search that compares losses, 3e-3 to 4e-3: a last bit may halve a step.
FLOAT32 = {name: entry.float32 for name, entry in CATALOG.items() if entry.float32 is not None}

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # times the default
STARTS, FAR, FEW = 64, 100.0, 8  # FAR times the default, from the first FEW starts


def deviation(path: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """The deviation of each run, (runs,), between two paths of the shape (steps + 1, runs, n).

    It is inf where one of them is NaN, or infinite alone.
    """
    distance = (path - expected).abs() / (1 + expected.abs())
    return distance.masked_fill(path == expected, 0.0).nan_to_num(torch.inf).amax(dim=(0, 2))


def has_tolerance(single: torch.Tensor, double: torch.Tensor) -> torch.Tensor:
    """Which runs are moderate and steady, (runs,), by PyTorch's paths of at most STEPS steps in float32 and in float64."""
    return (single.abs().amax(dim=(0, 2)) < MODERATE) & (deviation(single.double(), double) < STEADY)


def tolerance(rule: Callable, surface: Callable, dtype: torch.dtype) -> float:
    """The largest deviation that is allowed between two machines, for two coordinates.

    Raises ValueError for a precision that only PyTorch computes in, and in float32 for a rule that is not in FLOAT32.
    """
    if dtype == torch.float64:
        return 1e-12 if take_apart(trace_descent(rule, surface), loss=False).exact else 1e-9
    name = signature(rule).name
    if dtype != torch.float32 or name not in FLOAT32:
        raise ValueError(
            f"No tolerance has been measured for {name} in {str(dtype).removeprefix('torch.')}. In float32 there is one for: {', '.join(FLOAT32)}."
        )
    return FLOAT32[name]


def runs(
    rule: Callable, surface: Surface, starts: int = STARTS, rates=RATES, far: int = FEW
) -> dict[str, torch.Tensor]:
    """A sweep's start and, where the rule has one, lr: from the surface's start and others drawn from its domain, each with all
    `rates` times the default, and from the first `far` of them with FAR times."""
    low, high = torch.tensor(surface.domain).T
    drawn = low + torch.rand(starts - 1, 2, generator=torch.Generator().manual_seed(1)) * (high - low)
    start = torch.cat([torch.tensor([surface.start]), drawn])
    if "lr" not in signature(rule).hyper:
        return {"start": start}
    factors = torch.tensor([*rates]).repeat_interleave(len(start))
    factors = torch.cat([factors, torch.full((far,), FAR)])
    return {"start": torch.cat([start.repeat(len(rates), 1), start[:far]]), "lr": signature(rule).hyper["lr"] * factors}


def deviations(rule: Callable, surface: Surface, **setting) -> torch.Tensor:
    """How far Numba deviates from PyTorch in float32, in those of `runs` for which a tolerance is promised."""
    setting = setting or runs(rule, surface)
    by = lambda machine, dtype: sweep(rule, surface.formula, steps=STEPS, machine=machine, dtype=dtype, **setting)
    expected = by("torch", torch.float32)
    return deviation(by("numba", torch.float32), expected)[has_tolerance(expected, by("torch", torch.float64))]


def main(names: list[str]) -> None:
    """Print for each rule the largest deviation over all surfaces, and how many times of it its tolerance is."""
    rules = {name: rule for name, rule in (RULES | SECOND_ORDER).items() if name in (names or FLOAT32)}
    if unknown := set(names) - set(rules):
        raise SystemExit(f"No such rule: {', '.join(sorted(unknown))}. There are: {', '.join(RULES | SECOND_ORDER)}.")
    print(f"{'rule':22} {'runs':>6} {'median':>8} {'largest':>8} {'float32':>8}")
    for name, rule in rules.items():
        found = torch.cat([deviations(rule, surface) for surface in SURFACES.values()])
        promised = f"{FLOAT32[name]:8.0e}" if name in FLOAT32 else "    none"
        print(f"{name:22} {len(found):6,} {found.median():8.1e} {found.max():8.1e} {promised}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
