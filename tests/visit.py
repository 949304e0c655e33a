"""A page that a test has open, and the tabs that tests of a module use one after the other."""

from collections import defaultdict
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page

VIEWPORT = {"width": 1200, "height": 1000}
PATIENCE = 120_000  # milliseconds: on a busy machine what takes a second may take a minute


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

    def listen(self) -> list[tuple]:
        """Begins to note what the page does: the listeners, by the events that they listen to."""
        listeners = [
            ("request", lambda request: self.requests.append(request.url)),
            ("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}")),
            ("response", lambda r: r.status >= 400 and self.refused.append(f"{r.url}: {r.status}")),
            ("console", lambda message: message.type == "error" and self.errors.append(message.text)),
            ("pageerror", lambda error: self.errors.append(str(error))),
        ]
        for event, listener in listeners:
            self.page.on(event, listener)
        return listeners


class Tabs:
    """Tabs of a browser. One that is put back is emptied and used again: a new one takes a second of a processor."""

    def __init__(self, browser: Browser):
        self._browser, self._contexts, self._idle, self._used = browser, [], defaultdict(list), []

    def open(self, url: str, wait_until: str = "networkidle", init: str = "", **options) -> Visit:
        """Opens a page; a tab is used again for the same options, if neither has a script `init`, which would stay."""
        options = {"viewport": VIEWPORT} | options
        kind = None if init or not options.get("java_script_enabled", True) else repr(sorted(options.items()))
        page = self._idle[kind].pop() if kind and self._idle[kind] else self._new(options)
        if init:
            page.add_init_script(init)
        visit = Visit(page)
        self._used.append((kind, visit, visit.listen(), options["viewport"]))
        page.goto(url, wait_until=wait_until)
        return visit

    def put_back(self) -> None:
        """Empties all tabs in use, of what they show and of what they stored; closes those that would remember more."""
        for kind, visit, listeners, viewport in self._used:
            for event, listener in listeners:
                visit.page.remove_listener(event, listener)
            if kind is None:
                visit.page.context.close()
                continue
            visit.page.evaluate("localStorage.clear(); sessionStorage.clear()")
            visit.page.context.clear_cookies()
            visit.page.goto("about:blank")
            visit.page.set_viewport_size(viewport)
            visit.page.mouse.move(0, 0)
            self._idle[kind].append(visit.page)
        self._used.clear()

    def close(self) -> None:
        """Closes all tabs."""
        for context in self._contexts:
            context.close()

    def _new(self, options: dict) -> Page:
        self._contexts.append(self._browser.new_context(**options))
        self._contexts[-1].set_default_timeout(PATIENCE)
        return self._contexts[-1].new_page()
