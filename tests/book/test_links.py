"""Links, in the sources and in the built pages: those to a page lead to one, and few lead to another host."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from test_notebooks import NOTEBOOKS, cells, tokens

# Where papers and the license are. Nothing in the course may depend on an address that somebody else could own.
HOSTS = {
    "aclanthology.org",
    "arxiv.org",
    "creativecommons.org",
    "doi.org",
    "jmlr.org",
    "openreview.net",
    "proceedings.mlr.press",
    "proceedings.neurips.cc",
}


def links(path):
    """Every link and picture of a page's texts."""
    for token in tokens(path):
        if token.type in ("link_open", "image"):
            yield token.attrs.get("href") or token.attrs["src"]
        elif token.type.startswith("html"):
            yield from re.findall(r'(?:href|src)="([^"]*)"', token.content)


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_links_between_pages_are_relative_and_exist(path):
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            assert parts.scheme == "https" and parts.netloc in HOSTS, link
        elif parts.path:
            assert not parts.path.startswith("/"), link
            assert (path.parent / unquote(parts.path)).is_file(), link


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_code_names_no_address(path):
    for cell in cells(path, "code"):
        assert not re.search(r"https?://", cell.source), cell.source


def test_built_pages_link_to_what_is_there(built_book):
    pages = sorted((built_book / "book").rglob("*.html"))
    assert pages
    for page in pages:
        for link in set(re.findall(r'<(?:a|link|script|img)\b[^>]*?\s(?:href|src)="([^"]*)"', page.read_text())):
            parts = urlsplit(link)
            if parts.netloc:
                assert parts.netloc in HOSTS, f"{page.name}: {link}"
            elif parts.path and parts.scheme in ("", "file"):
                assert (page.parent / unquote(parts.path)).exists(), f"{page.name}: {link}"
