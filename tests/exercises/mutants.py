"""Every small change of a solution that a person would make by mistake: one at a time, as new functions.

A mutant's `tags` say what was changed: its kind, and the variables in the changed expression. Kinds: operator, dropped, sign, constant,
comparison, call, reduction, abs, zero, order, state, name, default, statement, and of the whole function float32, in place, memory, t,
signature, shape.
"""

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

SWAPS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
CALLS = {
    "mean": "sum", "sum": "mean", "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "cos": "sin", "sin": "cos",
    "var": "std", "std": "var", "exp": "log", "floor": "ceil", "ceil": "floor", "argmax": "argmin", "amax": "amin", "triu": "tril", "cumsum": "cumprod",
    "tensor_split": "chunk", "chunk": "tensor_split",
}  # fmt: skip
POINTWISE = {
    "abs",
    "sqrt",
    "sign",
    "square",
    "exp",
    "log",
    "relu",
    "clamp",
    "clip",
    "flatten",
    "conj",
    "round",
    "int",
    "float",
    "reversed",
    "floor",
    "all_reduce",
    "broadcast",
}
REDUCTIONS = {"mean", "sum", "max", "min", "norm", "amax", "amin", "std", "var"}
ORDERED = {"outer", "solve"}  # calls whose two arguments somebody exchanges


@dataclass(frozen=True)
class Mutant:
    """A changed solution: what was changed, as `old -> new`, tags that say of which kind it is, and the function."""

    text: str
    tags: frozenset[str]
    fn: Callable


def mutants(source: str, name: str, namespace: dict) -> list[Mutant]:
    """The mutants of the function `name` that `source` defines; `namespace` holds what its notebook has imported."""
    module = ast.parse(source)
    fn = _function(module, name)
    found = [*_edits(fn, _arguments(fn))]
    texts = {ast.unparse(module)}
    result = []
    for place, old, new, kind in found:
        changed = copy.deepcopy(module)
        _replace(_function(changed, name), place, new)
        if (text := ast.unparse(changed)) in texts:
            continue
        texts.add(text)
        names = {n.id for node in (_parent(fn, place), new) for n in ast.walk(node) if isinstance(n, ast.Name)}
        label = f"{_line(fn, place)}: {ast.unparse(old)} -> {ast.unparse(new)}"
        result.append(Mutant(label, frozenset({kind, *names}), compiled(text, name, namespace)))
    read = {node.id for node in _body(fn) if isinstance(node, ast.Name)}
    return result + _wrapped(compiled(source, name, namespace), _hyper(fn), read)


def compiled(source: str, name: str, namespace: dict) -> Callable:
    """The function `name` that this source defines."""
    scope = dict(namespace)
    exec(compile(source, f"<{name}>", "exec"), scope)
    return scope[name]


def _function(module: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _arguments(fn: ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*fn.args.posonlyargs, *fn.args.args)]


def _hyper(fn: ast.FunctionDef) -> dict[str, ast.expr]:
    """The keyword-only arguments, with their defaults."""
    return {a.arg: d for a, d in zip(fn.args.kwonlyargs, fn.args.kw_defaults) if d is not None}


def _body(fn: ast.FunctionDef) -> list[ast.AST]:
    return [node for statement in fn.body for node in ast.walk(statement)]


def _line(fn: ast.FunctionDef, place: int) -> int:
    """The statement that holds node number `place`, counted from 1."""
    for number, statement in enumerate(fn.body, 1):
        place -= sum(1 for _ in ast.walk(statement))
        if place < 0:
            return number
    raise AssertionError("no such node")


def _parent(fn: ast.FunctionDef, place: int) -> ast.AST:
    """The expression around node number `place`: itself, where a statement is around it."""
    target = _body(fn)[place]
    around = (node for node in ast.walk(fn) if isinstance(node, ast.expr) and target in ast.iter_child_nodes(node))
    return next(around, target)


def _replace(fn: ast.FunctionDef, place: int, new: ast.AST) -> None:
    target = _body(fn)[place]
    for parent in ast.walk(fn):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, new)
            elif isinstance(value, list):
                value[:] = [new if entry is target else entry for entry in value]
    ast.fix_missing_locations(fn)


def _edits(fn: ast.FunctionDef, arguments: list[str]) -> Iterator[tuple[int, ast.AST, ast.AST, str]]:
    """Each edit: the number of the node, the node, what takes its place, and the kind of change."""
    for place, node in enumerate(_body(fn)):
        for kind, new in _alternatives(node, fn, arguments):
            yield place, node, new, kind


def _alternatives(node: ast.AST, fn: ast.FunctionDef, arguments: list[str]) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARISONS.get(type(node.ops[0]), ()):
            yield "comparison", ast.Compare(node.left, [op()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "comparison", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield ("comparison" if isinstance(node.op, ast.Not) else "sign"), node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in dict.fromkeys((node.value + 1, node.value - 1, 0 * node.value)):
            if value != node.value:
                yield "constant", ast.Constant(value)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield "transpose", node.value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from _of_name(node, fn, arguments)
    elif isinstance(node, ast.Assign):
        yield from _of_assignment(node, arguments)
    elif isinstance(node, ast.AugAssign):
        yield "statement", ast.Pass()
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield from _of_returned(node, fn, arguments)
    elif isinstance(node, ast.IfExp):
        yield "comparison", node.body
        yield "comparison", node.orelse


def _of_operation(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    for op in SWAPS.get(type(node.op), ()):
        yield "operator", ast.BinOp(node.left, op(), node.right)
    yield "dropped", node.left
    if isinstance(node.op, ast.Sub):
        yield "dropped", ast.UnaryOp(ast.USub(), node.right)
    elif not isinstance(node.op, ast.Pow):
        yield "dropped", node.right
    if isinstance(node.op, (ast.Sub, ast.Div, ast.Pow, ast.MatMult)):
        yield "order", ast.BinOp(node.right, node.op, node.left)


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    method = isinstance(node.func, ast.Attribute)
    name = node.func.attr if method else getattr(node.func, "id", "")
    of_torch = method and isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "math")
    kind = "abs" if name == "abs" else "reduction" if name in REDUCTIONS else "call"
    if other := CALLS.get(name):
        changed = copy.deepcopy(node)
        if method:
            changed.func.attr = other
        else:
            changed.func.id = other
        yield kind, changed
    if name in POINTWISE:
        if method and not of_torch:
            yield kind, node.func.value
        elif node.args:
            yield kind, node.args[0]
    if name in REDUCTIONS and method and not of_torch and node.args:
        yield kind, ast.Call(node.func, [], node.keywords)
    if name in ORDERED and len(node.args) == 2:
        yield "order", ast.Call(node.func, node.args[::-1], node.keywords)
    if name == "where" and len(node.args) == 3:
        yield "order", ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)
        yield "dropped", node.args[1]
        yield "dropped", node.args[2]
    if name == "range":
        for change in (1, -1):
            last = ast.BinOp(node.args[-1], ast.Add(), ast.Constant(change))
            yield "constant", ast.Call(node.func, [*node.args[:-1], last], node.keywords)
    for number, keyword in enumerate(node.keywords):
        yield "dropped", ast.Call(node.func, node.args, [k for n, k in enumerate(node.keywords) if n != number])


def _of_name(node: ast.Name, fn: ast.FunctionDef, arguments: list[str]) -> Iterator[tuple[str, ast.AST]]:
    hyper = _hyper(fn)
    if node.id in hyper:
        yield "default", hyper[node.id]
        group = [name for name in hyper if name != node.id]
    elif node.id in arguments:
        group = [name for name in arguments if name not in (node.id, "t")]
        yield "sign", ast.UnaryOp(ast.USub(), node)
        yield "abs", ast.Call(ast.Name("abs", ast.Load()), [node], [])
    else:
        assigned = {n.id for n in _body(fn) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        group = sorted(assigned - {node.id}) if node.id in assigned else []
    for name in group:
        yield "name", ast.Name(name, ast.Load())


def _of_assignment(node: ast.Assign, arguments: list[str]) -> Iterator[tuple[str, ast.AST]]:
    targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if names and all(name in arguments for name in names):
        yield "statement", ast.Pass()
    if len(targets) > 1 and isinstance(node.value, ast.Tuple) and len(targets) == len(node.value.elts):
        for number, name in enumerate(names):
            if name in arguments:
                kept = [*node.value.elts[:number], ast.Name(name, ast.Load()), *node.value.elts[number + 1 :]]
                yield "state", ast.Assign(node.targets, ast.Tuple(kept, ast.Load()))


def _of_returned(node: ast.Return, fn: ast.FunctionDef, arguments: list[str]) -> Iterator[tuple[str, ast.AST]]:
    values = node.value.elts
    for first in range(len(values)):
        for second in range(first + 1, len(values)):
            swapped = list(values)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            yield "order", ast.Return(ast.Tuple(swapped, ast.Load()))


def _wrapped(fn: Callable, hyper: dict[str, ast.expr], read: set[str]) -> list[Mutant]:
    """Changes of the whole function: its precision, in place, a state or a step number kept elsewhere, zeros masked, another default.

    `read` holds the names that its lines use: who needs no t counts no steps.
    """
    parameters = inspect.signature(fn).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    result = [Mutant("all in float32", frozenset({"float32"}), _signed(_in_float32(fn), fn))]
    result += [
        Mutant(f"writes into {name}", frozenset({"in place", name}), _signed(_writes_into(fn, number), fn))
        for number, name in enumerate(positional)
        if name != "t"
    ]
    if positional[:3] == ["w", "g", "t"]:
        result += _of_rule(fn, len(positional) - 3, counts="t" in read)
        result += [
            Mutant(f"takes {n} of 0 for no {n}", frozenset({"default", n}), _signed(_or_default(fn, n), fn))
            for n in hyper
        ]
    for name, value in hyper.items():
        if isinstance(value, ast.Constant) and isinstance(value.value, (int, float)):
            result.append(Mutant(f"another default of {name}", frozenset({"signature"}), _with_default(fn, name)))
    return result


def _of_rule(fn: Callable, states: int, counts: bool) -> list[Mutant]:
    mutants = [
        Mutant(f"leaves value {n} as it is where g is 0", frozenset({"zero"}), _signed(_masked(fn, n, by=1), fn))
        for n in range(states + 1)
    ]
    mutants += [
        Mutant(f"leaves value {n} as it is where w is 0", frozenset({"zero", "w"}), _signed(_masked(fn, n, by=0), fn))
        for n in range(states + 1)
    ]
    if states:
        mutants.append(Mutant("keeps the state itself", frozenset({"memory"}), _signed(_remembers(fn), fn)))
    if counts:
        mutants.append(Mutant("counts the steps itself", frozenset({"memory", "t"}), _signed(_counts(fn), fn)))
    return mutants


def _signed(wrapper: Callable, fn: Callable) -> Callable:
    wrapper.__signature__, wrapper.__name__ = inspect.signature(fn), fn.__name__
    return wrapper


def _each(value, change: Callable):
    """The value with each tensor of it changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    return type(value)(_each(x, change) for x in value) if isinstance(value, (list, tuple)) else value


def _in_float32(fn: Callable) -> Callable:
    def wrapper(*args, **hyper):
        doubles = any(
            isinstance(x, torch.Tensor) and x.dtype == torch.float64
            for a in args
            for x in (a if isinstance(a, (list, tuple)) else [a])
        )
        values = fn(*_each(args, lambda x: x.float() if x.is_floating_point() else x), **hyper)
        return _each(values, lambda x: x.double() if doubles and x.is_floating_point() else x)

    return wrapper


def _writes_into(fn: Callable, number: int) -> Callable:
    def wrapper(*args, **hyper):
        values = fn(*args, **hyper)
        _each(args[number], lambda x: x.data.mul_(2))
        if isinstance(args[number], list):
            args[number].append(args[number][0])
        return values

    return wrapper


def _masked(fn: Callable, number: int, by: int) -> Callable:
    def wrapper(w, g, t, *state, **hyper):
        values = fn(w, g, t, *state, **hyper)
        single = isinstance(values, torch.Tensor)
        values = [values] if single else list(values)
        values[number] = torch.where((w, g)[by] != 0, values[number], (w, *state)[number])
        return values[0] if single else tuple(values)

    return wrapper


def _remembers(fn: Callable) -> Callable:
    memory = []

    def wrapper(w, g, t, *state, **hyper):
        kept = state if t == 1 or not memory else memory[0]
        new, *after = fn(w, g, t, *kept, **hyper)
        memory[:] = [after]
        return new, *after

    return wrapper


def _counts(fn: Callable) -> Callable:
    count = [0]

    def wrapper(w, g, t, *state, **hyper):
        count[0] = 1 if t == 1 else count[0] + 1
        return fn(w, g, count[0], *state, **hyper)

    return wrapper


def _or_default(fn: Callable, name: str) -> Callable:
    default = inspect.signature(fn).parameters[name].default
    return lambda *args, **hyper: fn(*args, **hyper | {name: hyper.get(name) or default})


def _with_default(fn: Callable, name: str) -> Callable:
    def wrapper(*args, **hyper):
        return fn(*args, **{name: 1.5 * default + 0.01, **hyper})

    signature = inspect.signature(fn)
    default = signature.parameters[name].default
    changed = {name: signature.parameters[name].replace(default=1.5 * default + 0.01)}
    wrapper.__name__ = fn.__name__
    wrapper.__signature__ = signature.replace(parameters=(signature.parameters | changed).values())
    return wrapper
