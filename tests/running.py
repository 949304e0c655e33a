"""How a run of the tests goes about it: in which order, and what it says at its end. conftest.py makes pytest find these hooks."""

import random
from collections import Counter

SLOWEST = 10


def pytest_addoption(parser):
    parser.addoption(
        "--shuffle", metavar="SEED", help="run the files, and the tests in each, in an order drawn from this seed"
    )


def pytest_collection_modifyitems(config, items):
    """Files, then the tests in each: what the tests of a file share is made once, in any order."""
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    draw = random.Random(seed)
    groups = list(files.values())
    draw.shuffle(groups)
    for group in groups:
        draw.shuffle(group)
    items[:] = [item for group in groups for item in group]


def pytest_terminal_summary(terminalreporter):
    """The slowest files: seconds of all their tests with what they set up, summed over the processes."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section(f"slowest {SLOWEST} files")
    for name, duration in seconds.most_common(SLOWEST):
        terminalreporter.write_line(f"{duration:7.1f} s  {name}")
