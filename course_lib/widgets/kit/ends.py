"""The three ends of a run for figures: the formula that tells them apart, as JavaScript."""

import functools

from course_lib.backends import javascript
from course_lib.formulas.ends import end_of_run, steps_to_goal


@functools.cache
def javascript_of_ends() -> str:
    """The functions `steps_to_goal` and `end_of_run`, as course_lib/widgets/kit/ends.js calls them."""
    return "\n".join(
        (
            javascript.of(steps_to_goal, late=(), t=(), above=(), goal=()),
            javascript.of(end_of_run, late=(), before=(), after=(), last=(), steps=()),
        )
    )
