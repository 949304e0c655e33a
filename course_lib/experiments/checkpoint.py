"""A training in one file, whole or not at all: written beside its place and moved there, read without running any code."""

import os
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

KIND = "course_lib training, 1"


class Checkpoint:
    """All that a training needs to go on bit for bit: `load()` does nothing if there is no file yet, `save()` writes it.

    `parts` by name have a state_dict each: network, scheduler (or None), optimizer, and others. `draws` is the generator of the
    augmentation; the global ones of the CPU and of the same device are saved, too. `settings` must be the same as before.
    """

    def __init__(self, path: str | Path, parts: dict, draws: torch.Generator, history, settings: dict):
        self.path, self.draws, self.history, self.device = Path(path), draws, history, draws.device
        self.parts = {name: part for name, part in parts.items() if part is not None}
        optimizer = parts["optimizer"]
        self.settings = settings | {
            "optimizer": _name(optimizer),
            "parameters": [len(group["params"]) for group in optimizer.param_groups],
            "rates": [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups],
        }
        if self.path.is_dir():
            raise ValueError(f"checkpoint must be a file, and {self.path} is a folder.")

    def save(self) -> None:
        """Write the file. Whatever interrupts this leaves the one before as it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.part")
        with beside.open("wb") as file:
            torch.save(self._state(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)

    def _state(self) -> dict:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        generators = {"cpu": torch.get_rng_state(), "draws": self.draws.get_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "kind": KIND,
            "settings": self.settings,
            "states": states,
            "generators": generators,
            "history": asdict(self.history),
        }

    def load(self) -> None:
        """Go on from the file. Raises ValueError for a file that is cut off or no checkpoint, and for one of another training."""
        if not self.path.exists():
            return
        saved = self._read()
        self._check_network(saved["states"]["network"])
        self._check_settings(saved["settings"])
        for name, part in self.parts.items():
            part.load_state_dict(saved["states"][name])
        torch.set_rng_state(saved["generators"]["cpu"])
        self.draws.set_state(saved["generators"]["draws"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(saved["generators"]["cuda"], self.device)
        for name, values in saved["history"].items():
            setattr(self.history, name, values)

    def _read(self) -> dict:
        other = f"{self.path} is no checkpoint of `train`. Name another file, as this one would be overwritten."
        if not zipfile.is_zipfile(self.path):  # as torch.save writes, whose directory is the file's end
            with self.path.open("rb") as file:
                begins = file.read(2)
            cut_off = f"{self.path} is cut off. Delete it, or copy it again."
            raise ValueError(cut_off if b"PK".startswith(begins) else other)
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, KeyError) as error:
            raise ValueError(other) from error
        if not isinstance(saved, dict) or saved.get("kind") != KIND:
            raise ValueError(other)
        return saved

    def _check_network(self, saved: dict) -> None:
        shapes = lambda state: {name: tuple(x.shape) for name, x in state.items() if isinstance(x, torch.Tensor)}
        there, here = shapes(saved), shapes(self.parts["network"].state_dict())
        if there == here:
            return
        name = next(name for name in (*here, *there) if there.get(name) != here.get(name))
        one, other = (found.get(name, "missing") for found in (there, here))
        own = _name(self.parts["network"])
        raise ValueError(
            f"The checkpoint {self.path} is of another network: `{name}` is {one} there and {other} in this {own}."
        )

    def _check_settings(self, saved: dict) -> None:
        for name, here in self.settings.items():
            if saved.get(name) != here:
                raise ValueError(
                    f"The checkpoint {self.path} is of another training: its {name} was {saved.get(name)} and is {here} now. "
                    "Go on with the same settings, or name another file."
                )


def _name(part: nn.Module | torch.optim.Optimizer) -> str:
    """The class, and of an Optimizer its rule."""
    rule = getattr(part, "signature", None)
    return type(part).__name__ + (f" by {rule.name}" if rule is not None and hasattr(rule, "name") else "")
