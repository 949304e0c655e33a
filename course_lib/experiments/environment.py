"""Where a program runs: for a reader, or for the build of the book."""

import os


def in_book() -> bool:
    """Whether this kernel runs for a book's build, where no front end answers and what is printed stays in the page."""
    return os.environ.get("COURSE_BOOK") == "1"
