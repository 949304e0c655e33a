"""From a PyTorch formula to a `Program`: the formula runs once, and every operator it calls is written down for single numbers.

Beside each tensor the tracer keeps the *name* of every number in it. An operator that makes a view needs no care, the names are
shared as the numbers are; one that moves numbers (a stack) is run on the names; one that computes writes an instruction for each
element; one whose arguments are all constants stays a constant. A gradient needs no special care: the operators of the backward
pass come by as well.
"""

import itertools
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.backends.elementwise import CONDITIONS, ELEMENTWISE, LOGICAL, PREDICATES
from course_lib.backends.lowering import (
    CONSTANT,
    CONVERSIONS,
    CUMULATIVE,
    MOVEMENT,
    PRODUCTS,
    REDUCTIONS,
    RESHAPING,
    SOLVERS,
    conversion,
    solve,
)
from course_lib.backends.names import Names, elements, key
from course_lib.backends.paths import Reading, on_every_path, sentence, unwrapped
from course_lib.backends.paths import conversion as number
from course_lib.backends.program import Atom, Instruction, Program, simplify

ROUNDING = (torch.float32, torch.float16, torch.bfloat16)  # floats that hold 0 and 1, but not what a double holds


def trace(function: Callable, *inputs: dict[str, tuple[int, ...]], name: str | None = None) -> Program:
    """Trace `function(*dicts of float64 tensors) -> dict of tensors`, given the shape of each input by its name.

    Raises ValueError, with the operator and the line of the formula, for what a program can't hold: an operator without a
    lowering, a number taken out of a tensor, randomness, a change of an argument in place. An `if` on a value is followed both ways.
    """
    tracer = Tracer()
    tensors = [{k: tracer.input(k, shape) for k, shape in group.items()} for group in inputs]
    with tracer:
        results = on_every_path(lambda: function(*tensors), lambda x: tracer.names.symbolic(unwrapped(x)))
    names = tracer.names
    outputs = {k: tuple(names.atoms[i] for i in names.read(x).flatten().tolist()) for k, x in results.items()}
    name = name or getattr(function, "__name__", type(function).__name__)
    program = simplify(Program(name, tuple(tracer.inputs), tuple(tracer.instructions), outputs))
    for sign in (1, -1):
        _check_elsewhere(function, inputs, program, sign)
    return program


def _check_elsewhere(function: Callable, inputs, program: Program, sign: int) -> None:
    """Compare with PyTorch at a point where the formula was not traced: a number lost on the way would have become a constant."""
    tensors = [{k: _values(k, shape, 0.83, 0.31, sign) for k, shape in group.items()} for group in inputs]
    numbers = [
        (e, v)
        for group in tensors
        for k, x in group.items()
        for e, v in zip(elements(k, tuple(x.shape)), x.flatten().tolist(), strict=True)
    ]
    got = program(**dict(numbers))
    with Reading(lambda x: False):
        results = function(*tensors)
    for k, x in results.items():
        want = torch.as_tensor(x, dtype=torch.float64).flatten()
        if not torch.allclose(want, torch.from_numpy(got[k]), rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError(
                f"{program.name}: traced at one point and computed at another, `{k}` is {got[k].tolist()}, but PyTorch gives {want.tolist()}. "
                "The formula leaves PyTorch somewhere (numpy, .data, a number kept from an earlier call) or float64. "
                "Write it with torch operations on its arguments only."
            )


def _values(name: str, shape: tuple[int, ...], first: float, last: float, sign: int = 1) -> torch.Tensor:
    """Numbers that are no special case of anything; with `sign` -1 every other one is negative."""
    size = torch.Size(shape).numel()
    signs = torch.tensor([sign ** (k + len(name)) for k in range(size)], dtype=torch.float64)
    return ((torch.linspace(first, last, size, dtype=torch.float64) + 0.01 * len(name)) * signs).reshape(shape)


class Tracer(TorchDispatchMode):
    """Writes an instruction for every number that an operator computes while the mode is on."""

    def __init__(self):
        super().__init__()
        self.names = Names()
        self.inputs: list[str] = []
        self.instructions: list[Instruction] = []
        self._arguments: set[int] = set()

    def input(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A new input tensor, float64."""
        x, new = _values(name, shape, 0.37, 0.71), elements(name, shape)
        clash = set(new) & set(self.inputs)
        if clash:
            raise TypeError(f"Two inputs are called {sorted(clash)[0]}: rename one of them.")
        self.inputs += new
        self.names.write(x, torch.tensor([*map(self.names.new, new)], dtype=torch.long).reshape(shape))
        self._arguments.add(key(x))
        return x

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """A hook of PyTorch's: with True it would import all of torch.compile, which takes seconds, to say that it shall not compile this mode."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op, tensors = func.overloadpacket.__name__, list(_tensors((args, tuple(kwargs.values()))))
        symbolic = any(map(self.names.symbolic, tensors))
        changed = tensors[0] if func._schema.is_mutable and op not in RESHAPING else None
        self._refuse(op, func, kwargs, changed, symbolic)
        if changed is not None:
            return self._change(op, func, args, kwargs, changed, symbolic)
        result = func(*args, **kwargs)
        if symbolic and op not in CONSTANT:
            sources = {key(x): x for x in tensors if x.device.type != "meta"}
            for x in list(_tensors((result,)))[: 1 if op in SOLVERS else None]:
                self._record(op, func, args, kwargs, x, sources)
        return result

    def _refuse(self, op: str, func, kwargs, changed, symbolic: bool) -> None:
        """Say what a program can't hold. A ValueError: PyTorch takes a TypeError inside `w -= x` for "try w - x instead"."""
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise ValueError(_complaint(func, "draws random numbers, which a formula must be given as an argument"))
        if symbolic and op in ("_local_scalar_dense", "equal"):
            raise ValueError(number(f"the operator {func}"))
        if "out" in kwargs:
            raise ValueError(
                _complaint(func, "writes its result into another tensor. Write `x = f(y)`, not `f(y, out=x)`")
            )
        if changed is not None and key(changed) in self._arguments:
            raise ValueError(
                _complaint(
                    func,
                    "changes an argument in place, which its caller still needs. Write `m = beta * m`, not `m *= beta` or `m.mul_(beta)`",
                )
            )

    def _record(self, op: str, func, args, kwargs, result: torch.Tensor, sources: dict[int, torch.Tensor]) -> None:
        """Name the numbers of a result."""
        if result.device.type == "meta" or result._is_zerotensor():
            return  # shapes without numbers, and the zeros of forward-mode derivatives
        source = sources.get(key(result))
        if source is None:
            self.names.write(result, self._lower(op, func, args, kwargs, result))
        elif source.dtype != result.dtype:
            raise ValueError(_complaint(func, "reads the bits of a number as another type. Write it without"))

    def _change(self, op: str, func, args, kwargs, x: torch.Tensor, symbolic: bool):
        """An operator that works in place: name the new numbers of its first argument."""
        names = self._lower(op.removesuffix("_"), func, args, kwargs, x) if symbolic else None
        result = func(*args, **kwargs)
        if symbolic or self.names.known(x):
            self.names.write(x, self.names.constants(x) if names is None else names)
        return result

    def _lower(self, op: str, func, args, kwargs, like: torch.Tensor) -> torch.Tensor:
        """The names of what the operator computes, of the shape and type of `like`; writes the instructions."""
        if (
            like.dtype.is_complex
            or like.dtype in ROUNDING
            and any(x.dtype == torch.float64 and self.names.symbolic(x) for x in _tensors((args,)))
        ):
            raise ValueError(
                _complaint(
                    func,
                    f"has a result in {like.dtype}, but a program has one precision. Make tensors as `torch.zeros_like(w)` does",
                )
            )
        if op.startswith("bitwise") and like.dtype != torch.bool:
            raise ValueError(
                _complaint(func, "works on the bits of whole numbers, which a program does not have. Write it without")
            )
        if op in MOVEMENT:
            return self._moved(op, func, args, kwargs, like)
        if op in SOLVERS:
            return self._solved(func, *args[:2], kwargs.get("left", True), like)
        if op in CONVERSIONS:
            return self._converted(args[CONVERSIONS[op]], like.dtype).expand(like.shape)
        if op in ELEMENTWISE:
            number = like.dtype if like.dtype in ROUNDING else torch.float64
            wanted = [torch.bool if op in LOGICAL or (op, k) in CONDITIONS else number for k in range(len(args))]
            operands = [None if x is None else self._converted(x, dtype) for x, dtype in zip(args, wanted, strict=True)]
            names = self._map(lambda *atoms: ELEMENTWISE[op](self._emit, *atoms, **kwargs), operands, like.shape)
        elif op in REDUCTIONS and not (op in ("max", "min") and args[1:]):  # with a dimension they give the places, too
            options = {k: x for k, x in kwargs.items() if k == "correction"}
            reduce, dim = REDUCTIONS[op](*args[1:], **options)
            operand = self._converted(
                args[0], torch.bool if op in LOGICAL else torch.float64 if like.dtype == torch.bool else like.dtype
            )
            names = self._reduce(reduce, operand, dim, like.shape)
        elif op in CUMULATIVE:
            names = self._cumulated(CUMULATIVE[op], self._converted(args[0], like.dtype), args[1])
        elif op in PRODUCTS:
            a, b = torch.broadcast_tensors(*PRODUCTS[op](*(self._converted(x, torch.float64) for x in args)))
            names = self._reduce(
                REDUCTIONS["sum"]()[0], self._map(lambda x, y: self._emit("mul", x, y), [a, b], a.shape), -1, like.shape
            )
        else:
            raise ValueError(
                _complaint(
                    func,
                    "has no lowering to single numbers. Use another operator, or add it to course_lib/backends/elementwise.py",
                )
            )
        return (
            names
            if op in PREDICATES or like.dtype != torch.bool
            else self._map(lambda x: self._emit("ne", x, 0.0), [names], like.shape)
        )

    def _moved(self, op: str, func, args, kwargs, like: torch.Tensor) -> torch.Tensor:
        """Run the operator on the names: its first argument moves, other tensors (an index) say where to."""
        first, *rest = args
        if any(map(self.names.symbolic, _tensors(rest))):
            raise ValueError(
                _complaint(func, "has an index that depends on a value. Choose between values with torch.where")
            )
        moving = (
            [self._converted(x, like.dtype) for x in first]
            if isinstance(first, (list, tuple))
            else self._converted(first, like.dtype)
        )
        if op == "constant_pad_nd":
            rest = [rest[0], *map(self.names.new, rest[1:])]
        return func(moving, *rest, **kwargs)

    def _solved(self, func, A: torch.Tensor, B: torch.Tensor, left: bool, like: torch.Tensor) -> torch.Tensor:
        """The names of X in A X = B, for one matrix A and a vector or a matrix B."""
        if A.dim() != 2 or not left:
            raise ValueError(
                _complaint(
                    func,
                    "solves A X = B for one square matrix A only. Write it so, or solve one system after the other",
                )
            )
        names = [self._converted(x, torch.float64) for x in (A, B.reshape(len(B), -1))]
        rows = solve(self._emit, *([self._atoms(row) for row in x] for x in names))
        return torch.tensor([self.names.new(a) for row in rows for a in row], dtype=torch.long).reshape(like.shape)

    def _converted(self, x, dtype: torch.dtype) -> torch.Tensor:
        """The names of x's numbers as another type: truncated to whole numbers, or true and false as 1 and 0."""
        source = x.dtype if isinstance(x, torch.Tensor) else torch.bool if isinstance(x, bool) else torch.float64
        if source == torch.float64 and dtype in ROUNDING:  # a constant
            x = torch.as_tensor(x, dtype=dtype)
        names, lower = self.names.read(x), conversion(source, dtype)
        return names if lower is None else self._map(lambda atom: lower(self._emit, atom), [names], names.shape)

    def _map(self, lower: Callable, operands: list, shape) -> torch.Tensor:
        columns = [itertools.repeat(None) if n is None else self._atoms(n.expand(shape)) for n in operands]
        return torch.tensor(
            [self.names.new(lower(*row)) for row in zip(*columns, strict=False)], dtype=torch.long
        ).reshape(shape)

    def _reduce(self, reduce: Callable, names: torch.Tensor, dim, shape) -> torch.Tensor:
        dims = range(names.dim()) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
        dims = [d % names.dim() for d in dims] if names.dim() else []
        kept = [d for d in range(names.dim()) if d not in dims]
        sizes = [torch.Size(names.shape[d] for d in some).numel() for some in (kept, dims)]
        rows = names.permute([*kept, *dims]).reshape(sizes)
        return torch.tensor(
            [self.names.new(reduce(self._emit, self._atoms(row))) for row in rows], dtype=torch.long
        ).reshape(shape)

    def _cumulated(self, op: str, names: torch.Tensor, dim: int) -> torch.Tensor:
        if not names.dim():
            return names
        rows = names.movedim(dim, -1)
        found = [
            itertools.accumulate(self._atoms(row), lambda a, b: self._emit(op, a, b))
            for row in rows.reshape(-1, rows.shape[-1])
        ]
        made = torch.tensor([self.names.new(a) for row in found for a in row], dtype=torch.long)
        return made.reshape(rows.shape).movedim(-1, dim)

    def _atoms(self, names: torch.Tensor) -> list[Atom]:
        return [self.names.atoms[i] for i in names.flatten().tolist()]

    def _emit(self, op: str, *args: Atom) -> str:
        self.instructions.append(Instruction(f"#{len(self.instructions)}", op, args))
        return self.instructions[-1].name


def _tensors(x):
    """All tensors in nested lists and tuples."""
    if isinstance(x, torch.Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for y in x:
            yield from _tensors(y)


def _complaint(func, why: str) -> str:
    return sentence(f"the operator {func} {why}")
