"""Files of well-known data sets: downloaded once, in pieces if need be, and used only if their checksum is the published one."""

import hashlib
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from course_lib.experiments.environment import in_book

PIECE = 1 << 20  # bytes
TRIES = 3
SILENCE = 30  # seconds without a byte, until a connection counts as cut off


@dataclass(frozen=True)
class Remote:
    """A file of a data set: where it is, and the MD5 that its makers or keepers publish."""

    address: str
    md5: str

    @property
    def name(self) -> str:
        return self.address.rsplit("/", 1)[1]


def data_folder() -> Path:
    """Where data sets are kept: the environment's COURSE_DATA, or .cache/course in the home folder."""
    return Path(os.environ.get("COURSE_DATA") or Path.home() / ".cache" / "course")


def fetch(remote: Remote, folder: str, *, progress: bool = True) -> Path:
    """The path of the file in `folder` of data_folder(), after downloading what is missing of it.

    A download that was cut off goes on where it ended. Raises ConnectionError, which says what to put where, if the file can't
    be had, and ValueError for a file, there or downloaded, that has another checksum.
    """
    path = data_folder() / folder / remote.name
    if path.exists():
        if (found := md5_of(path)) != remote.md5:
            raise ValueError(
                f"{path} is not the file that was published: its MD5 is {found}, and should be {remote.md5}. "
                "Delete it, and it is downloaded again."
            )
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists()
    _download(remote, path, part, progress)
    if md5_of(part) != remote.md5 and resumed:  # the first piece may have been of another file
        part.unlink()
        _download(remote, path, part, progress)
    if (found := md5_of(part)) != remote.md5:
        part.unlink()
        raise ValueError(
            f"What {remote.address} sends is not the file that was published: its MD5 is {found}, and should be {remote.md5}. "
            f"It was not kept. If you have the file from elsewhere, put it at {path}."
        )
    os.replace(part, path)
    return path


def md5_of(path: Path) -> str:
    """Its MD5 in hexadecimal digits: data sets publish this one, and it tells apart what is broken."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(remote: Remote, path: Path, part: Path, progress: bool) -> None:
    """All of the file into `part`, after what is there; where a connection was cut off, another goes on from there."""
    for _ in range(TRIES):
        before = _size(part)
        try:
            if _receive(remote, part, progress):
                return
            fault = "the connection was cut off"
        except HTTPError as error:
            fault = f"the server answers {error.code}, {error.reason}"
        except (OSError, HTTPException) as error:  # no network, no such host, nothing came in time
            fault = str(getattr(error, "reason", error)) or type(error).__name__
        if _size(part) == before:
            break
    raise ConnectionError(
        f"{remote.name} could not be downloaded: {fault}. Without a network, get {remote.address} elsewhere and put it at {path}."
    )


def _receive(remote: Remote, part: Path, progress: bool) -> bool:
    """Append to `part` what the server sends from there on; whether that is all of the file."""
    begun = _size(part)
    request = Request(remote.address, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        answer = urlopen(request, timeout=SILENCE)
    except HTTPError as error:
        if error.code == 416 and begun:  # nothing is left to send: whether it is the file, the checksum says
            return True
        raise
    with answer:
        begun = begun if answer.status == 206 and _starts(answer) == begun else 0  # a server may send all of it again
        length = answer.headers.get("Content-Length")
        total = None if length is None else begun + int(length)
        hidden = not progress or in_book()
        with (
            part.open("ab" if begun else "wb") as file,
            tqdm(
                desc=remote.name, total=total, initial=begun, unit="B", unit_scale=True, leave=False, disable=hidden
            ) as bar,
        ):
            while piece := answer.read(PIECE):
                bar.update(file.write(piece))
        return total is None or _size(part) == total


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _starts(answer) -> int:
    """The first byte of a part: Content-Range says `bytes 100-199/200`."""
    return int(answer.headers.get("Content-Range", "bytes 0-").removeprefix("bytes ").split("-")[0])
