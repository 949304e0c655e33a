"""How deep networks are trained: one formula, every machine."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("course-lib")
except PackageNotFoundError:  # the sources are on the path, but were never installed
    __version__ = "0+unknown"
