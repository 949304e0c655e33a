"""From a PyTorch formula to a `Program`: the formula runs once, and every operator it calls is written down for single numbers.

Beside each tensor the tracer keeps a tensor of the same shape with the *name* of every number in it. An operator that moves
numbers (a view, a stack) is run on the names; one that computes writes an instruction for each element; one whose arguments
are all constants stays a constant. torch.func.grad needs no special care: the operators of the backward pass come by as well.
"""

import itertools
import sys
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.backends.lowering import CONVERSIONS, ELEMENTWISE, MOVEMENT, PRODUCTS, REDUCTIONS
from course_lib.backends.program import Atom, Instruction, Program, simplify

ZERO = 0  # the name of the number 0.0, so that operators that pad with zeros pad with its name


def trace(function: Callable, *inputs: dict[str, tuple[int, ...]], name: str | None = None) -> Program:
    """Trace `function(*dicts of float64 tensors) -> dict of tensors`, given the shape of each input by its name.

    Raises ValueError, with the operator and the line of the formula, for what a program can't hold: an operator without a
    lowering, a branch on a value, randomness, a change of an argument in place.
    """
    tracer = Tracer()
    tensors = [{key: tracer.input(key, shape) for key, shape in group.items()} for group in inputs]
    with tracer:
        results = function(*tensors)
    outputs = {key: tuple(tracer.atoms[i] for i in tracer.names(value).flatten().tolist()) for key, value in results.items()}
    program = simplify(Program(name or function.__name__, tuple(tracer.inputs), tuple(tracer.instructions), outputs))
    _check_elsewhere(function, inputs, program)
    return program


def _check_elsewhere(function: Callable, inputs, program: Program) -> None:
    """Compare with PyTorch at a point where the formula was not traced: a number lost on the way would have become a constant."""
    tensors = [{key: torch.linspace(0.83, 0.31, _size(shape), dtype=torch.float64).reshape(shape) + 0.01 * len(key) for key, shape in g.items()} for g in inputs]
    values = {e: v for group in tensors for key, x in group.items() for e, v in zip(elements(key, tuple(x.shape)), x.flatten().tolist(), strict=True)}
    expected, got = function(*tensors), program(**values)
    for key, value in expected.items():
        want = torch.as_tensor(value, dtype=torch.float64).flatten()
        if not torch.allclose(want, torch.from_numpy(got[key]), rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError(
                f"{program.name}: traced at one point and computed at another, `{key}` is {got[key].tolist()}, but PyTorch gives {want.tolist()}. "
                "The formula leaves PyTorch somewhere (numpy, .data, a number kept from an earlier call). Write it with torch operations on its arguments only."
            )


class Tracer(TorchDispatchMode):
    """Writes an instruction for every number that an operator computes while the mode is on."""

    def __init__(self):
        super().__init__()
        self.inputs: list[str] = []
        self.instructions: list[Instruction] = []
        self.atoms: list[Atom] = [0.0]
        self._named: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # id -> (tensor, kept alive so that ids stay unique; its names)
        self._arguments: set[int] = set()

    def input(self, key: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A new input tensor, float64, with values that are no special case of anything."""
        x = torch.linspace(0.37, 0.71, _size(shape), dtype=torch.float64).reshape(shape) + 0.01 * len(key)
        new = elements(key, shape)
        clash = set(new) & set(self.inputs)
        if clash:
            raise TypeError(f"Two inputs are called {sorted(clash)[0]}: rename one of them.")
        self.inputs += new
        self._name(x, torch.tensor([self._intern(e) for e in new]).reshape(shape))
        self._arguments.add(id(x))
        return x

    def names(self, x) -> torch.Tensor:
        """The names of a tensor's numbers, as positions in `atoms`; a tensor unknown so far is a constant."""
        if isinstance(x, torch.Tensor) and id(x) in self._named:
            return self._named[id(x)][1]
        x = torch.as_tensor(x, dtype=torch.float64).detach()
        return torch.tensor([self._intern(v) for v in x.flatten().tolist()], dtype=torch.long).reshape(x.shape)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # Complaints are ValueErrors: PyTorch takes a TypeError inside `w -= x` for "try w - x instead".
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._symbolic(args):
            if torch.Tag.nondeterministic_seeded in func.tags:
                raise ValueError(_complaint(func, "draws random numbers, which a formula must be given as an argument"))
            return result  # made of constants alone
        op = func.overloadpacket.__name__
        if op == "_local_scalar_dense":
            raise ValueError(_complaint(func, "turns a tensor into a Python number, as `if x > 0`, `float(x)` or `x.item()` do. Choose between values with torch.where"))
        if op in ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty", "empty_like"):
            return result
        if op.endswith("_") and op[:-1] in ELEMENTWISE | dict.fromkeys(MOVEMENT):
            if id(args[0]) in self._arguments:
                raise ValueError(_complaint(func, "changes an argument in place, which its caller still needs. Write `m = beta * m`, not `m *= beta` or `m.mul_(beta)`"))
            op = op[:-1]
        self._record(op, func, args, kwargs, result)
        return result

    def _record(self, op: str, func, args, kwargs, result) -> None:
        if op in MOVEMENT:
            moved = func(*_map_tensors(self.names, args), **kwargs)
            pairs = zip(result, moved, strict=True) if isinstance(result, (list, tuple)) else [(result, moved)]
            for tensor, names in pairs:
                self._name(tensor, names.clone())
        elif op in CONVERSIONS:
            self._name(result, self.names(args[0]))
        elif op in ELEMENTWISE:
            self._name(result, self._elementwise(ELEMENTWISE[op], args, kwargs))
        elif op in REDUCTIONS and not (op == "linalg_vector_norm" and len(args) > 1 and args[1] != 2):
            dim = (args[2:3] if op == "linalg_vector_norm" else args[1:2]) or (None,)
            self._name(result, self._reduce(REDUCTIONS[op], self.names(args[0]), dim[0], tuple(result.shape)))
        elif op in PRODUCTS:
            a, b = torch.broadcast_tensors(*PRODUCTS[op](*map(self.names, args)))
            terms = self._elementwise(ELEMENTWISE["mul"], (a, b), {}, named=True)
            self._name(result, self._reduce(REDUCTIONS["sum"], terms, -1, tuple(result.shape)))
        else:
            raise ValueError(_complaint(func, "has no lowering to single numbers. Use another operator, or add it to course_lib/backends/lowering.py"))

    def _elementwise(self, lower, args, kwargs, named=False) -> torch.Tensor:
        numbers = [a if named else self.names(a) for a in args if a is not None]
        kwargs = {k: v for k, v in kwargs.items() if k in ("alpha", "value", "rounding_mode")}
        shape = torch.broadcast_shapes(*(n.shape for n in numbers))
        rows = zip(*(n.expand(shape).flatten().tolist() for n in numbers), strict=True)
        kept = [None if a is None else ... for a in args]
        new = [self._intern(lower(self._emit, *_fill(kept, [self.atoms[i] for i in row]), **kwargs)) for row in rows]
        return torch.tensor(new, dtype=torch.long).reshape(shape)

    def _reduce(self, lower, names: torch.Tensor, dim, shape: tuple[int, ...]) -> torch.Tensor:
        dims = range(names.dim()) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
        dims = [d % names.dim() for d in dims]
        kept = [d for d in range(names.dim()) if d not in dims]
        rows = names.permute(*kept, *dims).reshape(_size([names.shape[d] for d in kept]), -1).tolist()
        return torch.tensor([self._intern(lower(self._emit, [self.atoms[i] for i in row])) for row in rows], dtype=torch.long).reshape(shape)

    def _emit(self, op: str, *args: Atom) -> str:
        self.instructions.append(Instruction(f"#{len(self.instructions)}", op, args))
        return self.instructions[-1].name

    def _intern(self, atom: Atom) -> int:
        if atom == 0.0:
            return ZERO
        self.atoms.append(atom)
        return len(self.atoms) - 1

    def _name(self, x: torch.Tensor, names: torch.Tensor) -> None:
        self._named[id(x)] = (x, names)

    def _symbolic(self, x) -> bool:
        if isinstance(x, (list, tuple)):
            return any(map(self._symbolic, x))
        return isinstance(x, torch.Tensor) and id(x) in self._named


def elements(key: str, shape: tuple[int, ...]) -> list[str]:
    """The names of a tensor's numbers: `lr` for a scalar, `w[0]`, `w[1]` for a vector, `B[0,1]` for a matrix."""
    if not shape:
        return [key]
    return [f"{key}[{','.join(map(str, index))}]" for index in itertools.product(*map(range, shape))]


def _size(shape) -> int:
    return torch.Size(shape).numel()


def _map_tensors(f, x):
    if isinstance(x, (list, tuple)):
        return type(x)(_map_tensors(f, y) for y in x)
    return f(x) if isinstance(x, torch.Tensor) else x


def _fill(pattern: list, values: list) -> list:
    values = iter(values)
    return [None if p is None else next(values) for p in pattern]


def _complaint(func, why: str) -> str:
    """Name the operator and the formula's line: the innermost frame that is neither PyTorch's nor the tracer's."""
    frame = sys._getframe(1)
    while frame is not None and (frame.f_globals.get("__name__", "").split(".")[0] == "torch" or frame.f_code.co_filename == __file__):
        frame = frame.f_back
    where = f"{frame.f_code.co_name}, {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown place"
    return f"{where}: the operator {func} {why}."
