"""A student's code at work in its process: it is loaded, called and looked at after the call. Knows the grader by its messages alone.

Imports the standard library and torch: the student's process loads this file, and knows no course_lib.
"""

import ast
import builtins
import faulthandler
import inspect
import io
import itertools
import pickle
import queue
import sys
import threading
import traceback
import types

import torch

PRINTED = 2000  # characters of one call
OWN = "<cell "  # how the names of a student's cells begin, as files


class Stopped(BaseException):
    """A function of the grader's ended the call; no `except Exception` swallows it."""


class Sink(io.TextIOBase):
    """What is printed, up to a number of characters."""

    text = ""

    def write(self, text: str) -> int:
        """Keep the beginning."""
        self.text += text[: PRINTED - len(self.text)]
        return len(text)

    def take(self) -> str:
        """What was printed since the last time."""
        text, self.text = self.text, ""
        return text


class Unpickler(pickle.Unpickler):
    """The arguments of a call: their tensors stand beside the pickle, and what stays with the grader is a function that asks it."""

    def __init__(self, content: bytes, tensors: list, ask):
        super().__init__(io.BytesIO(content))
        self.kinds = {"tensor": tensors.__getitem__, "ask": ask}

    def persistent_load(self, key):
        """A tensor or a function, by its number."""
        kind, number = key
        return self.kinds[kind](number)


class Worker:
    """Answers the messages of one connection, each in a thread of its own: `read()` gives the next one, `write(message, blob)` sends."""

    def __init__(self, codec, reader, writer, refused: list, place):
        self.codec, self.reader, self.writer, self.refused, self.place = codec, reader, writer, refused, place
        self.lock, self.numbers, self.replies = threading.Lock(), itertools.count(), {}
        self.sink, self.answers = Sink(), {}
        self.before = {(o, k): v for o in (torch, torch.Tensor, torch.nn.functional) for k, v in vars(o).items()}

    def serve(self) -> None:
        """To the end of the connection."""
        sys.stdout = sys.stderr = self.sink
        while got := self.codec.read(self.reader):
            if got[0]["do"] == "reply":
                self.replies.pop(got[0]["callback"]).put(got)
            else:
                threading.Thread(target=self._answer, args=got, daemon=True).start()

    def _answer(self, message: dict, blob: bytes) -> None:
        does = {"load": self._load, "call": self._call, "changed": self._changed}[message["do"]]
        faulthandler.dump_traceback_later(message["seconds"], repeat=True, file=self.place)
        try:
            reply, blob = does(message, blob)
        except BaseException as error:
            reply, blob = _raised(error), b""
        faulthandler.cancel_dump_traceback_later()
        refused, self.refused[:] = [*self.refused], []
        self._send(reply | {"id": message["id"], "printed": self.sink.take(), "refused": refused}, blob)

    def _send(self, message: dict, blob: bytes = b"") -> None:
        with self.lock:
            self.codec.write(self.writer, message, blob)

    def _load(self, message: dict, blob: bytes) -> tuple[dict, bytes]:
        """Run the statements of each cell in a new module; say what the asked function is."""
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        module.display = print
        for number, source, kept in message["cells"]:
            tree = ast.parse(source)
            tree.body = [_only(tree.body[k], names) for k, names in kept]
            exec(compile(tree, f"{OWN}{number}>", "exec"), vars(module))
        fn = self.answers[message["function"]] = getattr(module, message["function"])
        return {"is": "loaded"} | _described(fn), b""

    def _call(self, message: dict, blob: bytes) -> tuple[dict, bytes]:
        tensors = [self._tensor(spec, blob) for spec in message["tensors"]]
        args, named = Unpickler(blob[message["pickle"] :], tensors, lambda k: self._ask(message, k, tensors)).load()
        places = [*enumerate(args), *named.items()]
        before = [(x._version, self.codec.data(x)) for x in tensors]
        models = [(key, x, _tensors_of(x)) for key, x in places if isinstance(x, torch.nn.Module)]
        held = [(key, x, self.codec.Packer(tensors).pack(x)) for key, x in places if isinstance(x, (list, dict))]
        packer = self.codec.Packer(tensors)
        value = packer.pack(self.answers[message["function"]](*args, **named))
        after = [(k, x) for k, x in enumerate(tensors) if (x._version, self.codec.data(x)) != before[k]]
        changed = {
            "tensors": [[k, packer.tensor(x, new=True)] for k, x in after],
            "containers": [[key, now] for key, x, old in held if (now := packer.pack(x)) != old],
            "models": [[key, name, packer.pack(x)] for key, model, old in models for name, x in _replaced(model, old)],
        }
        return {"is": "returned", "value": value, **changed}, bytes(packer.blob)

    def _tensor(self, spec: dict, blob: bytes) -> torch.Tensor:
        x = self.codec.unpack(spec, blob)
        return torch.nn.Parameter(x, spec["grad"]) if spec["parameter"] else x.requires_grad_(spec["grad"])

    def _ask(self, message: dict, number: int, tensors: list):
        """A function that the grader computes."""

        def ask(*args, **named):
            packer, callback = self.codec.Packer(tensors), next(self.numbers)
            self.replies[callback] = waiting = queue.SimpleQueue()
            asked = {"is": "asked", "id": message["id"], "callback": callback, "function": number}
            self._send(asked | {"args": packer.pack(args), "named": packer.pack(named)}, bytes(packer.blob))
            reply, blob = waiting.get()
            if reply["is"] == "stop":
                raise Stopped
            if reply["is"] == "raised":
                raise getattr(builtins, reply["type"])(reply["text"])
            return self.codec.unpack(reply["value"], blob)

        return ask

    def _changed(self, message: dict, blob: bytes) -> tuple[dict, bytes]:
        """What the code has replaced in torch, and modules that it has put where course_lib would be."""
        names = [f"{o.__name__}.{k}" for (o, k), v in self.before.items() if callable(v) and vars(o).get(k) is not v]
        modules = [name for name in sys.modules if name.split(".")[0] == "course_lib"]
        return {"is": "changed", "names": [n for n in names if "._" not in n][:5], "modules": modules[:5]}, b""


def _only(statement: ast.stmt, names: list[str] | None) -> ast.stmt:
    """The statement; of an import that also brings what is not needed, the rest."""
    if names is not None:
        statement.names = [alias for alias in statement.names if (alias.asname or alias.name) in names]
    return statement


def _described(fn) -> dict:
    """What a function is, for the outside: kind, type and parameters."""
    tests = {
        "class": inspect.isclass,
        "generator": lambda f: inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f),
        "coroutine": inspect.iscoroutinefunction,
        "function": callable,
    }
    kind = next((name for name, test in tests.items() if test(fn)), "value")
    parameters = None
    if kind == "function":
        try:
            found = inspect.signature(fn).parameters.values()
            parameters = [[p.name, int(p.kind), p.default is not p.empty, _plain(p.default)] for p in found]
        except (ValueError, TypeError):  # a builtin without a signature: calling it will tell
            pass
    return {
        "kind": kind,
        "type": getattr(fn if kind == "class" else type(fn), "__name__", ""),
        "parameters": parameters,
    }


def _plain(default):
    """A default that is a number, a word or nothing; the text of another one."""
    plain = default is None or type(default) in (bool, int, float, str)
    return default if plain else repr(default)[:80]


def _tensors_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    both = model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    return dict(itertools.chain(*both))


def _replaced(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> list[tuple]:
    """The parameters and buffers that are other tensors than before, None for one that is gone."""
    after = _tensors_of(model)
    return [(name, after.get(name)) for name in before | after if after.get(name) is not before.get(name)]


def _raised(error: BaseException) -> dict:
    """An exception: its type, its text, and the last line of the student's own that led there."""
    if isinstance(error, Stopped):
        return {"is": "stopped"}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(OWN)]
    at = [int(frames[-1].filename[len(OWN) : -1]), frames[-1].lineno] if frames else None
    try:
        text = str(error)[:500]
    except Exception:
        text = ""
    kind = "RecursionError" if isinstance(error, RecursionError) else type(error).__name__
    kind = (
        "MemoryError"
        if isinstance(error, MemoryError) or "allocate memory" in text or "not enough memory" in text
        else kind
    )
    return {"is": "raised", "type": kind, "text": text, "at": at}
