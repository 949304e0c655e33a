"""MiniBatch with a kernel: its paths are PyTorch's, its batches those of the generator, and what can't be drawn is named."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from course_lib.experiments.batches import SAMPLING
from course_lib.widgets import MiniBatch
from course_lib.widgets.figures.mini_batch import MOST_EPOCHS, PROBLEMS, RUNS, N

THEIRS = {"least squares": lambda logits, y: mse_loss(logits, y) / 2, "logistic": binary_cross_entropy_with_logits}


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_paths_are_those_of_torch_optim_on_the_same_batches(problem, sampling):
    fig = MiniBatch(problem, sampling=sampling, epochs=2, B=10, seed=4)
    own = PROBLEMS[problem]
    for run, path in fig.paths.items():
        w = torch.tensor(fig.start, dtype=torch.float64, requires_grad=True)
        optimizer, theirs = torch.optim.SGD([w], lr=fig.lr), [w.detach().clone()]
        for batch in fig.batches[run]:
            optimizer.zero_grad()
            THEIRS[problem](own.x[batch] @ w, own.y[batch]).backward()
            optimizer.step()
            theirs.append(w.detach().clone())
        torch.testing.assert_close(path, torch.stack(theirs), rtol=1e-9, atol=1e-12)


def test_in_sequence_is_a_data_loader_that_does_not_shuffle():
    own = PROBLEMS["logistic"]
    theirs = list(DataLoader(TensorDataset(own.x, own.y), batch_size=10))
    batches = MiniBatch("logistic", sampling="in sequence", B=10, epochs=1).batches["mini-batch"]
    assert [len(batch) for batch in batches] == [10] * 6 + [4]
    assert [b for b, (x, _) in zip(batches, theirs, strict=True) if not torch.equal(own.x[b], x)] == []


def test_the_budget_is_steps_or_examples():
    steps = MiniBatch(budget="steps", steps=30, B=8).batches
    assert [len(steps[run]) for run in RUNS] == [30, 30, 30]
    examples = MiniBatch(budget="examples", epochs=3, B=8).batches
    assert [len(examples[run]) for run in RUNS] == [3, 24, 192]
    assert {sum(map(len, batches)) for batches in examples.values()} == {3 * N}
    assert (
        sum(map(len, MiniBatch(epochs=3, B=10, sampling="with replacement").batches["mini-batch"])) == 200
    )  # the first multiple of 10 that is enough


def test_a_batch_of_all_is_the_full_batch_unless_examples_are_drawn_twice():
    for sampling in SAMPLING:
        paths = MiniBatch(B=N, sampling=sampling).paths
        assert torch.allclose(paths["full batch"], paths["mini-batch"], rtol=1e-12) == (sampling != "with replacement")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_minimum_is_the_minimum_and_in_the_picture(problem):
    own = PROBLEMS[problem]
    low = own.minimum.requires_grad_()
    THEIRS[problem](own.x @ low, own.y).backward()
    assert low.grad.norm() < 1e-14
    for point in (own.minimum.tolist(), own.start):
        assert [v for v, (a, b) in zip(point, own.domain, strict=True) if not a < v < b] == []
    assert own.x.shape == (N, 2) and own.y.shape == (N,)


def test_settings_can_be_read_set_and_observed():
    fig, seen = MiniBatch(), []
    fig.observe(lambda change: seen.append(change["name"]), ["B", "lr", "seed"])
    before = fig.paths
    fig.seed = 2
    assert torch.equal(before["full batch"], fig.paths["full batch"]) and not torch.equal(
        before["mini-batch"], fig.paths["mini-batch"]
    )
    fig.B, fig.lr = 32, 0.05
    assert seen == ["seed", "B", "lr"] and len(fig.paths["mini-batch"]) == 11


def test_the_text_alternative_states_the_distances():
    fig = MiniBatch(epochs=1)
    for run, distance in fig.distances.items():
        assert run in fig.alt and f"{distance:.3g}" in fig.alt
    assert "64 steps and 64 examples" in fig.alt and "rate 0.1, batches shuffled" in fig.alt


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"B": 0}, f"B must be a whole number from 1 to {N}, got 0."),
        ({"B": N + 1}, f"from 1 to {N}, got {N + 1}."),
        ({"epochs": MOST_EPOCHS + 1}, "epochs must be a whole number from 1 to 20, got 21."),
        ({"steps": 0}, "steps must be a whole number from 1 to 200, got 0."),
        ({"problem": "cubic"}, "problem must be one of least squares, logistic, got 'cubic'."),
        ({"sampling": "sorted"}, "sampling must be one of in sequence, shuffled, with replacement, got 'sorted'."),
        ({"budget": "time"}, "budget must be one of steps, examples, got 'time'."),
        ({"lr": 0.0}, "lr must be above 0 and finite, got 0.0."),
        ({"lr": math.inf}, "lr must be above 0 and finite, got inf."),
        ({"seed": -1}, r"seed must be a whole number from 0 to 4294967295, got -1."),
        ({"start": [1.0]}, r"start must be two finite numbers, got \[1.0\]."),
        ({"start": [1.0, math.nan]}, "start must be two finite numbers"),
    ],
)
def test_a_setting_outside_its_limits_is_named_at_once_and_later(change, message):
    with pytest.raises(ValueError, match=message):
        MiniBatch(**change)
    fig = MiniBatch()
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=message):
        setattr(fig, name, value)
