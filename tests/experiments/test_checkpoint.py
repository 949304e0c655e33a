"""A training that was interrupted anywhere goes on as if it had not been, bit for bit; a file that is not its own is told apart."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from course_lib.experiments import Optimizer, digits, train
from course_lib.experiments.augment import Augment
from course_lib.experiments.data import Split
from course_lib.formulas import adam, momentum
from course_lib.formulas.schedules import cosine, warm_restarts

N, STEPS, EVERY = 70, 13, 3  # with batches of 16 an epoch has 5 steps, so that checkpoints lie within epochs
AUGMENT = Augment(shift=1, rotate=10)


@pytest.fixture(scope="module")
def data():
    small = digits(N, 40)
    return Split(**{k: x.reshape(-1, 1, 8, 8) if k.startswith("x") else x for k, x in vars(small).items()})


def net(hidden=12):
    """With what has a state beside its weights, and with what draws."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, hidden), nn.Linear(hidden, 10)
    )  # fmt: skip


SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)


def go_on(data, path, network=None, make=SGD, schedule=None, augment=AUGMENT, **settings):
    network = network or net()
    optimizer = make(network.parameters())
    settings = {"steps": STEPS, "every": EVERY, "batch": 16, "seed": 2} | settings
    made = schedule(optimizer) if getattr(schedule, "func", None) is lr_scheduler.OneCycleLR else schedule
    history = train(network, data, optimizer, made, augment=augment, checkpoint=path, progress=False, **settings)
    return history, network.state_dict(), optimizer.state_dict()


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def interrupted(at: int):
    """The augmentation, until the reader interrupts the kernel in this step."""
    calls = iter(range(1, at))

    def augment(x, generator):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return AUGMENT(x, generator)

    return augment


KINDS = {
    "SGD": {},
    "AdamW and a formula": {"make": partial(torch.optim.AdamW, lr=0.01), "schedule": partial(cosine, total=STEPS)},
    "ours and restarts": {"make": partial(Optimizer, rule=adam), "schedule": partial(warm_restarts, T_0=4)},
    "a scheduler": {"schedule": partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=STEPS + 1)},
    "a factor": {"schedule": lambda t: 0.9**t},
    "clipped bfloat16": {"mixed_precision": True, "clip": 0.5},
    "scaled float16": {"mixed_precision": torch.float16},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [2, 5, 12])
def test_goes_on_bit_for_bit(data, tmp_path, kind, at):
    whole = go_on(data, tmp_path / "whole.pt", **KINDS[kind])
    path = tmp_path / "interrupted.pt"
    with pytest.raises(KeyboardInterrupt):
        go_on(data, path, augment=interrupted(at), **KINDS[kind])
    assert path.exists() == (at > EVERY)
    torch.rand(3)  # whatever happens in between
    again = go_on(data, path, **KINDS[kind])
    assert vars(again[0]) == vars(whole[0])
    assert same(again[1], whole[1]) and same(again[2], whole[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("half", [False, torch.bfloat16, torch.float16], ids=str)
def test_goes_on_bit_for_bit_on_a_gpu(data, tmp_path, half, monkeypatch):
    """With its own generators, of dropout and of augmentation; convolutions add up in the same order each time."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    on_gpu = lambda path, augment=AUGMENT: go_on(data, path, net().to("cuda"), augment=augment, mixed_precision=half)
    whole, path = on_gpu(tmp_path / "whole.pt"), tmp_path / "interrupted.pt"
    with pytest.raises(KeyboardInterrupt):
        on_gpu(path, interrupted(8))
    torch.rand(3, device="cuda")
    again = on_gpu(path)
    assert vars(again[0]) == vars(whole[0])
    assert same(again[1], whole[1]) and same(again[2], whole[2])
    assert next(iter(again[1].values())).is_cuda


def test_goes_on_with_the_same_objects(data, tmp_path):
    """As in a notebook, whose cell is run again after an interruption."""
    path, network = tmp_path / "x.pt", net()
    optimizer = SGD(network.parameters())
    run = lambda augment: train(
        network,
        data,
        optimizer,
        partial(cosine, total=9),
        steps=9,
        every=2,
        batch=16,
        seed=2,
        augment=augment,
        checkpoint=path,
        progress=False,
    )
    with pytest.raises(KeyboardInterrupt):
        run(interrupted(6))
    run(AUGMENT)
    expected = go_on(data, tmp_path / "y.pt", schedule=partial(cosine, total=9), steps=9, every=2)
    assert same(network.state_dict(), expected[1]) and same(optimizer.state_dict(), expected[2])


def test_an_interruption_loses_the_steps_since_the_checkpoint_alone(data, tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(KeyboardInterrupt):
        go_on(data, path, augment=interrupted(9))
    taken = []
    go_on(data, path, augment=lambda x, generator: taken.append(1) or AUGMENT(x, generator))
    assert len(taken) == STEPS - 6


def test_what_is_done_is_not_done_again_and_may_be_made_longer(data, tmp_path):
    path = tmp_path / "x.pt"
    first = go_on(data, path, steps=6)
    assert vars(go_on(data, path, steps=6, augment=interrupted(1))[0]) == vars(first[0])
    longer, whole = go_on(data, path, steps=9), go_on(data, tmp_path / "y.pt", steps=9)
    assert vars(longer[0]) == vars(whole[0]) and same(longer[1:], whole[1:])


def test_a_checkpoint_is_replaced_whole(data, tmp_path, monkeypatch):
    """What interrupts the writing leaves the one before."""
    path = tmp_path / "new folder" / "x.pt"
    go_on(data, path, steps=3)
    before, write = path.read_bytes(), torch.save

    def cut_off(state, file):
        file.write(b"PK half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        go_on(data, path, steps=6)
    assert path.read_bytes() == before
    monkeypatch.setattr(torch, "save", write)
    go_on(data, path, steps=6)
    assert [p.name for p in path.parent.iterdir()] == ["x.pt"]


OTHERS = {
    "network": (
        {"network": lambda: net(20)},
        "another network: `5.weight` is (12, 144) there and (20, 144) in this Sequential",
    ),
    "optimizer": ({"make": partial(torch.optim.Adam, lr=0.05)}, "its optimizer was SGD and is Adam now"),
    "rule": ({"make": partial(Optimizer, rule=momentum)}, "its optimizer was SGD and is Optimizer by momentum now"),
    "rate": ({"make": partial(torch.optim.SGD, lr=0.1, momentum=0.9)}, "its rates was [0.05] and is [0.1] now"),
    "batch": ({"batch": 8}, "its batch was 16 and is 8 now"),
    "seed": ({"seed": 0}, "its seed was 2 and is 0 now"),
    "schedule": ({"schedule": partial(cosine, total=9)}, "its schedule was none and is cosine(total=9, floor=0) now"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_training_is_refused(data, tmp_path, name):
    settings, said = OTHERS[name]
    settings = {k: x() if k == "network" else x for k, x in settings.items()}
    path = tmp_path / "x.pt"
    go_on(data, path, steps=2)
    before = path.read_bytes()
    with pytest.raises(ValueError) as error:
        go_on(data, path, steps=2, **settings)
    assert said in str(error.value) and str(path) in str(error.value) and path.read_bytes() == before


def test_a_file_that_is_cut_off_or_something_else_is_told(data, tmp_path):
    path = tmp_path / "x.pt"
    go_on(data, path, steps=2)
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="x.pt is cut off"):
            go_on(data, path)
    path.write_text("loss 0.1")
    with pytest.raises(ValueError, match="x.pt is no checkpoint"):
        go_on(data, path)
    torch.save(net().state_dict(), path)
    with pytest.raises(ValueError, match="is no checkpoint of `train`"):
        go_on(data, path)
    with pytest.raises(ValueError, match="must be a file, and .* is a folder"):
        go_on(data, tmp_path)


class Runs:
    """What runs code when it is read by pickle."""

    def __reduce__(self):
        return print, ("ran",)


def test_reading_a_file_runs_no_code(data, tmp_path, capsys):
    torch.save({"kind": "course_lib training, 1", "states": Runs()}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="is no checkpoint"):
        go_on(data, tmp_path / "x.pt")
    assert capsys.readouterr().out == ""
