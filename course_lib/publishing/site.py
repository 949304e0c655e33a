"""Writes the site: one folder with the built HTML, the notebooks, and the library's wheel.

Usage: python -m course_lib.publishing.site OUT
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course_lib.publishing.notebooks import publish
from course_lib.publishing.repository import site_address

ROOT = Path(__file__).parents[2]


def write_site(out: Path, root: Path = ROOT) -> Path:
    """Writes the site of the book in the folder `root` to `out` and returns the wheel's path.

    Raises FileNotFoundError if the book was not built, ValueError if `out` holds something else than a site.
    """
    html = root / "_build" / "html"
    if not (html / "index.html").exists():
        raise FileNotFoundError(f"There is no built book in {html}. Build it first: make book.")
    _clear(out)
    shutil.copytree(html, out, ignore=shutil.ignore_patterns(".buildinfo*", ".doctrees", "*.err.log"))
    (out / ".nojekyll").touch()  # else GitHub Pages drops folders like _static
    wheel = build_wheel(out)
    shutil.copytree(root / "book", out / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__", "*.ipynb"))
    for source in sorted((root / "book").rglob("*.ipynb")):
        page = source.relative_to(root / "book")
        if not any(part.startswith(".") for part in page.parts):
            for target in (
                out / "notebooks" / page,
                out / "_sources" / "book" / page,
            ):  # the second is a page's download button
                publish(source, target, _address(wheel, target, site_address(root)))
    return wheel


def build_wheel(out: Path) -> Path:
    """Builds the library's wheel in the folder `out`, from a copy: setuptools would leave its own folders in the sources."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "course_lib", Path(folder, "course_lib"), ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, folder], check=True)
    (wheel,) = out.glob("course_lib-*.whl")
    return wheel


def _clear(out: Path) -> None:
    if out.exists():
        if any(out.iterdir()) and not (out / ".nojekyll").exists():
            raise ValueError(f"{out} is neither empty nor an older site, so it is left as it is. Name another folder.")
        shutil.rmtree(out)


def _address(wheel: Path, notebook: Path, site: str | None) -> str:
    """Where `notebook` finds the wheel: on the site, or, where no address is known, beside it in the site's folder."""
    return f"{site}/{wheel.name}" if site else Path(os.path.relpath(wheel, notebook.parent)).as_posix()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    try:
        wheel = write_site(out)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    served = (
        f"for {site_address(ROOT)}"
        if site_address(ROOT)
        else "for no known address: its notebooks look for the wheel in this folder"
    )
    print(f"The site: {out}, {served}. The wheel: {wheel.name}, {wheel.stat().st_size // 1024} KB.")


if __name__ == "__main__":
    main()
