"""Which number of which tensor has which name.

Names live as the numbers do, in the tensor's storage. So a view and its base share their names as they share their numbers, and a
change in place through one of them is seen by the other.
"""

import itertools

import torch

from course_lib.backends.program import Atom

ZERO = 0  # the name of the number 0.0, so that operators that pad with zeros pad with its name


class Names:
    """Names are positions in `atoms`; a tensor of names has its tensor's shape. What was never named is a constant."""

    def __init__(self):
        self.atoms: list[Atom] = [0.0]
        self._storages: dict[
            int, tuple
        ] = {}  # key -> (storage, kept alive so that keys stay unique; the names of its numbers)

    def new(self, atom: Atom) -> int:
        """A name for an input, a result or a constant."""
        if atom == 0.0:
            return ZERO
        self.atoms.append(atom if isinstance(atom, str) else float(atom))
        return len(self.atoms) - 1

    def read(self, x) -> torch.Tensor:
        """The names of the numbers of a tensor, or of a Python number."""
        if not isinstance(x, torch.Tensor):
            return torch.tensor(self.new(float(x)))
        if self.known(x):
            return self._storages[key(x)][1].as_strided(x.shape, x.stride(), x.storage_offset())
        return self.constants(x)

    def write(self, x: torch.Tensor, names: torch.Tensor) -> None:
        """Give new names to the numbers of x; the rest of its storage, if it was unknown, holds constants."""
        if not self.known(x):
            whole = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())
            self._storages[key(x)] = (x.untyped_storage(), self.constants(whole))
        self.read(x).copy_(names)

    def constants(self, x: torch.Tensor) -> torch.Tensor:
        """New names for the numbers that x holds now."""
        return torch.tensor([self.new(v) for v in x.detach().flatten().tolist()], dtype=torch.long).reshape(x.shape)

    def known(self, x: torch.Tensor) -> bool:
        """Whether a number of x, or of a tensor that shares its storage, was named."""
        return x.device.type != "meta" and key(x) in self._storages

    def symbolic(self, x: torch.Tensor) -> bool:
        """Whether a number of x depends on an input."""
        return self.known(x) and any(isinstance(self.atoms[i], str) for i in self.read(x).flatten().tolist())


def key(x: torch.Tensor) -> int:
    """What tensors that share their numbers have in common."""
    return x.untyped_storage()._cdata


def elements(name: str, shape: tuple[int, ...]) -> list[str]:
    """The names of a tensor's numbers: `lr` for a scalar, `w[0]`, `w[1]` for a vector, `B[0,1]` for a matrix."""
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in itertools.product(*map(range, shape))]
