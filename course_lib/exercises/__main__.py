"""Grade students' notebooks, check one, hand the exercises out: python -m course_lib.exercises grade FOLDER."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from course_lib.exercises.grading.catalog import BOOK, tasks
from course_lib.exercises.grading.classroom import grade, submissions
from course_lib.exercises.grading.judge import judge
from course_lib.exercises.grading.processes import Limits, Server
from course_lib.exercises.grading.release import GUIDE, release
from course_lib.exercises.grading.report import page


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where all went well, 1 where an answer of `check` does not pass, 2 for what cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.exercises", description="The exercises of a class.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_grade(commands.add_parser("grade", help="grade a folder of students' notebooks"))
    _add_check(commands.add_parser("check", help="judge the answers in one notebook, as grade does"))
    _add_release(commands.add_parser("release", help="write the exercises without their solutions"))
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 2


def _add_grade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="one notebook or one folder for each student, of any names")
    parser.add_argument("--out", type=Path, default=Path("report"), help="where to write: report.csv and report.html")
    parser.add_argument("--processes", type=_number, help="students at once; by itself one for each processor")
    parser.add_argument("--memory", type=_number, default=2048, help="MB for the answers of one student")
    parser.set_defaults(run=_grade)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a notebook")
    parser.set_defaults(run=_check)


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="a new folder")
    parser.set_defaults(run=_release)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, got {text!r}")
    return int(text)


def _grade(options: argparse.Namespace) -> int:
    table = options.out.with_name(options.out.name.removesuffix(".csv").removesuffix(".html") + ".csv")
    limits = Limits(memory=options.memory << 20, hidden=_hidden(options.folder))
    with tqdm(total=len(submissions(options.folder)), unit=" students", file=sys.stderr) as bar:
        rows = grade(options.folder, table, processes=options.processes, limits=limits, progress=lambda _: bar.update())
    title = f"{options.folder.resolve().name}: exercises"
    html = table.with_suffix(".html")
    html.write_text(page(rows, [task.name for task in tasks()], title), "utf8")
    passed = sum(row.verdict == "passed" for row in rows)
    print(f"{passed} of {len(rows)} answers passed.")
    print(f"{table} has a line for each, {html} shows what each was told.")
    return 0


def _check(options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise ValueError(f"There is no file {str(options.file)!r}. Give a notebook, a file that ends in .ipynb.")
    with Server(Limits(hidden=_hidden(options.file.parent))) as server:
        rows = [*judge(server, "", [options.file], tasks())]
    if not rows:
        raise ValueError(f"None of the book's exercises is in {options.file}.")
    for row in rows:
        print(row.message, row.notes, sep="\n" if row.notes else "")
    return 0 if all(row.verdict == "passed" for row in rows) else 1


def _release(options: argparse.Namespace) -> int:
    written = release(options.out)
    print(f"{len(written)} notebooks without solutions are in {written[0].parent},")
    print(f"the guide in {options.out / GUIDE.name}.")
    return 0


def _hidden(folder: Path) -> tuple[str, ...]:
    return str(BOOK.resolve()), str(folder.resolve())


if __name__ == "__main__":
    sys.exit(main())
