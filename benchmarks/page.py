"""The built pages in a browser: how soon a figure answers, how long a redraw takes, how much code a page loads.

What is measured as a redraw: the time from the `input` event of a slider to the end of the drawing that it causes. The figure
draws in the next animation frame, so the script below stands in for requestAnimationFrame while it sends the event, and then
calls what the figure asked for at once: no waiting for a frame is counted, only the figure's own work (run the rule, make the
paths, write the DOM). The browser's layout of what was written is forced after that and timed apart; painting is not timed.
The slider is dragged from end to end in MOVES moves, DRAGS times, and each place counts with its fastest drag: a program
beside the benchmark makes a redraw late, never early. A slower machine is this one times SLOWDOWN: Chromium's own brake stops
a page for many milliseconds at a time, so that short pieces of work come out at full speed or far too slow.
"""

import functools
import gzip
import http.server
import shutil
import statistics
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.table import Row

HTML = Path(__file__).parents[1] / "_build" / "html"
PAGE = "book/basics/momentum.html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
SLOWDOWN = 4
MOVES = 80
DRAGS = 5

REDRAWS = """
([figure, name, moves]) => {
  const host = document.querySelectorAll(".course-figure")[figure];
  const slider = host.querySelector(`input[name=${name}]`), plot = host.querySelector("svg[role=img]"), times = [];
  const frame = window.requestAnimationFrame;
  let drawings;
  window.requestAnimationFrame = (draw) => drawings.push(draw);
  for (let k = 0; k <= moves; k++) {
    drawings = [];
    slider.value = Math.round((k / moves) * slider.max);
    const begin = performance.now();
    slider.dispatchEvent(new Event("input"));
    drawings.forEach((draw) => draw());
    const drawn = performance.now();
    plot.getBoundingClientRect();
    if (k) times.push([drawn - begin, performance.now() - drawn]);
    if (k && !drawings.length) throw new Error("the slider moved and the figure drew nothing");
  }
  window.requestAnimationFrame = frame;
  return times;
}"""

# Runs before the page's own scripts: notes when the first figure stands, moves its slider and waits for the answer.
FIRST_ANSWER = """
new MutationObserver((_, observer) => {
  const slider = document.querySelector(".course-figure[data-mounted] input[name=lr]");
  if (!slider) return;
  observer.disconnect();
  const plot = slider.closest(".course-figure").querySelector("svg[role=img]"), before = () => plot.getAttribute("aria-label");
  const move = () => {
    const old = before();
    slider.value = slider.value - 20;
    slider.dispatchEvent(new Event("input"));
    requestAnimationFrame(function answered() {
      if (before() && before() !== old) window.firstAnswer = performance.now();
      else requestAnimationFrame(answered);
    });
  };
  requestAnimationFrame(function ready() { before() ? move() : requestAnimationFrame(ready); });
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


class _Gzip(http.server.SimpleHTTPRequestHandler):
    """Serves files compressed, as GitHub Pages and every other host of pages does."""

    protocol_version = "HTTP/1.1"

    @staticmethod
    @functools.cache
    def packed(path: str) -> bytes:
        return gzip.compress(Path(path).read_bytes(), 6)

    def do_GET(self):
        path = self.translate_path(self.path)
        if not Path(path).is_file():
            return self.send_error(404)
        body = self.packed(path)
        self.send_response(200)
        for name, value in (
            ("Content-Type", self.guess_type(path)),
            ("Content-Encoding", "gzip"),
            ("Content-Length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Says nothing."""


@contextmanager
def served(folder: Path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Gzip, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def redraws(browser: Browser, address: str) -> list[Row]:
    """Redraw times of every figure of the page, in the order of the page, for its first and its last slider."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(address)
    found = []
    for k, host in enumerate(page.locator(".course-figure").all()):
        host.scroll_into_view_if_needed()
        host.locator("label.cf-slider input").first.wait_for()
        page.wait_for_timeout(300)
        names = [slider.get_attribute("name") for slider in host.locator("label.cf-slider input").all()]
        for name in dict.fromkeys((names[0], names[-1])):
            drags = [page.evaluate(REDRAWS, [k, name, MOVES]) for _ in range(DRAGS)]
            host.get_by_role("button", name="Reset").click()
            found.append(_row(f"{host.locator('.cf').get_attribute('aria-label')}: {name}", drags))
    page.close()
    return found


def _row(what: str, drags: list[list[list[float]]]) -> Row:
    drawing, layout = (
        [SLOWDOWN * min(times) for times in zip(*([move[part] for move in drag] for drag in drags), strict=True)]
        for part in (0, 1)
    )
    late = statistics.quantiles(drawing, n=20)[-1]
    note = f"95 % of {MOVES} slider moves are faster; median {statistics.median(drawing):.1f} ms, then {statistics.median(layout):.1f} ms of layout; {SLOWDOWN} times this machine's time"
    return Row(f"redraw, {what}", late, "ms", 8, note)


def first_answer(browser: Browser, address: str) -> Row:
    """Seconds until a page that nobody has opened before has a figure that answers, from the start of its loading."""
    seconds = []
    for _ in range(5):
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        page = context.new_page()
        page.add_init_script(FIRST_ANSWER)
        page.goto(address)
        page.locator(".course-figure").first.scroll_into_view_if_needed()
        page.wait_for_function("window.firstAnswer", polling=20)
        seconds.append(page.evaluate("window.firstAnswer") / 1000)
        context.close()
    return Row(
        "first slider answers",
        statistics.median(seconds),
        "s",
        1.0,
        f"from localhost with an empty cache, median of 5, largest {max(seconds):.2f} s",
    )


def script_size() -> Row:
    """What a page with figures loads for them, compressed; the state that stands in the page itself not counted."""
    files = [HTML / "_static" / "course" / name for name in ("figures.js", "mount.js")]
    return Row(
        "figures' JavaScript of a page",
        sum(len(gzip.compress(file.read_bytes(), 9)) for file in files) / 1024,
        "KB",
        80,
        "gzip, loaded once for all pages",
    )


@contextmanager
def chromium():
    """A browser without a window, closed at the end."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        sys.exit(
            "The benchmarks of the pages need a browser: install chromium, for instance with apt-get install chromium."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def rows() -> list[Row]:
    if not (HTML / PAGE).exists():
        sys.exit(f"There is no built book in {HTML}. Build it first: make book.")
    with served(HTML) as address, chromium() as browser:
        return [
            *redraws(browser, f"{address}/{PAGE}"),
            first_answer(browser, f"{address}/book/intro.html"),
            script_size(),
        ]
