"""The statements of a notebook that a function needs: its definition, and what binds the names that it uses, wherever in the notebook."""

import ast
import builtins
import dis
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass

LINE_MAGIC = re.compile(r"^\s*(%|!|\?)|^[^#'\"]*\?\s*$")
TRANSPARENT = ("%%time", "%%timeit", "%%capture", "%%prun")  # magics that run their cell as Python


@dataclass(frozen=True)
class Statement:
    """A top-level statement: its place (cell and position there), the names that it binds, and those that it uses."""

    cell: int
    position: int
    node: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


def plain(source: str) -> str:
    """A cell without what is no Python, lines of the same numbers: empty where the whole cell is another language's."""
    lines = source.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(TRANSPARENT):
        return ""
    return "\n".join(re.sub(r"\S.*", "pass", line) if LINE_MAGIC.match(line) else line for line in lines)


def statements(cells: Iterable[tuple[int, str]]) -> tuple[list[Statement], dict[int, SyntaxError]]:
    """The top-level statements of cells (number, source), and by their number the errors of those that are no Python."""
    found, errors = [], {}
    for number, source in cells:
        try:
            body = ast.parse(plain(source)).body
            found += [_statement(number, k, node) for k, node in enumerate(body)]
        except SyntaxError as error:
            errors[number] = error
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes; brackets nested too deep
            errors[number] = SyntaxError(str(error))
    return found, errors


def needed(found: list[Statement], definition: Statement, function: str) -> list[tuple[Statement, list[str] | None]]:
    """The statements that the definition of `function` needs, in their order, each with the names to keep if it is an import."""
    wanted, taken, names = {function}, {id(definition)}, {*definition.uses}
    while names := names - wanted:
        wanted |= names
        new = [s for s in found if id(s) not in taken and _brings(s, names, found)]
        taken |= {id(s) for s in new}
        names = set().union(*(s.uses for s in new))
    order = [s for s in found if id(s) in taken]
    imports = (ast.Import, ast.ImportFrom)
    return [(s, sorted(s.binds & (wanted | {"*"})) if isinstance(s.node, imports) else None) for s in order]


def _brings(s: Statement, names: set[str], found: list[Statement]) -> bool:
    return bool(s.binds & names) or "*" in s.binds and any(_unbound(name, found) for name in names)


def _unbound(name: str, found: list[Statement]) -> bool:
    return not hasattr(builtins, name) and not any(name in s.binds for s in found)


def _statement(cell: int, position: int, node: ast.stmt) -> Statement:
    """Names as Python's compiler sees them: a function's own variables are none of the module's."""
    code = compile(ast.Module([node], []), "<cell>", "exec", dont_inherit=True)
    binds = {i.argval for i in dis.get_instructions(code) if i.opname in ("STORE_NAME", "STORE_GLOBAL", "DELETE_NAME")}
    binds |= {"*"} if isinstance(node, ast.ImportFrom) and node.names[0].name == "*" else set()
    return Statement(cell, position, node, frozenset(binds | _changed(node)), frozenset(_loaded(code)))


def _loaded(code: types.CodeType) -> set[str]:
    found = {
        i.argval
        for i in dis.get_instructions(code)
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
    }
    return found.union(*(_loaded(part) for part in code.co_consts if isinstance(part, types.CodeType)))


def _changed(node: ast.stmt) -> set[str]:
    """The names of what a statement changes in part: `x` of `x.y[0] = 1`."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    parts = [
        n for n in ast.walk(node) if isinstance(n, (ast.Attribute, ast.Subscript)) and isinstance(n.ctx, ast.Store)
    ]
    roots = [n for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)]
    return {n.id for n in roots}
