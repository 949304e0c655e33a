"""The page that shows a class: students by exercises, each diagnosis one click away. One file that asks no other host for anything."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from course_lib.exercises.grading.judge import VERDICTS, Row

SIGNS = {"passed": "✓", "wrong": "✗", "not attempted": "○", "not handed in": "–"}
STYLE = """
:root { color-scheme: light dark; --ink: #222; --page: #fff; --line: #d5d5d5; --good: #1a7f37; --bad: #b42318; --odd: #8a5a00; --soft: #5f6368; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --page: #16181c; --line: #3a3d42; --good: #6cc785; --bad: #ff8f82; --odd: #e5b567; --soft: #a0a4ab; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
.scroll { overflow: auto; width: fit-content; max-width: 100%; max-height: 80vh; border: 1px solid var(--line); }
table { border-collapse: collapse; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid var(--line); text-align: center; white-space: nowrap; }
thead th { position: sticky; top: 0; background: var(--page); z-index: 1; vertical-align: bottom; font-weight: 500; }
thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
tbody th { position: sticky; left: 0; background: var(--page); text-align: left; font-weight: 500; max-width: 18rem; overflow: hidden; text-overflow: ellipsis; }
tbody th a { color: inherit; }
td a { color: inherit; text-decoration: none; display: block; }
.passed { color: var(--good); } .wrong { color: var(--bad); } .odd { color: var(--odd); } .none { color: var(--soft); }
details { margin: .4rem 0; } summary { cursor: pointer; }
.row { margin: .5rem 0 .8rem 1.2rem; padding-left: .8rem; border-left: 2px solid var(--line); scroll-margin: 5rem; }
.row:target { border-color: var(--odd); }
.message { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 60rem; margin: 0; } .notes { color: var(--soft); margin: 0; }
"""


def kind(verdict: str) -> str:
    """The class of a verdict's color."""
    known = {
        "passed": "passed",
        "wrong": "wrong",
        "not attempted": "none",
        "not handed in": "none",
        "not tried": "none",
    }
    return known.get(verdict, "odd")


def page(rows: Sequence[Row], exercises: Sequence[str], title: str) -> str:
    """The page as HTML. `exercises` are all names in the book's order; those that nobody handed in are left out."""
    students = list(dict.fromkeys(row.student for row in rows))
    columns = [name for name in exercises if any(row.exercise == name for row in rows)]
    found = {(row.student, row.exercise): row for row in reversed(rows)}
    numbers = {student: k for k, student in enumerate(students)}
    body = [f"<h1>{escape(title)}</h1>", _summary(rows, students), _legend(rows)]
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in columns)
    lines = [_line(student, numbers[student], columns, found) for student in students]
    body.append(
        f'<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">student</th><th scope="col">passed</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
    body += ["<h2>Mistakes by name</h2>", _mistakes(rows), "<h2>What each answer was told</h2>"]
    body += [
        _section(student, numbers[student], [row for row in rows if row.student == student]) for student in students
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _summary(rows: Sequence[Row], students: list[str]) -> str:
    passed = sum(row.verdict == "passed" for row in rows)
    return f"<p>{len(students)} students, {sum(bool(r.exercise) for r in rows)} answers, {passed} of them passed.</p>"


def _legend(rows: Sequence[Row]) -> str:
    seen = [verdict for verdict in VERDICTS if any(row.verdict == verdict for row in rows)]
    items = "".join(f"<dt>{_sign(v)} {escape(v)}</dt><dd>{escape(VERDICTS[v])}</dd>" for v in seen)
    return f"<details><summary>What the verdicts mean</summary><dl>{items}</dl></details>"


def _sign(verdict: str) -> str:
    return f'<span class="{kind(verdict)}">{SIGNS.get(verdict, "!")}</span>'


def _line(student: str, number: int, columns: list[str], found: dict) -> str:
    own = [found.get((student, name)) for name in columns]
    cells = "".join(_cell(row, name, number) for name, row in zip(columns, own))
    passed = sum(row is not None and row.verdict == "passed" for row in own)
    return f'<tr><th scope="row"><a href="#s{number}">{escape(student)}</a></th><td>{passed}</td>{cells}</tr>'


def _cell(row: Row | None, name: str, number: int) -> str:
    if row is None:
        return '<td class="none" title="not handed in">–</td>'
    label = escape(f"{row.verdict}{row.mistake and ': ' + row.mistake}", quote=True)
    sign = SIGNS.get(row.verdict, "!")
    return f'<td class="{kind(row.verdict)}"><a href="#s{number}-{escape(name)}" title="{label}" aria-label="{label}">{sign}</a></td>'


def _mistakes(rows: Sequence[Row]) -> str:
    counts = Counter((row.exercise, row.mistake) for row in rows if row.mistake)
    if not counts:
        return "<p>None.</p>"
    items = "".join(f"<li>{escape(name)}: {escape(mistake)}, {n}</li>" for (name, mistake), n in counts.most_common(20))
    return f"<ul>{items}</ul>"


def _section(student: str, number: int, rows: list[Row]) -> str:
    parts = []
    for row in rows:
        place = f"s{number}-{row.exercise}" if row.exercise else f"s{number}-file"
        notes = f'<p class="notes">{escape(row.notes)}</p>' if row.notes else ""
        parts.append(
            f'<div class="row" id="{escape(place)}"><strong class="{kind(row.verdict)}">{escape(row.exercise or "file")}: '
            f'{escape(row.verdict)}</strong> {escape(row.mistake)}<p class="message">{escape(row.message)}</p>{notes}</div>'
        )
    return f'<details><summary id="s{number}">{escape(student)}</summary>{"".join(parts)}</details>'
