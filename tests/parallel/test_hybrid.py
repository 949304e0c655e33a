"""Data and model parallelism on a mesh of ranks: the same training as in one process."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.parallel import launch
from course_lib.parallel.hybrid import train_hybrid

STEPS, RATE = 5, 0.2
X = torch.randn(8, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 4


def network() -> nn.Sequential:
    torch.manual_seed(3)
    layers = (
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    return nn.Sequential(*layers).double()  # fmt: skip


@pytest.fixture(scope="module")
def alone() -> tuple[list[float], torch.Tensor]:
    """Losses and final outputs of plain gradient descent in this process."""
    model, losses = copy.deepcopy(network()), []
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for _ in range(STEPS):
        loss = F.cross_entropy(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model(X).detach()


def on_a_mesh(*models: int) -> list:
    """What one rank has after training in rows of so many ranks, and what it is told where that cannot be."""
    results = [train_hybrid(network(), X, Y, model=model, steps=STEPS, lr=RATE) for model in models]
    for model, few in ((3, 8), (1, 7)):
        with pytest.raises(ValueError) as caught:
            train_hybrid(network(), X[:few], Y[:few], model=model)
        results.append(str(caught.value))
    return results


@pytest.mark.parametrize(("processes", "models"), [(4, [2]), (2, [2, 1])], ids=["2 x 2", "1 x 2 and 2 x 1"])
def test_training_on_a_mesh_is_training_alone(alone, processes, models):
    for *trained, rows, batch in launch(on_a_mesh, *models, processes=processes):
        for losses, output in trained:
            assert losses == pytest.approx(alone[0], rel=1e-12)
            torch.testing.assert_close(output, alone[1], rtol=1e-10, atol=1e-12)  # rounding, carried through 5 steps
        assert rows == f"{processes} ranks can't stand in rows of 3: take a divisor of {processes}."
        assert batch.startswith(f"7 examples can't be shared evenly by {processes} rows of ranks")
