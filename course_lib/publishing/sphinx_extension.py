"""The book's Sphinx extension: figures without a kernel, plots that follow the theme, links that follow a fork."""

import os
from pathlib import Path

import nbformat
from sphinx.util import logging

from course_lib.publishing import figures
from course_lib.publishing.execution_cache import ExecutionCache
from course_lib.publishing.repository import find_repository
from course_lib.publishing.typography import keep_punctuation

KERNEL_CONFIG = """\
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}}
c.HistoryManager.enabled = False
c.IPKernelApp.log_level = "ERROR"
"""
log = logging.getLogger(__name__)


def setup(app):
    """Connects the extension to Sphinx."""
    os.environ["COURSE_BOOK"] = (
        "1"  # the notebooks' kernels inherit it: a Figure then gives its state in place of a widget
    )
    app.connect("config-inited", _configure)
    pages = _Pages()
    app.connect("builder-inited", pages.open)
    app.connect("env-get-outdated", pages.not_executed)
    app.connect("env-before-read-docs", pages.execute)
    app.connect("source-read", pages.insert)
    app.connect("html-page-context", figures.add_page_files)
    app.connect("html-page-context", _add_colab_button, priority=600)  # after the theme has made its buttons
    app.connect("doctree-read", figures.warn_of_dead_widgets)
    app.connect("doctree-read", keep_punctuation)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app, config):
    """Settings that _config.yml cannot make, because Jupyter Book has no key for them or they depend on the machine."""
    root, build = Path(app.srcdir), Path(app.outdir).parent
    figures.write_static_files(build / ".course_static")
    config.html_static_path.append(str(build / ".course_static"))
    config.nb_ipywidgets_js = {}  # no require.js and no html-manager from another host
    config.html_theme_options.setdefault(
        "navbar_persistent", []
    )  # else the theme adds a second header with a second search
    _set_repository(config.html_theme_options, find_repository(root))
    _set_kernels(build / ".ipython")


class _Pages:
    """The pages that are notebooks, executed before Sphinx reads them: it is given their outputs with their sources."""

    def open(self, app) -> None:
        """Opens the cache of the library as it is now (Sphinx event builder-inited)."""
        self.cache, self.failed = ExecutionCache(Path(app.srcdir), Path(app.outdir).parent), {}

    def not_executed(self, app, env, added, changed, removed) -> list[str]:
        """The pages to read again though they did not change: the library did, or they failed (Sphinx event env-get-outdated)."""
        return [name for name in env.found_docs if (path := _notebook(env, name)) and not self.cache.executed(path)]

    def execute(self, app, env, docnames) -> None:
        """Executes those of the pages to be read that the cache lacks (Sphinx event env-before-read-docs)."""
        names = {path: name for name in docnames if (path := _notebook(env, name))}
        if len(names) > 1:  # side by side, a kernel's second thread would take another one's processor
            os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.failed = self.cache.execute(names, app.config.nb_execution_timeout)
        for path, (_, failure) in self.failed.items():
            log.warning(failure, location=names[path], type="course", subtype="execution")

    def insert(self, app, docname, source) -> None:
        """Gives a page the outputs that it has, also one that failed (Sphinx event source-read)."""
        if path := _notebook(app.env, docname):
            notebook = self.cache.executed(path) or self.failed[path][0]
            source[0] = nbformat.writes(notebook)


def _notebook(env, docname: str) -> Path | None:
    path = Path(env.doc2path(docname))
    return path if path.suffix == ".ipynb" else None


def _set_repository(options, repository):
    """Gives the page's header links to the repository, where it is known and the theme knows its kind of server."""
    if repository and repository.host == "github.com":
        options |= {"repository_url": repository.url, "use_repository_button": True, "use_issues_button": True}


def _set_kernels(folder: Path):
    """Gives every kernel of the build the course's plot style, and no other settings of the person who builds."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL_CONFIG, "utf-8")
    os.environ["IPYTHONDIR"] = str(folder)
    os.environ["MATPLOTLIBRC"] = str(figures.HERE.parent / "experiments" / "course.mplstyle")


def _add_colab_button(app, pagename, templatename, context, doctree):
    """Puts a link to the published notebook before the theme's buttons, where the repository is known."""
    repository = find_repository(Path(app.srcdir))
    if doctree is None or not repository or not app.env.doc2path(pagename).endswith(".ipynb"):
        return
    if url := repository.colab(pagename.removeprefix("book/")):
        tooltip = "Open this page as a notebook in Colab"
        context["header_buttons"].insert(
            0, {"type": "link", "url": url, "text": "Colab", "tooltip": tooltip, "classes": "fs-6"}
        )
