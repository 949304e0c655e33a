"""What tests read off a rule itself: which functions its formula uses, and whether one parameter feels another."""

import ast
import inspect
import textwrap

import torch

from course_lib.formulas import RULES
from course_lib.formulas.signature import signature, step


def nodes(rule) -> list[ast.AST]:
    """The formula as syntax, together with the rules that it calls."""
    tree = [*ast.walk(ast.parse(textwrap.dedent(inspect.getsource(rule))))]
    called = {getattr(node.func, "id", None) for node in tree if isinstance(node, ast.Call)}
    return [*tree, *(node for name in called & set(RULES) for node in nodes(RULES[name]))]


def has_powers(rule) -> bool:
    """Whether the formula has a power with t in its exponent."""
    powers = [x.right for x in nodes(rule) if isinstance(x, ast.BinOp) and isinstance(x.op, ast.Pow)]
    return any(isinstance(x, ast.Name) and x.id == "t" for power in powers for x in ast.walk(power))


def has_roots(rule) -> bool:
    """Whether the formula has a square root or a norm."""
    called = [x.func for x in nodes(rule) if isinstance(x, ast.Call)]
    names = {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in called}
    return bool(names & {"sqrt", "norm", "vector_norm"})


def couples_parameters(rule) -> bool:
    """Whether one parameter feels another: in two steps, does the first w depend on the second one's gradient?"""
    ends = []
    for other in (0.3, -0.7):
        w, hyper = torch.tensor([0.5, 2.0], dtype=torch.float64), signature(rule).hyper
        state = tuple(signature(rule).initial(w, hyper).values())
        for t in (1, 2):
            w, state = step(rule, w, torch.tensor([0.4, other], dtype=torch.float64), t, state, hyper)
        ends.append(w[0].item())
    return ends[0] != ends[1]


COUPLED = {name for name, rule in RULES.items() if couples_parameters(rule)}
