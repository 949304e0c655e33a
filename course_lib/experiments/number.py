"""t and hyperparameters as Optimizer hands them to a rule: Python's numbers, with what tensors can.

So `1 - beta1**t` is rounded as in torch.optim, `lr * g` has g's type, and what is written for tensors works as in a sweep:
`t.sqrt()` always, `torch.where(t < 5, g, 2 * g)` and `torch.clamp(lr, max=0.5)` while Checking is on.
"""

import torch

from course_lib.backends.paths import CONVERSIONS, Reading, conversion

MAKERS = (torch.tensor, torch.as_tensor, torch.asarray)
ARITHMETIC = "add sub mul truediv floordiv mod pow".split()
COMPARISONS = "lt le gt ge eq ne".split()


class Number(float):
    """A float with the methods of a tensor of the shape (); as such it does not become a float or an int again."""

    __slots__ = ()
    __hash__ = float.__hash__

    def __getattr__(self, name: str):
        if name in CONVERSIONS:
            raise ValueError(conversion(CONVERSIONS[name]))
        if name.startswith("__"):
            raise AttributeError(name)
        found, kind = getattr(_lifted(self), name), type(self)
        return (lambda *args, **kwargs: _lowered(found(*args, **kwargs), kind)) if callable(found) else found

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if ufunc.nin == 1 or method != "__call__":
            raise ValueError(conversion(CONVERSIONS["numpy"]))
        return type(self)(ufunc(*_each(inputs, _plain), **kwargs))


class Truth(Number):
    """What a comparison of numbers gives: 1 or 0, and a condition for torch.where."""

    __slots__ = ()

    def __and__(self, other):
        return type(self)(bool(self) & bool(other)) if isinstance(other, bool | Truth) else _lifted(self) & other

    def __or__(self, other):
        return type(self)(bool(self) | bool(other)) if isinstance(other, bool | Truth) else _lifted(self) | other

    def __xor__(self, other):
        return type(self)(bool(self) ^ bool(other)) if isinstance(other, bool | Truth) else _lifted(self) ^ other

    def __invert__(self):
        return type(self)(not self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__


class Checked(Number):
    """A Number that PyTorch's functions take in a tensor's place while Checking is on, which makes one of it."""

    __slots__ = ()
    __torch_function__ = classmethod(lambda cls, func, types, args=(), kwargs=None: NotImplemented)


class CheckedTruth(Truth, Checked):
    """A condition of Checked numbers."""

    __slots__ = ()


NUMBERS = {Truth: Number, CheckedTruth: Checked}  # what arithmetic makes of a condition
TRUTHS = {Number: Truth, Checked: CheckedTruth, Truth: Truth, CheckedTruth: CheckedTruth}


def _arithmetic(name: str):
    plain = getattr(float, name)

    def method(self, *other):
        kind = NUMBERS.get(type(self), type(self))
        try:
            result = plain(self, *other)
        except (ZeroDivisionError, OverflowError):
            result = None
        if type(result) is float:
            return kind(result)
        if result is NotImplemented:
            return result
        others = (x.real if isinstance(x, Number) else x for x in other)
        return _lowered(
            getattr(_lifted(self), name)(*others), kind
        )  # where Python raises or turns complex: inf and NaN

    return method


def _comparison(name: str):
    plain = getattr(float, name)

    def method(self, other):
        result = plain(self, other)
        return result if result is NotImplemented else TRUTHS[type(self)](result)

    return method


def _refused(spelling: str):
    def method(self, *args):
        raise ValueError(conversion(spelling))

    return method


for _name in ("neg", "pos", "abs", *ARITHMETIC, *(f"r{name}" for name in ARITHMETIC)):
    setattr(Number, f"__{_name}__", _arithmetic(f"__{_name}__"))
for _name in COMPARISONS:
    setattr(Number, f"__{_name}__", _comparison(f"__{_name}__"))
for _name, _spelling in {**CONVERSIONS, "__round__": "`round(x)`", "__trunc__": "`math.trunc(x)`"}.items():
    if _name.startswith("__") and _name not in ("__array__", "__complex__"):
        setattr(Number, _name, _refused(_spelling))


class Checking(Reading):
    """While the mode is on, PyTorch's functions take a Number for a tensor, and what a sweep can't follow is refused.

    It is on for a parameter's first step, and where `needed`; a mode costs microseconds for each function that is called.
    """

    def __init__(self):
        super().__init__(depends=lambda x: True)
        self.needed = False  # whether a function was called that takes no plain number, or rounds it to float32

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(isinstance(x, Number) for x in _flat((args, kwargs))):
            return super().__torch_function__(func, types, args, kwargs)
        if func in MAKERS:
            self.needed = True
            return func(*_each(args, _plain), **{"dtype": torch.float64, **kwargs})
        try:
            return super().__torch_function__(func, types, _each(args, _plain), _each(kwargs, _plain))
        except TypeError as error:
            return self._on_tensors(func, args, kwargs, error)

    def _on_tensors(self, func, args, kwargs: dict, error: TypeError):
        """The function with tensors for the numbers; of numbers alone the result is one, too."""
        tensors = [x for x in _flat((args, kwargs)) if isinstance(x, torch.Tensor)]
        like = next((x for x in tensors if x.dim()), next(iter(tensors), None))
        try:
            result = func(*_each(args, _lifted, like), **_each(kwargs, _lifted, like))
        except TypeError:
            raise error from None
        self.needed = True
        return result if tensors else _lowered(result, Checked)

    def _truth(self, x: torch.Tensor, func) -> bool:
        return func(x)


def _plain(x: Number, like=None) -> float | bool:
    return bool(x) if isinstance(x, Truth) else x.real


def _lifted(x: Number, like: torch.Tensor | None = None) -> torch.Tensor:
    if isinstance(x, Truth):
        return torch.tensor(bool(x), device=None if like is None else like.device)
    alone = (
        like is None or like.dim() > 0 or not like.is_floating_point()
    )  # among tensors of the shape () its type would win
    return torch.tensor(
        x.real, dtype=torch.float64 if alone else like.dtype, device=None if like is None else like.device
    )


def _lowered(x, kind: type):
    """A tensor of the shape () as a number of this kind, or a condition; anything else as it is."""
    if not isinstance(x, torch.Tensor) or x.dim() or x.is_complex():
        return x
    kind = NUMBERS.get(kind, kind)
    with torch._C.DisableTorchFunction():  # the conversion is ours, not the rule's
        return TRUTHS[kind](x.item()) if x.dtype == torch.bool else kind(x.item())


def _each(x, change, like=None):
    """The same, with each Number in it changed."""
    if isinstance(x, Number):
        return change(x, like)
    if type(x) in (list, tuple):
        return type(x)(_each(y, change, like) for y in x)
    return {k: _each(y, change, like) for k, y in x.items()} if type(x) is dict else x


def _flat(x):
    """All that stands in nested lists, tuples and dicts."""
    if type(x) in (list, tuple, dict):
        for y in x.values() if type(x) is dict else x:
            yield from _flat(y)
    else:
        yield x
