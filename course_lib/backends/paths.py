"""A formula as Python reads it: an `if` on a value is followed both ways, and what can't be a tensor program is refused in a sentence.

    >>> on_every_path(lambda: {"y": -x if x < 0 else x}, depends)  # the same as {"y": torch.where(x < 0, -x, x)}

Tracing and vmap run a formula once for all values, so that `if t == 1`, `min(1, t / 10)` or `g if g.norm() < 1 else g / g.norm()`
have no answer there. The formula is run once for each answer, and torch.where chooses between the results.
"""

import sys
from collections.abc import Callable

import torch
from torch._C import _functorch
from torch.overrides import TorchFunctionMode

DEEPEST = 6  # questions that one run of a formula may ask; each of them doubles the number of runs
CONVERSIONS = {
    "__float__": "`float(x)`",
    "__int__": "`int(x)`",
    "__index__": "`range(x)`",
    "__complex__": "`complex(x)`",
    "item": "`x.item()`",
    "tolist": "`x.tolist()`",
    "numpy": "NumPy",
    "__array__": "NumPy",
    "equal": "`torch.equal`",
    "allclose": "`torch.allclose`",
    "is_nonzero": "`torch.is_nonzero`",
}
RANDOM = set(
    "rand rand_like randn randn_like randint randint_like randperm normal normal_ uniform_ exponential_ bernoulli bernoulli_ "
    "multinomial".split()
)
ADVICE = "Compute with torch's functions, as in torch.cos(t), and choose between values with torch.where"


class Question(BaseException):
    """Asked by `if x:`, to be answered both ways; no Exception, so that no formula catches it."""

    def __init__(self, condition: torch.Tensor):
        self.condition = condition


class Reading(TorchFunctionMode):
    """While the mode is on, a tensor for which `depends` holds is no Python number: its truth is one of `answers`, in their order."""

    def __init__(self, depends: Callable[[torch.Tensor], bool], answers: tuple[bool, ...] = ()):
        super().__init__()
        self.depends, self.answers, self.asked = depends, answers, 0
        self.level = _level()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in RANDOM:
            raise ValueError(sentence(f"`{name}` draws random numbers, which a formula must be given as an argument"))
        if name == "__bool__":
            return self._truth(args[0], func)
        if name in CONVERSIONS and any(isinstance(x, torch.Tensor) and self.depends(x) for x in args):
            raise ValueError(conversion(CONVERSIONS[name]))
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and _holds_tensors(args[0]):
            return _as_tensor(*args, copy=func is torch.tensor, **kwargs)
        if name == "full_like" and isinstance(args[1], torch.Tensor):
            return torch.zeros_like(args[0], **kwargs) + args[1]
        if name == "__setitem__" and _is_mask(*args):
            return args[0].copy_(torch.where(args[1], args[2], args[0]))
        factor = next((k for k in ("alpha", "value") if isinstance(kwargs.get(k), torch.Tensor)), None)
        if factor and name.rstrip("_") in SCALED:
            return self._scaled(func, name, args, kwargs, factor)
        return func(*args, **kwargs)

    def _truth(self, x: torch.Tensor, func) -> bool:
        if not self.depends(x):
            return func(x)
        if self.depends is is_batched and (alike := _alike(x)) is not None:
            return alike
        self.asked += 1
        if self.asked <= len(self.answers):
            return self.answers[self.asked - 1]
        if self.asked > DEEPEST:
            raise ValueError(
                sentence(
                    f"more than {DEEPEST} questions are asked about values, as in a `while` that waits for one. Make a fixed number of rounds, and choose between values with torch.where"
                )
            )
        raise Question(self._lifted(x))

    def _lifted(self, x: torch.Tensor) -> torch.Tensor:
        """The condition as it is outside of the derivatives in which it was asked."""
        while _functorch.is_gradtrackingtensor(x) and _functorch.maybe_get_level(x) > self.level:
            x = _functorch.get_unwrapped(x)
        if _functorch.is_functorch_wrapped_tensor(x) and _functorch.maybe_get_level(x) > self.level:
            raise ValueError(sentence("an `if` asks for a value inside of torch.func. Choose with torch.where there"))
        return x.detach()

    def _scaled(self, func, name: str, args, kwargs: dict, factor: str):
        """`torch.add(x, y, alpha=a)` for a tensor a, which PyTorch takes for a number only."""
        first, *others = args
        others[0] = kwargs[factor] * others[0]
        return func(first, *others, **{k: x for k, x in kwargs.items() if k != factor})


SCALED = {"add", "sub", "subtract", "addcmul", "addcdiv"}


def on_every_path(compute: Callable, depends: Callable[[torch.Tensor], bool], answers: tuple[bool, ...] = ()):
    """What `compute()` returns (tensors and numbers in tuples and dicts), with an `if` on a value followed both ways.

    `depends` says of a tensor whether its value is unknown. Raises ValueError, with the formula's line, for more than DEEPEST
    such questions, for a tensor that becomes a Python number and for randomness.
    """
    try:
        with Reading(depends, answers):
            return compute()
    except Question as question:
        yes, no = (on_every_path(compute, depends, (*answers, answer)) for answer in (True, False))
        return _chosen(question.condition, yes, no)


def _chosen(condition: torch.Tensor, yes, no):
    if isinstance(yes, dict):
        return {k: _chosen(condition, yes[k], no[k]) for k in yes}
    if isinstance(yes, tuple):
        return tuple(_chosen(condition, a, b) for a, b in zip(yes, no, strict=True))
    if not isinstance(yes, torch.Tensor) and not isinstance(no, torch.Tensor):
        yes = torch.tensor(yes, dtype=torch.float64)
    return torch.where(condition, yes, no)


def is_batched(x: torch.Tensor) -> bool:
    """Whether a tensor under vmap holds a value for each run."""
    while _functorch.is_functorch_wrapped_tensor(x):
        if _functorch.is_batchedtensor(x):
            return True
        x = _functorch.get_unwrapped(x)
    return False


def unwrapped(x: torch.Tensor) -> torch.Tensor:
    """The tensor of numbers inside of those that torch.func puts around it."""
    while _functorch.is_functorch_wrapped_tensor(x):
        x = _functorch.get_unwrapped(x)
    return x


def _alike(x: torch.Tensor) -> bool | None:
    """The truth of a condition on which all runs of a vmap agree; None where they don't."""
    numbers = unwrapped(x)
    first = numbers.flatten()[0]
    return bool(first) if (numbers == first).all() else None


def _level() -> int:
    top = _functorch.peek_interpreter_stack()
    return 0 if top is None else top.level()


def _holds_tensors(data) -> bool:
    return isinstance(data, torch.Tensor) or isinstance(data, list | tuple) and any(map(_holds_tensors, data))


def _as_tensor(data, *, copy: bool, dtype=None, device=None) -> torch.Tensor:
    if isinstance(data, torch.Tensor):
        x = data.clone() if copy else data
        return x.to(device=device or x.device, dtype=dtype or x.dtype)
    like = next(x for x in data if _holds_tensors(x))
    rows = [_as_tensor(x, copy=False, dtype=dtype, device=device) if _holds_tensors(x) else x for x in data]
    dtype = dtype or (like.dtype if isinstance(like, torch.Tensor) else None)
    return torch.stack([torch.as_tensor(x, dtype=dtype, device=device) for x in rows])


def _is_mask(x, index, value) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype == torch.bool and not getattr(value, "dim", int)()


def conversion(spelling: str) -> str:
    """The sentence for a tensor that becomes a Python number, with the line of the formula."""
    return sentence(f"{spelling} turns a tensor into a Python number. {ADVICE}")


def sentence(why: str) -> str:
    """`rule, file:line: why.`, with the innermost line that is neither PyTorch's nor the library's machinery."""
    frame = sys._getframe(1)
    while frame is not None and is_machinery(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    where = f"{frame.f_code.co_name}, {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown place"
    return f"{where}: {why}."


def is_machinery(module: str) -> bool:
    """Whether a module only runs formulas, so that no line of one stands in it."""
    return module.split(".")[0] in ("torch", "contextlib", "functools") or module.startswith(
        ("course_lib.backends.", "course_lib.experiments.")
    )
