"""The form of the asked function: what goes in, what comes out."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def name_of(fn: Callable) -> str:
    """How a message calls the reader's function."""
    name = getattr(fn, "__name__", "")
    return name if name.isidentifier() else "your function"


def file_of(fn: Callable) -> str | None:
    """The file (in a notebook: the cell) that holds the source of `fn`; None if there is none."""
    fn = inspect.unwrap(fn.func if isinstance(fn, functools.partial) else fn)
    code = getattr(fn, "__code__", None) or getattr(getattr(type(fn), "__call__", None), "__code__", None)
    return code.co_filename if code else None


def no_function(fn: Any) -> str | None:
    """A sentence if `fn` is nothing that can be called for its values, else None."""
    if not callable(fn) or inspect.isclass(fn):
        kind = f"the class {fn.__name__}" if inspect.isclass(fn) else f"a value of type {type(fn).__name__}"
        return f"this check takes your function itself, its name without parentheses after it; it got {kind}."
    if inspect.isgeneratorfunction(fn) or inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        return f"{name_of(fn)} is a generator or a coroutine: write it with `def` and `return`, without `yield` or `async`."
    return None


@dataclass(frozen=True)
class Form:
    """The arguments are those of `reference`; `returns` names the returned values."""

    reference: Callable
    returns: tuple[str, ...]

    def call(self, fn: Callable, given: dict[str, Any]) -> Any:
        """Call `fn` as the reference wants to be called: `given` holds a value for each of its arguments."""
        kinds = self._kinds
        positional = [given[name] for name, kind in kinds.items() if kind in POSITIONAL]
        return fn(*positional, **{k: v for k, v in given.items() if kinds[k] not in POSITIONAL})

    @functools.cached_property
    def _kinds(self) -> dict[str, Any]:
        return {p.name: p.kind for p in _parameters(self.reference)}

    def mismatch(self, fn: Any) -> str | None:
        """A sentence if `fn` cannot stand in for the reference, else None. Positional arguments may have other names."""
        if reason := no_function(fn):
            return reason
        try:
            reason = self._reason(_parameters(fn))
        except (ValueError, TypeError):  # a builtin without a signature: calling it will tell
            return None
        line = f"({', '.join(map(_plain, _parameters(self.reference, star=True)))})"
        return (
            reason and f"the arguments of {name_of(fn)} have changed: {reason}. Write its first line with {line} again."
        )

    def _reason(self, got: list[inspect.Parameter]) -> str | None:
        want = _parameters(self.reference)
        for p in got:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                return f"`{p}` stands for arguments without names"
        wrong = [
            p.name for p in want if p.kind is p.KEYWORD_ONLY and p.name in {q.name for q in got if q.kind in POSITIONAL}
        ]
        if wrong:
            return f"`{wrong[0]}` must stand after the `*`"
        names = {p.name for p in want if p.kind is p.KEYWORD_ONLY}
        given = {p.name for p in got if p.kind is p.KEYWORD_ONLY}
        if names != given:
            missing, more = sorted(names - given), sorted(given - names)
            if missing:
                return f"`{missing[0]}` is missing after the `*`"
            known = more[0] in {p.name for p in want}
            return f"`{more[0]}` must stand in front of the `*`" if known else f"`{more[0]}` is not one of them"
        places, places_got = ([p for p in ps if p.kind in POSITIONAL] for ps in (want, got))
        if len(places) != len(places_got):
            return f"it takes {len(places_got)} arguments by position, where {len(places)} are given"
        pairs = list(zip(places, places_got)) + [
            (p, q) for p in want for q in got if p.name == q.name and p.name in names
        ]
        bare = [q.name for p, q in pairs if p.default is not p.empty and q.default is q.empty]
        if bare:
            return f"`{bare[0]}` has lost its default"
        changed = [
            (p, q) for p, q in pairs if p.kind is p.KEYWORD_ONLY and p.default is not p.empty and p.default != q.default
        ]
        return next((f"the default of `{p.name}` is {q.default}, expected {p.default}" for p, q in changed), None)


def _parameters(fn: Callable, star: bool = False) -> list:
    found = list(inspect.signature(fn).parameters.values())
    first = next((i for i, p in enumerate(found) if p.kind is p.KEYWORD_ONLY), None)
    return found if first is None or not star else [*found[:first], "*", *found[first:]]


def _plain(p: inspect.Parameter | str) -> str:
    return p if isinstance(p, str) else str(p.replace(annotation=p.empty))
