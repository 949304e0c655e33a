"""The house: layers with arrows that point down, small files, formulas that are formulas, and no address that is not ours to give."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "course_lib"

# From the ground up. A package may import from the lines below its own, not from its neighbors on the line.
LAYERS = [{"formulas"}, {"backends", "parallel"}, {"experiments"}, {"exercises", "widgets"}, {"publishing"}]
HEIGHT = {package: k for k, layer in enumerate(LAYERS) for package in layer}
WITH_THE_BOOK = {
    "jupyter-book": {"sphinx", "docutils", "nbformat", "yaml", "nbclient", "jupyter_client", "ipykernel"}
}  # what the extra `book` brings along
COMES_WITH = {"anywidget": {"traitlets"}, "scikit-learn": {"sklearn"}}

MODULES = sorted(LIBRARY.rglob("*.py"))
FORMULAS = [path for path in MODULES if "formulas" in path.relative_to(LIBRARY).parts]
ABOUT_FORMULAS = {"signature.py", "entry.py", "catalog.py", "checks.py", "steps.py"}


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=[str(p.relative_to(ROOT)) for p in paths])


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf8"))


def imports(path: Path) -> list[str]:
    """The full name of every module that a file imports, wherever in the file."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports from a dot: write the module's full name."
            found += [
                f"{node.module}.{name.name}" if node.module == "course_lib" else node.module for name in node.names
            ]
    return found


def package_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def sources() -> list[Path]:
    """Every text file that is, or would be, under version control, but for what others wrote."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip("needs the git repository, to know which files are sources")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [
        p
        for p in paths
        if p.is_file() and not {"vendor", "mathjax"} & set(p.relative_to(ROOT).parts) and b"\0" not in p.read_bytes()
    ]


# Layers


def test_every_package_has_a_layer():
    assert {p.parent.name for p in LIBRARY.glob("*/__init__.py")} <= set(HEIGHT)


@named(MODULES)
def test_imports_point_down(path):
    own = path.relative_to(LIBRARY).parts[0] if path.parent != LIBRARY else None
    for name in imports(path):
        if name.split(".")[0] == "course_lib":
            other = package_of(name)
            assert own is not None, (
                f"course_lib/{path.name} imports {name}: the root of the library imports nothing, so that each layer can be used alone."
            )
            assert other == own or HEIGHT[other] < HEIGHT[own], (
                f"{own} imports {name}, which does not lie below it: {LAYERS}."
            )


@named(sorted(p for end in ("py", "js") for p in (LIBRARY / "widgets" / "kit").glob(f"*.{end}")))
def test_the_kit_knows_no_figure(path):
    """What all figures share imports nothing from one of them; Python's imports and JavaScript's name the folder."""
    lines = [line for line in path.read_text("utf8").splitlines() if re.match(r"\s*(from|import) ", line)]
    assert [line for line in lines if re.search(r"widgets\.figures\b|/figures/", line)] == []


@named(FORMULAS)
def test_formulas_need_torch_alone(path):
    assert {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names <= {"torch", "course_lib"}


@named(MODULES)
def test_what_is_imported_is_a_dependency(path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    distributions = [
        *project["dependencies"],
        *(project["optional-dependencies"]["book"] if "publishing" in path.parts else []),
    ]
    known = {re.split(r"[\s<>=!~\[;]", d)[0] for d in distributions}
    known |= set().union(*(more for d, more in (COMES_WITH | WITH_THE_BOOK).items() if d in known))
    assert {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"course_lib"} <= known


# Files and functions


@named(
    sorted(
        p for end in ("py", "js", "css") for p in LIBRARY.rglob(f"*.{end}") if not {"vendor", "mathjax"} & set(p.parts)
    )
)
def test_files_are_short(path):
    assert len(path.read_text("utf8").splitlines()) <= 350, "split it: one concept a file, 60 to 200 lines"


def undocumented(path: Path):
    """Public functions, classes and methods without a docstring of their own or of the method that they override.

    One line of code speaks for itself, and the wrong formulas of an exercise speak by their decorator.
    """
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    nodes = [(module, node) for node in tree(path).body]
    nodes += [
        (getattr(module, c.name), node)
        for _, c in nodes
        if isinstance(c, ast.ClassDef) and not c.name.startswith("_")
        for node in c.body
    ]
    for owner, node in nodes:
        if (
            not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            or node.name.startswith("_")
            or node.name == "main"
        ):
            continue
        if (
            node.decorator_list
            and isinstance(node, ast.FunctionDef)
            and any(
                ast.unparse(d).startswith("mistake(") or ast.unparse(d).endswith((".also", ".setter"))
                for d in node.decorator_list
            )
        ):
            continue
        if not inspect.getdoc(getattr(owner, node.name)) and not (
            len(node.body) == 1 and isinstance(node.body[0], ast.Return)
        ):
            yield f"{path.name}:{node.lineno} {node.name}"


@named(MODULES)
def test_what_is_public_is_documented(path):
    assert ast.get_docstring(tree(path)), "a file begins with a sentence that says what it is"
    assert list(undocumented(path)) == []


# Formulas: no branch on a value, no change in place, no device, no seed, nothing read or written


def foreign_to_a_formula(node: ast.AST) -> str | None:
    if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert, ast.Try, ast.With)):
        return "a branch: choose between values with torch.where"
    if isinstance(node, ast.AugAssign):
        return "a change in place: write m = beta * m"
    if isinstance(node, (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom)):
        return "something from outside of the formula"
    if isinstance(node, ast.keyword) and node.arg in ("device", "dtype", "generator", "out"):
        return f"`{node.arg}`: the arguments decide that"
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {
            "item",
            "tolist",
            "numpy",
            "float",
            "int",
            "bool",
            "cuda",
            "cpu",
            "to",
            "detach",
            "print",
            "open",
            "manual_seed",
        } or re.fullmatch(r"rand\w*|[a-z]\w*[a-z]_", name):
            return f"`{name}`"
    return None


@named([path for path in FORMULAS if path.name not in ABOUT_FORMULAS])
def test_formulas_are_formulas(path):
    formulas = [node for node in tree(path).body if isinstance(node, ast.FunctionDef)]
    assert [
        f"{path.name}:{n.lineno} {f.name} has {why}"
        for f in formulas
        for n in ast.walk(f)
        if (why := foreign_to_a_formula(n))
    ] == []


@pytest.mark.parametrize(
    "line",
    [
        "if w > 0: w = 1",
        "w = 1 if w > 0 else 2",
        "w -= g",
        "w.mul_(2)",
        "x = w.item()",
        "x = torch.randn(2)",
        "x = torch.zeros(2, device='cpu')",
        "x = w.to('cuda')",
    ],
)
def test_what_is_foreign_to_a_formula_is_seen(line):
    assert any(map(foreign_to_a_formula, ast.walk(ast.parse(f"def f(w, g, t):\n    {line}"))))


# Addresses

HOSTS = {
    "arxiv.org",
    "doi.org",
    "jmlr.org",
    "proceedings.mlr.press",
    "openreview.net",
    "proceedings.neurips.cc",
    "creativecommons.org",
    "w3.org",
    "pytorch.org",
    "docs.pytorch.org",
    "127.0.0.1",
    "example.org",
}
WHERE_NEEDED = {
    "course_lib/publishing": {"github.com", "colab.research.google.com"},
    "_config.yml": {"github.com"},
    "course_lib/experiments/image_data.py": {  # of data sets; what they send is used only with the published checksum
        "ossci-datasets.s3.amazonaws.com",
        "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "cs.toronto.edu",
    },
}
ADDRESS = re.compile(r"https?://(?:www\.)?([A-Za-z0-9.-]*)")
MACHINE = re.compile(r"(?<![\w.$}/-])/(?:home|Users|work|mnt|root)/\w|\b[A-Z]:\\+Users\\")


def foreign_hosts(name: str, text: str) -> set[str]:
    allowed = HOSTS.union(*(hosts for start, hosts in WHERE_NEEDED.items() if name.startswith(start)))
    return {host for host in ADDRESS.findall(text) if "." in host and host.lower().rstrip(".") not in allowed}


def test_no_source_names_an_address_that_somebody_else_could_own():
    """Tests may: they try addresses, and reach none."""
    names = {p.relative_to(ROOT).as_posix(): p for p in sources()}
    found = {
        name: foreign_hosts(name, p.read_text("utf8")) for name, p in names.items() if not name.startswith("tests/")
    }
    assert {name: hosts for name, hosts in found.items() if hosts} == {}


def test_no_source_names_a_path_of_one_machine():
    found = [
        p.relative_to(ROOT).as_posix()
        for p in sources()
        if str(ROOT) in (text := p.read_text("utf8")) or MACHINE.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "name, text, hosts",
    [
        ("book/a.ipynb", "see https://arxiv.org/abs/1 and https://www.jmlr.org/x", set()),
        ("book/a.ipynb", "[x](https://some-course.github.io/x)", {"some-course.github.io"}),
        ("course_lib/widgets/a.js", 'import "https://cdn.jsdelivr.net/d3"', {"cdn.jsdelivr.net"}),
        ("course_lib/publishing/a.py", 'f"https://{host}/a https://github.com/a"', set()),
        ("README.md", "https://github.com/a", {"github.com"}),
    ],
)
def test_a_foreign_address_is_seen(name, text, hosts):
    assert foreign_hosts(name, text) == hosts
    assert not MACHINE.search(text) and MACHINE.search("open('" + "/home" + "/me/x')")
