"""Each exercise with its solution, its mutants, right answers in other styles, and the mutants that are right, with the reason.

The last two stand in proofs/NAME.py: `STYLES`, a list of functions, and `EQUIVALENT`, reasons by a mutant's text. Some have `WRONG`, too:
answers that a check has accepted, or that are like such ones, where no mutant is.
"""

import ast
import copy
import importlib
import json
import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mutants as generator

from course_lib.exercises import Exercise, Verdict
from course_lib.exercises import notebook as reader

ROOT = Path(__file__).parents[2]
PROOFS = Path(__file__).with_name("proofs")


@dataclass(frozen=True, eq=False)  # each stands for itself
class Solution:
    """The solution that a notebook holds for one of its stubs."""

    function: str
    source: str
    namespace: dict
    check: Exercise
    name: str  # of the check's module

    @property
    def fn(self) -> Callable:
        return generator.compiled(self.source, self.function, self.namespace)

    @cached_property
    def proof(self) -> dict:
        return runpy.run_path(str(PROOFS / f"{self.name}.py"))

    @cached_property
    def quick(self) -> Exercise:
        """The check without the cases that start processes."""
        check = copy.copy(self.check)
        for cached in ("_expected", "_known"):
            vars(check).pop(cached, None)
        check.cases = [case for case in check.cases if not case.startup]
        return check

    def mutants(self) -> list[generator.Mutant]:
        return generator.mutants(self.source, self.function, self.namespace)

    def untrue_hints(
        self, verdicts: list[tuple[generator.Mutant, Verdict]]
    ) -> dict[str, tuple[int, list[generator.Mutant]]]:
        """By case: how many mutants first fail there and are told its hint, and those of them that it does not speak of."""
        told = {}
        for mutant, verdict in verdicts:
            for case in self.check.cases:
                if (
                    case.look
                    and not verdict.passed
                    and verdict.mistake is None
                    and re.search(re.escape(case.look), verdict.message)
                ):
                    told.setdefault(case.title, (case, []))[1].append(mutant)
        return {
            title: (len(reached), [mutant for mutant in reached if not mutant.tags & set(case.about)])
            for title, (case, reached) in told.items()
        }


def solutions() -> list[Solution]:
    """All of the book's, but for the answers to a diagnosis, which are no functions."""
    result = []
    for path in sorted((ROOT / "book" / "exercises").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        sources, namespace = reader.solutions(notebook), _imports(notebook)
        for function, module in reader.checks(notebook).items():
            check = importlib.import_module(module).check
            if isinstance(check, Exercise):
                result.append(Solution(function, sources[function], namespace, check, module.rpartition(".")[2]))
    return result


def _imports(notebook: dict) -> dict:
    """What the notebook's cells import, but for course_lib: it shows figures."""
    cells = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    lines = [
        ast.unparse(node)
        for cell in cells
        for node in ast.parse(cell).body
        if isinstance(node, ast.Import) or isinstance(node, ast.ImportFrom) and not node.module.startswith("course_lib")
    ]
    namespace: dict = {}
    exec("\n".join(lines), namespace)
    return namespace


SOLUTIONS = solutions()
