"""One table of results, on the screen and in benchmarks/results, with the machine that it was measured on."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numba", "jupyter-book", "anywidget", "playwright")
PEERS = ("jax", "optax")


@dataclass(frozen=True)
class Row:
    """One measured number: what it is, its unit, and its goal where there is one: how large it may be, or how small."""

    what: str
    value: float
    unit: str
    at_most: float | None = None
    note: str = ""
    at_least: float | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        goals = (("≤", self.at_most, self.value.__le__), ("≥", self.at_least, self.value.__ge__))
        goal = next(
            (
                f"{sign} {_number(x)} {self.unit}: {'met' if holds(x) else 'MISSED'}"
                for sign, x, holds in goals
                if x is not None
            ),
            "",
        )
        return self.what, "-" if self.value != self.value else f"{_number(self.value)} {self.unit}", goal, self.note


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def machine() -> dict[str, str]:
    """The machine and the versions that the numbers hold for."""
    return {
        "date": date.today().isoformat(),
        "cpu": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    } | {name: version(name) for name in (*PACKAGES, *(peer for peer in PEERS if find_spec(peer)))}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or "unknown"


def markdown(rows: list[Row]) -> str:
    """The table as Markdown, columns aligned so that it reads as text too."""
    lines = [("what", "measured", "goal", "how"), *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([text[0], rule, *text[1:]])


def report(rows: list[Row]) -> None:
    """Print the table and write it to RESULTS, as Markdown for people and as JSON for later comparisons."""
    there = machine()
    table = markdown(rows)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    heading = f"# Measured on {there['date']}\n\n" + ", ".join(
        f"{key} {value}" for key, value in there.items() if key != "date"
    )
    (RESULTS / "latest.md").write_text(f"{heading}\n\n{table}\n", "utf-8")
    (RESULTS / "latest.json").write_text(
        json.dumps({"machine": there, "rows": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False) + "\n",
        "utf-8",
    )
