"""Small files in the formats of MNIST and CIFAR: read byte for byte, and told apart from what is broken."""

import gzip
import hashlib
import io
import tarfile

import pytest
import torch

from course_lib.experiments import image_data
from course_lib.experiments.downloads import Remote
from course_lib.experiments.image_data import cifar10, cifar100, fashion_mnist, mnist, read_cifar, read_idx

drawn = lambda *shape, top=256: torch.randint(
    top, shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.uint8
)


def idx(x: torch.Tensor, kind=8) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in x.shape)
    return gzip.compress(bytes([0, 0, kind, x.dim()]) + sizes + bytes(x.flatten().tolist()))


def cifar(images, *labels) -> bytes:
    """Each image as its labels, then red, green and blue."""
    return b"".join(bytes([*(int(y[k]) for y in labels), *images[k].flatten().tolist()]) for k in range(len(images)))


def archive(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def put(path, content: bytes) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content).hexdigest()


@pytest.mark.parametrize(
    ("load", "table", "name"), [(mnist, "MNIST", "mnist"), (fashion_mnist, "FASHION_MNIST", "fashion_mnist")]
)
def test_idx_files_become_a_split(folder, monkeypatch, load, table, name):
    parts = [drawn(20, 28, 28), drawn(20, top=10), drawn(6, 28, 28), drawn(6, top=10)]
    files = dict(zip(getattr(image_data, table), parts))
    monkeypatch.setattr(image_data, table, {k: put(folder / name / k, idx(x)) for k, x in files.items()})
    data = load(4, seed=1, progress=False)
    assert [tuple(x.shape) for x in vars(data).values()] == [
        (16, 1, 28, 28),
        (16,),
        (4, 1, 28, 28),
        (4,),
        (6, 1, 28, 28),
        (6,),
    ]
    assert torch.equal(data.x_test * 255, parts[2][:, None].float()) and torch.equal(data.y_test, parts[3].long())
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(data.y_val, parts[1][order[:4]].long())
    assert torch.equal(torch.cat([data.x_val, data.x_train]), parts[0][order][:, None].float() / 255)
    with pytest.raises(ValueError, match="val must be a whole number from 0 to 19, got 20"):
        load(20, progress=False)


def test_cifar10_becomes_a_split(folder, monkeypatch):
    x, y, x_test, y_test = drawn(20, 3, 32, 32), drawn(20, top=10), drawn(5, 3, 32, 32), drawn(5, top=10)
    files = {
        f"cifar-10-batches-bin/data_batch_{k + 1}.bin": cifar(x[4 * k : 4 * k + 4], y[4 * k : 4 * k + 4])
        for k in range(5)
    }
    files |= {
        "cifar-10-batches-bin/readme.html": b"read me",
        "cifar-10-batches-bin/test_batch.bin": cifar(x_test, y_test),
    }
    md5 = put(folder / "cifar10" / "cifar-10-binary.tar.gz", archive(files))
    monkeypatch.setattr(image_data, "CIFAR10", Remote(image_data.CIFAR10.address, md5))
    data = cifar10(0, progress=False, dtype=torch.float64)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(data.x_train, x[order].double() / 255) and torch.equal(data.y_train, y[order].long())
    assert len(data.x_val) == 0 and data.x_train.dtype == torch.float64
    assert torch.equal(data.x_test, x_test.double() / 255) and torch.equal(data.y_test, y_test.long())
    assert sorted(p.name for p in folder.rglob("*")) == ["cifar-10-binary.tar.gz", "cifar10"], "nothing was unpacked"


def test_cifar100_takes_the_fine_labels(folder, monkeypatch):
    x, coarse, fine = drawn(6, 3, 32, 32), drawn(6, top=20), drawn(6, 1, top=100)[:, 0]
    files = {f"cifar-100-binary/{name}.bin": cifar(x, coarse, fine) for name in ("train", "test")}
    md5 = put(folder / "cifar100" / "cifar-100-binary.tar.gz", archive(files))
    monkeypatch.setattr(image_data, "CIFAR100", Remote(image_data.CIFAR100.address, md5))
    data = cifar100(0, progress=False)
    assert torch.equal(data.y_test, fine.long()) and torch.equal(data.x_test, x.float() / 255)
    assert not torch.equal(coarse, fine)


WHOLE = idx(drawn(3, 4, 5))
BROKEN_IDX = {
    "cut off": (WHOLE[:-12], "x.gz is cut off, or not a gzip file"),
    "not gzipped": (gzip.decompress(WHOLE), "cut off, or not a gzip file: Not a gzipped file"),
    "empty": (b"", "is no IDX file"),
    "another format": (gzip.compress(b"P5 28 28"), r"is no IDX file: it must begin with two zeros, got \[80, 53\]"),
    "floats": (idx(drawn(2, 2), kind=13), "must hold bytes, type 8 .*, got type 13"),
    "too short": (gzip.compress(gzip.decompress(WHOLE)[:-1]), r"should hold 60 bytes of the shape \(3, 4, 5\), got 59"),
    "a cut off head": (gzip.compress(gzip.decompress(WHOLE)[:10]), "should hold .* bytes of the shape"),
}


@pytest.mark.parametrize("name", BROKEN_IDX)
def test_a_broken_idx_file_is_told(tmp_path, name):
    content, said = BROKEN_IDX[name]
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_idx(tmp_path / "x.gz")


ONE = cifar(drawn(1, 3, 32, 32), [3])
BROKEN_CIFAR = {
    "cut off": (archive({"a.bin": ONE})[:-700], "x.tar.gz is cut off, or not an archive"),
    "no archive": (b"<html>404</html>", "cut off, or not an archive"),
    "another archive": (archive({"b.bin": ONE}), "has no file a.bin: it is another archive"),
    "half an image": (
        archive({"a.bin": ONE + ONE[:100]}),
        r"a.bin in .* should hold images of 3,073 bytes each, got 3,173 bytes",
    ),
    "no image": (archive({"a.bin": b""}), "got 0 bytes"),
}


@pytest.mark.parametrize("name", BROKEN_CIFAR)
def test_a_broken_archive_is_told(tmp_path, name):
    content, said = BROKEN_CIFAR[name]
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_cifar(tmp_path / "x.tar.gz", ["a.bin"])


def test_images_without_labels_are_told(folder, monkeypatch):
    parts = [drawn(20, 28, 28), drawn(19, top=10), drawn(6, 28, 28), drawn(6, top=10)]
    files = dict(zip(image_data.MNIST, parts))
    monkeypatch.setattr(image_data, "MNIST", {k: put(folder / "mnist" / k, idx(x)) for k, x in files.items()})
    with pytest.raises(ValueError, match="as many labels as images, got 19 labels and 20 images"):
        mnist(4, progress=False)
