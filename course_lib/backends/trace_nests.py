"""Tracing a step on arrays: matrix products stay products, however wide the network.

Where `trace` writes an instruction for every number, which suits points of the plane, this writes one nest of loops for every
product, sum and stored result; what works element by element is computed where it is read.

    >>> from course_lib.backends.trace_nests import trace_nests
    >>> print(trace_nests(lambda a: {"y": (a["W"] @ a["x"]).tanh()}, {"W": (3, 2), "x": (2,)}))
    mv[i0 < 3] = Σ over j0 < 2 of (W[2 i0 + j0] * x[j0])
    tanh[i0 < 3] = tanh(mv[i0])
    y[i0 < 3] = tanh[i0]
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.passes.dialect.common.cse_pass import CSEPass

from course_lib.backends.elementwise import ELEMENTWISE, LOGICAL
from course_lib.backends.lowering import PRODUCTS
from course_lib.backends.nest_values import (
    VIEWS,
    Lines,
    Value,
    converted,
    lines_that_lead_to,
    mapped,
    number,
    spread,
    stored,
    truth,
)
from course_lib.backends.nests import Index, Load, Nest, Nests, Size, contiguous, show, variables
from course_lib.backends.program import Atom

SIZES = 7, 11  # two that no other dimension has


def trace_nests(function: Callable, inputs: dict[str, tuple[int, ...] | torch.Tensor]) -> Nests:
    """Trace `function(dict of tensors) -> dict of tensors`, given each input by its name: its shape, or an example.

    An input given by its shape is a float64 tensor; an example says more, as whole numbers that are looked up in another input.
    Raises ValueError, with the operator, for what nests of loops can't hold, and where the nests do not compute what PyTorch does.
    """
    shapes = {k: tuple(x.shape) if isinstance(x, torch.Tensor) else x for k, x in inputs.items()}
    if empty := [k for k, shape in shapes.items() if 0 in shape]:
        raise ValueError(f"`{empty[0]}` has the shape {shapes[empty[0]]}: there is nothing to loop over.")
    names, results = list(inputs), []

    def compute(tensors) -> dict[str, torch.Tensor]:
        # a formula may write into what it gets
        return function({k: x.clone() for k, x in zip(names, tensors, strict=True)})

    def flat(*tensors):
        found = compute(tensors)
        if both := found.keys() & shapes.keys():
            raise ValueError(f"`{min(both)}` is the name of an input and of a result: rename one of them.")
        results[:] = found
        return list(found.values())

    points = [[_point(x, turn) for x in inputs.values()] for turn in (0, 1)]
    try:
        graph = CSEPass()(make_fx(flat)(*points[0])).graph_module
    except RuntimeError as error:
        raise ValueError(
            f"The formula can't be traced: {error} Choose between values with torch.where; take no number out of a tensor."
        ) from error
    nests = _Tracer(graph, names, results).nests()
    for point in points:
        want, got = compute(point), nests(**dict(zip(names, (x.numpy() for x in point), strict=True)))
        for name, x in want.items():
            if not np.allclose(x.numpy(), got[name], rtol=1e-9, atol=1e-12, equal_nan=True):
                raise ValueError(
                    f"As nests of loops `{name}` is {got[name].tolist()}, but PyTorch gives {x.tolist()}: the formula leaves PyTorch somewhere."
                )
    return nests


def trace_nests_of_any_size(function: Callable, inputs: Callable[[int], dict], name: str, most: int) -> Nests:
    """Trace a function of tensors whose first dimension may change from call to call, up to `most`, as that of a batch.

    `inputs(n)` are the inputs for n of them. The input `name` is the number itself: a mean has to divide by it.
    Raises ValueError where nests for two sizes differ in more than in their loops, as they do if a mean is over that dimension.
    """
    few, many = ({**inputs(n), name: torch.tensor(float(n), dtype=torch.float64)} for n in SIZES)
    nests, other = (
        trace_nests(function, x).with_size(Size(name, n, most)) for x, n in zip((few, many), SIZES, strict=True)
    )
    for a, b in zip(_written(nests), _written(other), strict=False):
        if a != b:
            raise ValueError(
                f"`{a}` becomes `{b}` for {SIZES[1]} in place of {SIZES[0]}: let {name} be the first dimension, and divide a sum by it."
            )
    return nests


def _written(nests: Nests) -> list[str]:
    """All that is written: what the loops compute, in which order it is kept, and the constants."""
    return [
        *(f"{nest}, kept at {show(nest.index)}" for nest in nests.nests),
        *(f"{k} = {x.tolist()}" for k, x in nests.constants.items()),
    ]


def _point(x: tuple[int, ...] | torch.Tensor, turn: int) -> torch.Tensor:
    """Where the nests are compared with PyTorch: the second time all numbers are positive, as those of some states must be."""
    if isinstance(x, torch.Tensor):
        return x
    drawn = torch.randn(x, dtype=torch.float64, generator=torch.Generator().manual_seed(turn))
    return drawn.abs() if turn else drawn


class _Tracer:
    def __init__(self, graph: torch.fx.GraphModule, names: list[str], results: list[str]):
        self.graph, self.names, self.results = graph, iter(names), results
        self.inputs, self.constants, self.made = {}, {}, []
        self.values: dict[torch.fx.Node, Value] = {}
        self.taken = {*names, *results}

    def nests(self) -> Nests:
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                name, shape = next(self.names), tuple(node.meta["val"].shape)
                self.inputs[name] = shape
                self.values[node] = stored(name, shape)
            elif node.op == "get_attr":
                self.values[node] = self._constant(node.target)
            elif node.op == "output":
                for name, value in zip(self.results, node.args[0], strict=True):
                    self._store(self.values[value], name)
            else:
                self.values[node] = self._computed(node)
        nests = self._used()
        read = set().union(*(nest.read for nest in nests))
        constants = {k: x for k, x in self.constants.items() if k in read}
        return Nests(self.inputs, constants, tuple(nests), tuple(self.results))

    def _used(self) -> list[Nest]:
        """The nests that lead to a result."""
        wanted, kept = set(self.results), []
        for nest in reversed(self.made):
            if nest.target in wanted:
                wanted |= nest.read
                kept.append(nest)
        return kept[::-1]

    def _constant(self, target: str) -> Value:
        return self._captured(getattr(self.graph, target).detach())

    def _captured(self, x: torch.Tensor) -> Value:
        if x.dim() == 0:
            return number(x.item())
        name = next(
            k
            for k in itertools.chain(
                (k for k, y in self.constants.items() if np.array_equal(x.numpy(), y)), self._free("data")
            )
        )
        self.constants[name] = x.numpy()
        self.taken.add(name)
        return stored(name, tuple(x.shape))

    def _free(self, name: str):
        return (
            k for k in itertools.chain([name], map(f"{name}{{}}".format, itertools.count(1))) if k not in self.taken
        )

    def _store(self, value: Value, name: str, over: tuple[int, ...] = (), reduction: str = "sum") -> Value:
        """A nest that writes the value's numbers, or with `over` their reductions over its last dimensions, into an array."""
        lines, shape = Lines(), value.shape[: len(value.shape) - len(over)]
        atom = value.at(lines, variables("i", shape) + variables("j", over))
        nest = Nest(name, shape, over if math.prod(over) > 1 else (), lines_that_lead_to(lines, atom), atom, reduction)
        known = next((n.target for n in self.made if replace(n, target=name) == nest), None)
        if known is None or name in self.results:
            self.made.append(nest)
            self.taken.add(name)
        return stored(known or name, shape)

    def _computed(self, node: torch.fx.Node) -> Value:
        op, shape = node.target.overloadpacket.__name__.removesuffix("_"), tuple(node.meta["val"].shape)
        args = [self.values[a] if isinstance(a, torch.fx.Node) else a for a in node.args]
        if op in ("zeros_like", "ones_like"):
            return spread(number(float(op == "ones_like")), shape)
        if op in CREATED:
            return self._captured(node.target(*args, **node.kwargs))
        if op == "_to_copy":
            return converted(args[0], node.args[0].meta["val"].dtype, node.meta["val"].dtype)
        if op == "index":
            indices = [x and self.values[x] for x in args[1]]
            return self._store(self._looked_up(self._whole(args[0]), indices, shape), next(self._free(op)))
        if op in VIEWS:
            return VIEWS[op](self._whole(args[0]) if op in RESHAPED else args[0], shape, *args[1:])
        if op in PRODUCTS:
            a, b = self._factors(op, args)
            product = Value(a.shape, lambda lines, index: lines.emit("mul", a.at(lines, index), b.at(lines, index)))
            return self._store(product, next(self._free(op)), a.shape[-1:])
        if op in ("sum", "mean", "amax"):
            return self._reduced(op, args[0], args[1] if len(args) > 1 else None, shape)
        if op == "logsumexp":
            return self._logsumexp(args[0], args[1], shape)
        if op == "linalg_vector_norm" and (len(args) < 2 or args[1] == 2):
            squares = mapped(args[0], lambda lines, x: lines.emit("mul", x, x))
            total = self._reduced("sum", squares, args[2] if len(args) > 2 else None, shape)
            return self._store(mapped(total, lambda lines, x: lines.emit("sqrt", x)), next(self._free("norm")))
        if op not in ELEMENTWISE:
            raise ValueError(
                f"The operator {node.target} has no form as a nest of loops. Use another one, or add it to course_lib/backends/trace_nests.py."
            )
        operands = [a if a is None else spread(a if isinstance(a, Value) else number(a), shape) for a in args]
        if op in LOGICAL:
            operands = [x if _is_condition(a) else truth(x) for x, a in zip(operands, node.args, strict=True)]

        def at(lines: Lines, index: tuple) -> Atom:
            return ELEMENTWISE[op](lines.emit, *(x and x.at(lines, index) for x in operands), **node.kwargs)

        value = Value(shape, at)
        return self._store(value, next(self._free(op))) if op in DEAR or len(node.users) > 1 else value

    def _looked_up(self, value: Value, indices: list[Value | None], shape: tuple[int, ...]) -> Value:
        """`value[indices]` for whole numbers from 0, as PyTorch indexes: new dimensions stand where the indices stood, if these
        are neighbors, else first."""
        at = [k for k, x in enumerate(indices) if x is not None]
        common = torch.broadcast_shapes(*(indices[k].shape for k in at))
        first = at[0] if at == list(range(at[0], at[-1] + 1)) else 0

        def read(lines: Lines, index: tuple) -> Atom:
            looked = index[first : first + len(common)]
            others = iter(index[:first] + index[first + len(common) :])
            place = []
            for k, stride in enumerate(contiguous(value.shape)):
                if k in at:
                    place += self._place(lines, stride, spread(indices[k], common).at(lines, looked))
                elif (v := next(others)) is not None:
                    place.append((stride, v))
            return lines.load(value.store, tuple(place))

        return Value(shape, read)

    def _place(self, lines: Lines, stride: int, atom: Atom) -> Index:
        """Where an index leads that was looked up; 0, 1, 2, … looked up one after the other are the loop itself."""
        line = next((x for x in lines.lines.values() if x.name == atom), None)
        counted = self.constants.get(line.array) if isinstance(line, Load) else None
        if counted is not None and np.array_equal(counted.ravel(), np.arange(counted.size)):
            return tuple((stride * each, v) for each, v in line.index)
        return ((stride, atom),)

    def _whole(self, value: Value) -> Value:
        return value if value.store else self._store(value, next(self._free("copy")))

    def _factors(self, op: str, args: list[Value]) -> list[Value]:
        """Both factors, of one shape, whose last dimension is summed over."""
        a, b = args
        if op == "mm":
            shape = (a.shape[0], b.shape[1], a.shape[1])
            return [
                Value(shape, lambda lines, i: a.at(lines, (i[0], i[2]))),
                Value(shape, lambda lines, i: b.at(lines, (i[2], i[1]))),
            ]
        if op == "mv":
            return [a, spread(b, a.shape)]
        if op == "dot":
            return [a, b]
        raise ValueError(f"The product {op} has no form as a nest of loops. Write it with matrices and vectors.")

    def _reduced(self, op: str, value: Value, dims, shape: tuple[int, ...]) -> Value:
        rank = len(value.shape)
        over = [d % rank for d in dims] if dims else list(range(rank))
        order = [d for d in range(rank) if d not in over] + over
        count = math.prod(value.shape[d] for d in over)

        def at(lines: Lines, index: tuple) -> Atom:
            atom = value.at(lines, tuple(index[order.index(d)] for d in range(rank)))
            return lines.emit("div", atom, float(count)) if op == "mean" else atom

        moved = Value(tuple(value.shape[d] for d in order), at)
        reduction = "max" if op == "amax" else "sum"
        total = self._store(moved, next(self._free(op)), tuple(value.shape[d] for d in over), reduction)
        return stored(total.store, shape)

    def _logsumexp(self, value: Value, dims, shape: tuple[int, ...]) -> Value:
        """log Σ exp, with the largest number taken off first: exp overflows at 710."""
        kept = tuple(1 if k in [d % len(value.shape) for d in dims] else n for k, n in enumerate(value.shape))
        largest = self._reduced("amax", value, dims, kept)

        def apart(lines: Lines, index: tuple) -> Atom:
            return lines.emit(
                "exp", lines.emit("sub", value.at(lines, index), spread(largest, value.shape).at(lines, index))
            )

        total = self._reduced("sum", Value(value.shape, apart), dims, shape)
        top = Value(shape, stored(largest.store, shape).at)
        log = Value(shape, lambda lines, i: lines.emit("add", lines.emit("log", total.at(lines, i)), top.at(lines, i)))
        return self._store(log, next(self._free("logsumexp")))


def _is_condition(given) -> bool:
    return isinstance(given, torch.fx.Node) and given.meta["val"].dtype == torch.bool


DEAR = {"tanh", "exp", "log", "sin", "cos", "sqrt", "sigmoid"}  # computed once and kept, though read in one place only
CREATED = {"arange", "full", "zeros", "ones", "eye", "scalar_tensor"}  # constants, made while the formula runs
RESHAPED = {"view", "_unsafe_view"}
