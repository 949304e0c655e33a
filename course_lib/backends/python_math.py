"""Python's `math` for tensors: `math.cos(math.pi * t / 100)` in a formula is torch.cos where t is a tensor."""

import math
import types
from collections.abc import Callable
from functools import partial

import torch

_NAMES = {
    name: name
    for name in "sqrt exp exp2 expm1 log log2 log1p sin cos tan atan tanh erf floor ceil trunc pow hypot copysign fmod "
    "isnan isinf isfinite".split()
} | {"fabs": "abs"}
_FUNCTIONS = {id(getattr(math, name)): (getattr(math, name), getattr(torch, twin)) for name, twin in _NAMES.items() if hasattr(math, name)}  # fmt: skip


def on_tensors(formula: Callable) -> Callable:
    """The formula with functions of `math` that take tensors, too; the formula itself where it has none of them.

    What it calls by name of its own module is looked through as well. An object with `__call__` stays as it is.
    """
    if isinstance(formula, partial):
        return partial(on_tensors(formula.func), *formula.args, **formula.keywords)
    return _rewritten(formula, {}) if isinstance(formula, types.FunctionType) else formula


def _rewritten(function: types.FunctionType, known: dict) -> types.FunctionType:
    if function in known:
        return known[function]
    known[function] = function  # while its own parts are looked through
    cells = tuple(_cell(c, function, known) for c in function.__closure__ or ())
    new = {name: _twin(function.__globals__.get(name), function, known) for name in _names(function.__code__)}
    new = {name: x for name, x in new.items() if x is not function.__globals__.get(name)}
    if not new and all(a is b for a, b in zip(cells, function.__closure__ or (), strict=True)):
        return function
    known[function] = copy = types.FunctionType(
        function.__code__, {**function.__globals__, **new}, function.__name__, function.__defaults__, cells or None
    )
    copy.__kwdefaults__, copy.__module__ = function.__kwdefaults__, function.__module__
    copy.__dict__.update(function.__dict__)  # as __signature__
    return copy


def _names(code: types.CodeType) -> set[str]:
    """The global names that a function and those inside of it read."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _twin(value, function: types.FunctionType, known: dict):
    if value is math:
        return _MATH
    if id(value) in _FUNCTIONS:
        return getattr(_MATH, value.__name__)
    near = isinstance(value, types.FunctionType) and value.__module__ == function.__module__
    return _rewritten(value, known) if near else value


def _cell(cell: types.CellType, function: types.FunctionType, known: dict) -> types.CellType:
    try:
        value = cell.cell_contents
    except ValueError:  # not filled yet
        return cell
    twin = _rewritten(value, known) if isinstance(value, types.FunctionType) else _twin(value, function, known)
    return cell if twin is value else types.CellType(twin)


def _either(plain: Callable, of_tensors: Callable) -> Callable:
    def function(*args):
        if not any(isinstance(x, torch.Tensor) for x in args):
            return plain(*args)
        like = next(x for x in args if isinstance(x, torch.Tensor))
        return of_tensors(*(x if isinstance(x, torch.Tensor) else torch.full_like(like, x) for x in args))

    return function


def _log(x, *base):
    """math.log also takes a base."""
    log = _either(*_FUNCTIONS[id(math.log)])
    return log(x) / log(*base) if base else log(x)


def _module() -> types.ModuleType:
    """`math` with these functions in the place of its own."""
    made = types.ModuleType("math", math.__doc__)
    vars(made).update(vars(math))
    for plain, of_tensors in _FUNCTIONS.values():
        setattr(made, plain.__name__, _either(plain, of_tensors))
    made.log = _log
    return made


_MATH = _module()
