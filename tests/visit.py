"""A page that a test has open."""

from dataclasses import dataclass, field

from playwright.sync_api import Page


@dataclass
class Visit:
    """An open page, and everything it asked for or complained about since it was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # requests without an answer
    refused: list[str] = field(default_factory=list)  # answers of 400 and more
    errors: list[str] = field(default_factory=list)  # console errors and uncaught exceptions

    @property
    def problems(self) -> list[str]:
        """Everything that a good page does not have; an empty list on such a page."""
        foreign = [url for url in self.requests if not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))]
        return [*foreign, *self.failed, *self.refused, *self.errors]
