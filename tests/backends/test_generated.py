"""Generated text becomes a function of a file in the cache, once, whoever else writes there at the same time."""

import subprocess
import sys

import pytest

from course_lib.backends import generated

TEXT = (
    '"""Generated: a test."""\n\n\ndef run(x):\n    return x + 1\n'
    + "# long enough not to be written at once\n" * 20_000
)
IN_A_PROCESS = (
    "import sys; from course_lib.backends import generated; print(generated.load(sys.stdin.read(), 'numba')(41))"
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache of the test's own; nothing is remembered from another test."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    generated.load.cache_clear()
    yield tmp_path / "cache"
    generated.load.cache_clear()


def test_a_text_becomes_a_function_of_a_file_of_its_own(cache):
    run = generated.load(TEXT, "numba")
    (file,) = (cache / "numba").glob("*.py")
    assert run(1) == 2 and run.__code__.co_filename == str(file) and file.read_text("utf8") == TEXT
    assert generated.load(TEXT, "numba") is run
    assert (
        generated.load(TEXT.replace("+ 1", "+ 2"), "numba")(1) == 3 and len(list((cache / "numba").glob("*.py"))) == 2
    )


def test_each_machine_has_a_folder_of_its_own(cache):
    for machine in ("numba", "triton"):
        assert generated.folder(machine) == cache / machine
        generated.load(TEXT, machine)
        assert len(list((cache / machine).glob("*.py"))) == 1


def test_a_file_is_written_once_and_again_if_it_holds_something_else(cache):
    generated.load(TEXT, "triton")
    (file,) = (cache / "triton").glob("*.py")
    before = file.stat().st_mtime_ns, file.stat().st_ino
    generated.load.cache_clear()
    generated.load(TEXT, "triton")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    file.write_text(TEXT[:30], "utf8")  # as a computer leaves it that goes out in between
    generated.load.cache_clear()
    assert generated.load(TEXT, "triton")(1) == 2 and file.read_text("utf8") == TEXT


def test_processes_that_load_at_once(cache):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen([sys.executable, "-c", IN_A_PROCESS], text=True, **pipes) for _ in range(6)]
    for p in processes:  # all have started before the first one gets its text
        p.stdin.write(TEXT)
        p.stdin.close()
    answers = [(p.wait(60), p.stdout.read(), p.stderr.read()) for p in processes]
    for p in processes:
        p.stdout.close()
        p.stderr.close()
    assert answers == [(0, "42\n", "")] * 6
    assert [p.suffix for p in (cache / "numba").iterdir() if p.is_file()] == [".py"]  # no half of a file is left


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    folders = [generated.folder(machine) for machine in ("numba", "triton")]
    assert [f for f in folders if not f.is_dir() or tmp_path in f.parents] == [] and folders[0] != folders[1]
    assert generated.load(TEXT, "numba")(1) == 2 and len(list(folders[0].glob("*.py"))) == 1


@pytest.mark.parametrize("chosen", ["user", ""])
def test_without_a_choice_it_lies_with_the_users_other_caches(monkeypatch, tmp_path, chosen):
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", chosen and str(tmp_path / chosen))  # an empty one is none
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    there = generated.folder("triton")
    assert there.name == "triton" and (sys.platform == "win32" or tmp_path / "user" in there.parents)
