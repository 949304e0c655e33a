"""One ES module text from the figures' source files: what anywidget gets, and what a page loads."""

import functools
import re
from pathlib import Path

from course_lib.widgets.kit.colors import rule_colors

FOLDER = Path(__file__).parents[1]
STYLE = FOLDER / "kit" / "figure.css"

_IMPORT = re.compile(r'^import (?:\{(?P<names>[^}]*)\}|\* as (?P<all>\w+)) from "(?P<path>\.{1,2}/[^"]+)";$', re.M)
_DECLARED = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.M)
_LISTED = re.compile(r"\bexport\s*\{([^}]*)\};?\s*$")  # as esbuild ends a bundle
_DEFAULT = re.compile(r"^export default ", re.M)


@functools.cache
def style() -> str:
    """The style sheet of all figures: what they share, what one of them needs and has beside its script, every rule's color."""
    sheets = [STYLE, *sorted((FOLDER / "figures").rglob("*.css"))]
    return "\n".join([*(sheet.read_text("utf8") for sheet in sheets), rule_colors()])


def scripts() -> dict[str, Path]:
    """The script of each figure, by the figure's name: every x.js in the folder `figures` that has an x.py beside it."""
    return {p.stem: p for p in sorted((FOLDER / "figures").rglob("*.js")) if p.with_suffix(".py").exists()}


@functools.cache
def bundle() -> str:
    """Every figure of the course as one module: a page, Jupyter, VS Code and Colab load the same text."""
    imports = [
        f'import * as {name} from "./{path.relative_to(FOLDER).as_posix()}";\n' for name, path in scripts().items()
    ]
    entry = f"""const FIGURES = {{ {", ".join(scripts())} }};
export default {{ render: (context) => FIGURES[context.model.get("figure")].render(context) }};
"""
    return link(FOLDER / "figures.js", "".join(imports) + entry)


def link(entry: Path, text: str | None = None) -> str:
    """The module `entry`, or the module `text` as if it stood there, with everything that it imports.

    Each file becomes a function of its own, so that no two names meet.
    Understands `import { a, b as c }` and `import * as a` of relative paths, one a line, and exports of declarations: what
    the figures use. Raises ValueError for an import or export of another form, FileNotFoundError for a missing file.
    """
    parts: dict[Path, str] = {}
    _add(entry.resolve(), parts, (), text)
    return "\n".join(parts.values())


def _add(path: Path, parts: dict[Path, str], importers: tuple[Path, ...], text: str | None = None) -> None:
    if path in importers:
        raise ValueError(f"{path.name} imports itself, by way of {' and '.join(p.name for p in importers)}.")
    if path in parts:
        return
    text = path.read_text("utf8") if text is None else text
    for found in _IMPORT.finditer(text):
        _add((path.parent / found["path"]).resolve(), parts, (*importers, path))
    body = _IMPORT.sub(lambda found: _constant(path, found), text)
    if re.search(r"^\s*import[\s{*]", body, re.M):
        raise ValueError(
            f'{path.name} has an import that the bundle does not understand. Write `import {{ name }} from "./file.js";` on one line.'
        )
    parts[path] = _entry(body, path) if not importers else _module(body, path)


def _constant(path: Path, found: re.Match) -> str:
    module = _variable((path.parent / found["path"]).resolve())
    return (
        f"const {found['all']} = {module};"
        if found["all"]
        else f"const {{{found['names'].replace(' as ', ': ')}}} = {module};"
    )


def _module(body: str, path: Path) -> str:
    names = _DECLARED.findall(body)
    listed = _LISTED.search(body)
    pairs = [pair.strip().split(" as ") for pair in listed[1].split(",")] if listed else []
    result = ", ".join([*names, *(f"{pair[-1]}: {pair[0]}" for pair in pairs)])
    body = _LISTED.sub("", _DECLARED.sub("", body)).rstrip()
    if re.search(r"^\s*export\b", body, re.M):
        raise ValueError(
            f"{path.name} has an export that the bundle does not understand. Write `export function name` or `export const name`."
        )
    return f"const {_variable(path)} = (() => {{\n{body}\nreturn {{ {result} }};\n}})();"


def _entry(body: str, path: Path) -> str:
    if not _DEFAULT.search(body):
        raise ValueError(f"{path.name} is the entry and has no `export default`.")
    return body


def _variable(path: Path) -> str:
    return "$" + re.sub(r"\W", "_", path.relative_to(FOLDER.resolve()).with_suffix("").as_posix())
