"""Measures everything, prints one table and keeps it in benchmarks/results.

Usage: python -m benchmarks [--quick]

--quick leaves out the two builds of the book, which take minutes.
"""

import sys

from benchmarks import augmentation, build, cuda, data_parallel, grading, map, page, peers, sweep, training
from benchmarks.table import report


def main() -> None:
    if unknown := set(sys.argv[1:]) - {"--quick"}:
        sys.exit(f"Unknown option {' '.join(sorted(unknown))}.\n{__doc__}")
    measured = (
        [sweep, peers, augmentation, training, data_parallel, grading, cuda, map, page]
        if "--quick" in sys.argv
        else [sweep, peers, augmentation, training, data_parallel, grading, cuda, map, build, page]
    )
    rows = []
    for module in measured:
        print(f"Measuring {module.__name__.removeprefix('benchmarks.')} …", file=sys.stderr)
        rows += module.rows()
    report(rows)


if __name__ == "__main__":
    main()
