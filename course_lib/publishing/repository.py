"""Where this copy of the course lives: the one place that knows an address. A fork's addresses follow the fork."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml


@dataclass(frozen=True)
class Repository:
    """A repository `owner`/`name` on the server `host`, for instance github.com."""

    host: str
    owner: str
    name: str

    @property
    def url(self) -> str:
        """The repository's own page."""
        return f"https://{self.host}/{self.owner}/{self.name}"

    @property
    def site(self) -> str | None:
        """Where GitHub Pages serves the site, or None on another host."""
        if self.host != "github.com":
            return None
        pages = f"{self.owner.lower()}.github.io"
        return f"https://{pages}" if self.name.lower() == pages else f"https://{pages}/{self.name}"

    def colab(self, notebook: str) -> str | None:
        """The link that opens a published notebook (`basics/momentum`) in Colab, or None on another host than GitHub."""
        if self.host != "github.com":
            return None
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/gh-pages/notebooks/{notebook}.ipynb"


def parse(url: str) -> Repository:
    """The repository at `url`.

    Raises ValueError unless the URL reads https://HOST/OWNER/NAME.
    """
    parts = urlsplit(url)
    path = parts.path.strip("/").removesuffix(".git").split("/")
    if parts.scheme != "https" or not parts.netloc or len(path) != 2 or not all(path):
        raise ValueError(
            f"{url!r} is no repository: write https://HOST/OWNER/NAME, as in repository: url: of _config.yml."
        )
    return Repository(parts.netloc.lower(), *path)


def find_repository(root: Path) -> Repository | None:
    """The repository of the course in the folder `root`, or None where no address is known.

    What GitHub Actions says (GITHUB_REPOSITORY, GITHUB_SERVER_URL) goes before `repository: url:` in _config.yml.
    """
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return parse(f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}")
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8")) or {}
    url = (config.get("repository") or {}).get("url")
    return parse(url) if url else None


def site_address(root: Path) -> str | None:
    """Where the site will be served: COURSE_SITE if it is set, else the repository's pages, else None."""
    if address := os.environ.get("COURSE_SITE"):
        return address.rstrip("/")
    repository = find_repository(root)
    return repository.site if repository else None
