"""What several tests share: one built book and its site, a server on this machine, and a browser that reaches nothing else."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright
from visit import Tabs

from course_lib.publishing.site import write_site

pytest_plugins = ["running"]
ROOT = Path(__file__).parents[1]
LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
os.environ.setdefault("COURSE_CACHE", str(ROOT / "_build" / "cache"))  # compiled code stays in the project's folder
torch.set_num_threads(1)  # all tensors here are small, and tests run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same for the notebooks that they execute
BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", LOCAL_ONLY]


@pytest.fixture(scope="session")
def built_book() -> Path:
    """The folder of the book's HTML, built as `make book` builds it; pages that did not change come from its cache."""
    programs = os.path.relpath(Path(sys.executable).parent, ROOT)  # those of this very environment, which is as it is
    make = ["make", "--no-print-directory", "--old-file=.venv/.installed", f"BIN={programs}", "book"]
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "book.lock"):  # of the processes that test side by side the first one builds
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        pytest.fail(f"make book failed:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def built_site(built_book, tmp_path_factory) -> Path:
    """The folder that is published: the HTML, the notebooks and the wheel."""
    out = tmp_path_factory.mktemp("site")
    write_site(out)
    return out


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def serve():
    """`serve(folder)` serves a folder on this machine at a free port and returns its address, without a slash at the end."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def browser() -> Browser:
    """A headless Chromium that can reach this machine alone."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("needs a browser: install chromium, for instance with apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tabs(browser):
    """The tabs of a module's tests."""
    tabs = Tabs(browser)
    yield tabs
    tabs.close()


@pytest.fixture
def open_page(tabs):
    """`open_page(url, **options)` opens a page and returns its Visit; the options are Browser.new_context's.

    For instance `color_scheme="dark"`, `viewport={"width": 390, "height": 844}`, `java_script_enabled=False`. The page is
    given back when nothing has been loaded for half a second, with `wait_until="load"` as soon as it is complete. The script
    `init` runs before the page's own.
    """
    yield tabs.open
    tabs.put_back()


@pytest.fixture(scope="module")
def open_shared_page(browser):
    """As open_page, for a page that the tests of a module share."""
    tabs = Tabs(browser)
    yield tabs.open
    tabs.close()


@pytest.fixture(scope="module")
def page(browser):
    """An empty page, for a module's generated code to run in."""
    page = browser.new_page()
    yield page
    page.close()
