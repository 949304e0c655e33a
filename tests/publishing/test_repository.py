"""A fork's addresses follow the fork, and without a known address there is none."""

import pytest

from course_lib.publishing.repository import Repository, find_repository, parse, site_address


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder whose _config.yml names a repository, on a machine that is not GitHub's."""
    for name in ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "COURSE_SITE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "_config.yml").write_text("repository:\n  url: https://github.com/Teacher/course\n")
    return tmp_path


def test_the_configuration_names_the_repository(root):
    assert find_repository(root) == Repository("github.com", "Teacher", "course")
    assert site_address(root) == "https://teacher.github.io/course"


def test_a_fork_on_github_follows_the_fork(root, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "Forker/my-course")
    repository = find_repository(root)
    assert repository.url == "https://github.com/Forker/my-course"
    assert repository.colab("basics/momentum") == (
        "https://colab.research.google.com/github/Forker/my-course/blob/gh-pages/notebooks/basics/momentum.ipynb"
    )
    assert site_address(root) == "https://forker.github.io/my-course"


@pytest.mark.parametrize("config", ["", "title: A course\n", "repository:\n", "repository:\n  branch: main\n"])
def test_no_known_repository_means_no_address(root, config):
    (root / "_config.yml").write_text(config)
    assert find_repository(root) is None
    assert site_address(root) is None


def test_another_host_has_a_repository_but_neither_colab_nor_pages(root, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "forker/course")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example.org")
    repository = find_repository(root)
    assert repository.url == "https://git.example.org/forker/course"
    assert repository.colab("basics/momentum") is None
    assert site_address(root) is None


def test_a_user_site_has_no_path():
    assert Repository("github.com", "Teacher", "teacher.github.io").site == "https://teacher.github.io"


def test_an_explicit_site_wins(root, monkeypatch):
    monkeypatch.setenv("COURSE_SITE", "http://127.0.0.1:8000/")
    assert site_address(root) == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "url", ["https://github.com/a/b", "https://github.com/a/b/", "https://github.com/a/b.git", "https://GitHub.com/a/b"]
)
def test_spellings_of_one_repository(url):
    assert parse(url) == Repository("github.com", "a", "b")


@pytest.mark.parametrize(
    "url",
    ["", "a/b", "https://github.com/a", "https://github.com/a/b/tree/main", "git@github.com:a/b.git", "https:///a/b"],
)
def test_what_is_no_repository_is_named(url):
    with pytest.raises(ValueError, match="is no repository: write https://HOST/OWNER/NAME"):
        parse(url)
