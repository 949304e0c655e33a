"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, read from their official files into whole tensors."""

import gzip
import math
import tarfile
import zlib
from pathlib import Path

import torch

from course_lib.experiments.data import Split
from course_lib.experiments.downloads import Remote, fetch
from course_lib.experiments.settings import whole_number

# MNIST's own server answers no more; this mirror is the one that torchvision takes, and so are these checksums.
MNIST = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
MNIST_AT = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# Address and checksums: README.md of the data set's repository, zalandoresearch/fashion-mnist.
FASHION_MNIST = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_MNIST_AT = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# The binary version, because the one for Python is a pickle, which runs code when it is read. Checksums: the makers' page.
CIFAR_AT = "https://www.cs.toronto.edu/~kriz/"
CIFAR10 = Remote(f"{CIFAR_AT}cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
CIFAR100 = Remote(f"{CIFAR_AT}cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")

BROKEN = (
    EOFError,
    OSError,
    zlib.error,
    tarfile.TarError,
)  # what gzip and tar raise for a file that is cut off or something else


def mnist(val: int = 5000, *, seed: int = 0, dtype=torch.float32, device=None, progress: bool = True) -> Split:
    """Handwritten digits, 60,000 to train and 10,000 to test, of the shape (N, 1, 28, 28), between 0 and 1.

    `val` of the training images, drawn by `seed`, are for validation. Downloads 11 MB the first time; raises what `fetch` does.
    Source: LeCun, Cortes and Burges (1998).
    """
    return _idx_split("mnist", MNIST_AT, MNIST, val, seed, dtype, device, progress)


def fashion_mnist(val: int = 5000, *, seed: int = 0, dtype=torch.float32, device=None, progress: bool = True) -> Split:
    """Pictures of clothes in ten classes, in everything else like `mnist`. Downloads 31 MB the first time.

    Source: Xiao, Rasul and Vollgraf (2017).
    """
    return _idx_split("fashion_mnist", FASHION_MNIST_AT, FASHION_MNIST, val, seed, dtype, device, progress)


def cifar10(val: int = 5000, *, seed: int = 0, dtype=torch.float32, device=None, progress: bool = True) -> Split:
    """Color photographs in ten classes, 50,000 to train and 10,000 to test, of the shape (N, 3, 32, 32), between 0 and 1.

    `val` of the training images, drawn by `seed`, are for validation. Downloads 170 MB the first time; raises what `fetch` does.
    Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """
    path = fetch(CIFAR10, "cifar10", progress=progress)
    files = [f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)], ["cifar-10-batches-bin/test_batch.bin"]
    return _split(*(read_cifar(path, names) for names in files), val, seed, dtype, device)


def cifar100(val: int = 5000, *, seed: int = 0, dtype=torch.float32, device=None, progress: bool = True) -> Split:
    """As `cifar10`, in a hundred classes. Downloads 169 MB the first time."""
    path = fetch(CIFAR100, "cifar100", progress=progress)
    files = ["cifar-100-binary/train.bin"], ["cifar-100-binary/test.bin"]
    return _split(*(read_cifar(path, names, labels=2) for names in files), val, seed, dtype, device)


def read_idx(path: str | Path) -> torch.Tensor:
    """The bytes of a gzipped IDX file as a tensor of its shape, torch.uint8.

    Two zeros, the type (8 for bytes), the number of dimensions, each as 4 bytes with the largest first, then the data. Raises
    ValueError for a file that is cut off, of another format or of another type.
    """
    try:
        with gzip.open(path) as file:
            found = file.read()
    except BROKEN as error:
        raise ValueError(f"{path} is cut off, or not a gzip file: {error}.") from error
    if len(found) < 4 or found[:2] != b"\0\0":
        raise ValueError(f"{path} is no IDX file: it must begin with two zeros, got {list(found[:2])}.")
    kind, dimensions = found[2:4]
    if kind != 8:
        raise ValueError(f"{path} must hold bytes, type 8 of the IDX format, got type {kind}.")
    begin = 4 + 4 * dimensions
    shape = [int.from_bytes(found[k : k + 4], "big") for k in range(4, begin, 4)]
    if len(found) - begin != math.prod(shape):
        raise ValueError(
            f"{path} should hold {math.prod(shape):,} bytes of the shape {tuple(shape)}, got {max(len(found) - begin, 0):,}."
        )
    return _bytes(found[begin:]).reshape(shape)


def read_cifar(path: str | Path, names: list[str], labels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, 32, 32) and the last of each one's `labels`, (N,), of these files in CIFAR's binary archive; torch.uint8.

    An image is its labels, a byte each, then 1,024 bytes of red, of green and of blue, row by row. Nothing is unpacked to the
    disk. Raises ValueError for an archive that is cut off, of another format, or without one of these files.
    """
    rows = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for name in names:
                member = archive.extractfile(name)
                if member is None:
                    raise ValueError(f"{name} in {path} is no file.")
                rows.append(_rows(member.read(), labels + 3072, f"{name} in {path}"))
    except KeyError as error:
        raise ValueError(f"{path} has no file {name}: it is another archive than CIFAR's binary version.") from error
    except BROKEN as error:
        raise ValueError(f"{path} is cut off, or not an archive (.tar.gz): {error}.") from error
    found = torch.cat(rows)  # (N, labels + 3072)
    return found[:, labels:].reshape(-1, 3, 32, 32), found[:, labels - 1]


def _rows(found: bytes, length: int, name: str) -> torch.Tensor:
    if not found or len(found) % length:
        raise ValueError(f"{name} should hold images of {length:,} bytes each, got {len(found):,} bytes.")
    return _bytes(found).reshape(-1, length)


def _bytes(found: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(found), dtype=torch.uint8) if found else torch.zeros(0, dtype=torch.uint8)


def _idx_split(folder, at, md5, val, seed, dtype, device, progress) -> Split:
    paths = [fetch(Remote(at + name, md5[name]), folder, progress=progress) for name in md5]
    x, y, x_test, y_test = map(read_idx, paths)
    return _split((x[:, None], y), (x_test[:, None], y_test), val, seed, dtype, device)


def _split(train, test, val: int, seed: int, dtype, device) -> Split:
    """Bytes cross to the device, where they become fractions: floats are four times as many."""
    for x, y in (train, test):
        if len(x) != len(y):
            raise ValueError(f"There must be as many labels as images, got {len(y):,} labels and {len(x):,} images.")
    count = len(train[0])
    val = whole_number("val", val, 0, count - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    parts = []
    for (x, y), chosen in ((train, order[val:]), (train, order[:val]), (test, slice(None))):
        parts += [x[chosen].to(device).to(dtype) / 255, y[chosen].to(device).long()]
    return Split(*parts)
