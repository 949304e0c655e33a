"""Downloads from a server on this machine that sends parts, breaks off, lies, and refuses."""

import hashlib
import http.server
import threading
from dataclasses import dataclass, field

import pytest

from course_lib.experiments import downloads
from course_lib.experiments.downloads import Remote, data_folder, fetch

CONTENT = bytes(range(256)) * 40


@dataclass
class Server:
    """What it sends, how many bytes of each answer until it breaks off, and whether it knows of ranges; what it was asked."""

    content: bytes = CONTENT
    breaks: list = field(default_factory=list)
    ranges: bool = True
    status: int = 200
    asked: list = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            server.asked.append(wanted)
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
            sent = server.content[begin:]
            if begin and not sent:
                return self.send_error(416)
            if server.status != 200:
                return self.send_error(server.status)
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent[: server.breaks.pop(0)] if server.breaks else sent)

        def log_message(self, *args):
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True).start()
    server.address = f"http://127.0.0.1:{http_server.server_port}/set/x.gz"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    yield server
    http_server.shutdown()
    http_server.server_close()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def get(server, content=CONTENT):
    return fetch(Remote(server.address, md5(content)), "set", progress=False)


def test_a_file_is_downloaded_once(server, tmp_path):
    path = get(server)
    assert path == tmp_path / "set" / "x.gz" and path.read_bytes() == CONTENT
    assert get(server) == path and server.asked == [None]
    assert [p.name for p in path.parent.iterdir()] == ["x.gz"]


def test_a_connection_that_breaks_off_is_made_again_and_goes_on(server):
    server.breaks = [1000, 2000]
    assert get(server).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]


def test_a_download_goes_on_another_day(server, tmp_path):
    server.breaks = [1000, 500, 0]
    with pytest.raises(ConnectionError, match="cut off") as error:
        get(server)
    assert str(tmp_path / "set" / "x.gz") in str(error.value) and server.address in str(error.value)
    server.asked.clear()
    assert get(server).read_bytes() == CONTENT and server.asked == ["bytes=1500-"]


def test_a_server_without_ranges_sends_all_of_it_again(server):
    server.breaks, server.ranges = [1000], False
    assert get(server).read_bytes() == CONTENT and len(server.asked) == 2


def test_a_part_that_is_already_whole_is_asked_for_no_more(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.gz.part").write_bytes(CONTENT)
    assert get(server).read_bytes() == CONTENT and server.asked == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("stale", [b"of another file", CONTENT + b"more"])
def test_a_part_of_another_file_is_thrown_away(server, tmp_path, stale):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.gz.part").write_bytes(stale)
    assert get(server).read_bytes() == CONTENT and server.asked == [f"bytes={len(stale)}-", None]


def test_what_has_another_checksum_is_not_kept(server, tmp_path):
    with pytest.raises(ValueError, match=f"its MD5 is {md5(CONTENT)}, and should be {md5(b'other')}"):
        get(server, b"other")
    assert list((tmp_path / "set").iterdir()) == []


def test_a_file_that_was_put_there_must_be_the_right_one(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="x.gz is not the file that was published: .* Delete it"):
        get(server)
    (tmp_path / "set" / "x.gz").write_bytes(CONTENT)
    assert get(server).read_bytes() == CONTENT and server.asked == []


def test_a_file_that_the_server_lacks_is_told_at_once(server):
    server.status = 404
    with pytest.raises(
        ConnectionError, match="x.gz could not be downloaded: the server answers 404, Not Found. .* put it at"
    ):
        get(server)
    assert len(server.asked) == 1


def test_without_a_network_it_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(ConnectionError) as error:
        fetch(Remote("http://127.0.0.1:9/set/x.gz", "0" * 32), "set", progress=False)  # nobody listens there
    said = f"Without a network, get http://127.0.0.1:9/set/x.gz elsewhere and put it at {tmp_path / 'set' / 'x.gz'}."
    assert said in str(error.value)


def test_progress_is_shown(server, capfd):
    server.breaks = [1000]
    fetch(Remote(server.address, md5(CONTENT)), "set")
    assert "x.gz:  10%|" in (shown := capfd.readouterr().err) and "1.00k/10.2k" in shown  # it goes on from there


def test_data_lies_in_the_home_folder_unless_said_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    assert data_folder() == tmp_path / ".cache" / "course"
    monkeypatch.setenv("COURSE_DATA", "data")
    assert str(data_folder()) == "data" and downloads.TRIES > 1
