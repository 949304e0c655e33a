"""How PyTorch spells each schedule: lines of code with a place for each number, for the page to fill in as for Python."""

import re

# The classes of torch.optim.lr_scheduler, and the call.
CALLS = {
    "constant": ("ConstantLR", "ConstantLR(optimizer, factor=1)"),
    "time_based": ("LambdaLR", "LambdaLR(optimizer, lambda t: 1 / (1 + {decay} * t))"),
    "step": ("StepLR", "StepLR(optimizer, step_size={every}, gamma={gamma})"),
    "multi_step": (
        "MultiStepLR",
        "MultiStepLR(\n    optimizer, milestones=[{first}, {second}, {third}], gamma={gamma})",
    ),
    "exponential": ("ExponentialLR", "ExponentialLR(optimizer, gamma=math.exp(-{k}))"),
    "linear": ("LinearLR", "LinearLR(\n    optimizer, start_factor=1, end_factor={floor} / {lr}, total_iters={total})"),
    "cosine": ("CosineAnnealingLR", "CosineAnnealingLR(optimizer, T_max={total}, eta_min={floor})"),
    "warm_restarts": (
        "CosineAnnealingWarmRestarts",
        "CosineAnnealingWarmRestarts(\n    optimizer, T_0={T_0}, T_mult={T_mult}, eta_min={floor})",
    ),
    "polynomial": ("PolynomialLR", "PolynomialLR(optimizer, total_iters={total}, power={power})"),
    "one_cycle": (
        "OneCycleLR",
        "OneCycleLR(\n    optimizer, max_lr={lr}, total_steps={total}, pct_start={pct_start},\n"
        "    div_factor={div_factor}, final_div_factor={final_div_factor},\n"
        "    cycle_momentum=False)",
    ),
    "inverse_square_root": ("LambdaLR", "LambdaLR(optimizer, lambda t: (1 + t / {timescale}) ** -0.5)"),
}


def spelling(name: str, with_warmup: bool) -> str:
    """The lines of a schedule, with `{lr}` and the like where a number goes."""
    kind, call = CALLS[name]
    kinds = sorted({kind, "LinearLR", "SequentialLR"} if with_warmup else {kind})
    lines = ["import torch", f"from torch.optim.lr_scheduler import {', '.join(kinds)}"]
    if len(lines[1]) > 79:
        lines[1] = "from torch.optim.lr_scheduler import (\n    " + ", ".join(kinds) + ")"
    lines[:0] = ["import math"] * ("math." in call)
    lines += ["", "optimizer = torch.optim.SGD(model.parameters(), lr={lr})"]
    if with_warmup:
        lines += [
            "first = LinearLR(optimizer, start_factor={start}, total_iters={warmup})",
            f"then = {call}",
            "scheduler = SequentialLR(optimizer, [first, then], milestones=[{warmup}])",
        ]
    else:
        lines += [f"scheduler = {call}"]
    return "\n".join((*lines, "# in the loop: optimizer.step(), then scheduler.step()"))


def filled(template: str, values: dict[str, float]) -> str:
    """The lines with these numbers, whole ones without a point."""
    number = lambda x: str(int(x)) if x == int(x) else repr(float(x))
    return re.sub(r"\{(\w+)\}", lambda place: number(values[place[1]]), template)
