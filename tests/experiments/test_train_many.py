"""train_many: every run is the training that torch.optim makes; and the two straight edges of its map lie where linear algebra puts them."""

import math
import re

import pytest
import torch
from torch.func import grad

from course_lib.experiments.trainability import LARGEST, Task, of_training, task, train_many
from course_lib.formulas.signature import Range
from course_lib.formulas.trainability import one_hidden_layer, one_rate, training_error, two_rates

RATES = {"lr_1": [0.05, 0.5, 3.0, 1.0], "lr_2": [0.3, 0.3, 0.1, 1e-3], "scale": [1.0, 0.5, 2.0, 1.0]}


def by_torch(given: Task, steps: int, lr_1: float, lr_2: float, scale: float) -> torch.Tensor:
    """The losses of one network, by torch.nn.functional, autograd and torch.optim."""
    W, V = (torch.nn.Parameter(scale * w) for w in (given.W, given.V))
    optimizer, losses = torch.optim.SGD([{"params": [W], "lr": lr_1}, {"params": [V], "lr": lr_2}]), []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        output = torch.nn.functional.linear(torch.tanh(torch.nn.functional.linear(given.x.mT, W)), V[None])[:, 0]
        loss = 0.5 * torch.nn.functional.mse_loss(output, given.y)
        losses.append(loss.detach())
        loss.backward()
        optimizer.step()
    return torch.stack(losses)


@pytest.mark.parametrize("width", [1, 4, 7])
def test_each_run_is_sgd_with_a_rate_for_each_layer(width):
    given = task(width, seed=2)
    losses = train_many(two_rates, given, 25, **RATES)
    assert losses.shape == (26, 4) and losses.dtype == torch.float64 and losses.isfinite().all()
    for k, (lr_1, lr_2, scale) in enumerate(zip(*RATES.values(), strict=True)):
        torch.testing.assert_close(losses[:, k], by_torch(given, 25, lr_1, lr_2, scale), rtol=1e-12, atol=1e-14)


def test_one_rate_is_two_equal_ones():
    given = task()
    torch.testing.assert_close(
        train_many(one_rate, given, 30, lr=[0.1, 0.7]),
        train_many(two_rates, given, 30, lr_1=[0.1, 0.7], lr_2=[0.1, 0.7]),
        rtol=1e-12,
        atol=0,
    )


def test_runs_beside_it_do_not_change_a_run():
    given = task(3, seed=1)
    together = train_many(two_rates, given, 40, **RATES | {"lr_2": [0.3, 1e9, 0.1, 1e-3]})
    for k in range(4):
        alone = train_many(
            two_rates,
            given,
            40,
            **{name: values[k] for name, values in (RATES | {"lr_2": [0.3, 1e9, 0.1, 1e-3]}).items()},
        )
        torch.testing.assert_close(together[:, k], alone[:, 0], rtol=1e-10, atol=1e-14, equal_nan=True)
    assert together[-1].isnan().tolist() == [False, True, False, False]


def test_a_run_is_lost_from_where_its_loss_is_too_large():
    """Also where it comes back: the loss may fall again, or be infinite and then not a number."""

    def jump(W, V, x, y, *, to=1.0):
        return W, torch.where(V[0] == to, 0 * V, 0 * V + to)

    given = Task(*(torch.ones(shape, dtype=torch.float64) for shape in ((1, 1), (1,), (1, 1), (1,))))
    found = train_many(jump, given, 4, to=[2.0, 1e3, 1e4, 1e300])
    lost = found.isnan()
    assert lost.sum(0).tolist() == [0, 0, 4, 4] and not lost[0].any()
    assert (found[~lost] <= LARGEST).all() and found[1, 1] > 1e5


def test_where_it_begins():
    given = task(5, seed=3)
    assert [tuple(a.shape) for a in vars(given).values()] == [(5, 5), (5,), (5, 5), (5,)]
    again = vars(task(5, seed=3))
    assert [k for k, x in vars(given).items() if not torch.equal(x, again[k])] == [] and again.keys() == vars(
        given
    ).keys()
    assert not torch.equal(given.W, task(5, seed=4).W)
    first = torch.stack([(given.y**2).mean() / 2, training_error(given.W, given.V, given.x, given.y)])
    torch.testing.assert_close(train_many(two_rates, given, 0, scale=[0.0, 1.0]), first[None])
    weights = torch.stack([task(16, seed=k).W for k in range(20)])
    assert weights.var().item() == pytest.approx(1 / 16, rel=0.05)


def test_a_run_in_single_precision_is_one():
    losses = train_many(two_rates, task(), 20, dtype=torch.float32, lr_1=[0.1, 0.2])
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses.double(), train_many(two_rates, task(), 20, lr_1=[0.1, 0.2]), rtol=1e-4, atol=0)


def test_the_scale_is_one_more_hyperparameter():
    found = of_training(two_rates)
    assert found.hyper == {"scale": 1.0, "lr_1": 1.0, "lr_2": 0.3}
    assert found.ranges["scale"] == Range(0.1, 10.0, "log", at_least=0.0)


def scaled(W, V, x, y, *, scale=1.0):
    return W, V


def losing(W, V, x, y, *, loss=1.0):
    return W, V


def of_the_plane(w, g, t, *, lr=0.1):
    return w


def with_state(W, V, x, y, m=0.0, *, lr=0.1):
    return W, V


REFUSED = [
    (two_rates, {"lr_3": 1.0}, TypeError, "Unknown hyperparameter `lr_3`: two_rates has (scale, lr_1, lr_2)."),
    (two_rates, {"lr_1": -1.0}, ValueError, "two_rates's lr_1 must be at least 0 and finite, got -1.0."),
    (two_rates, {"lr_2": [0.1, math.nan]}, ValueError, "two_rates's lr_2 must be at least 0 and finite, got nan."),
    (two_rates, {"scale": -1.0}, ValueError, "two_rates's scale must be at least 0 and finite, got -1.0."),
    (
        two_rates,
        {"lr_1": [0.1, 0.2], "lr_2": [0.1, 0.2, 0.3]},
        ValueError,
        "all of one length above 0, got lr_1: 2, lr_2: 3.",
    ),
    (two_rates, {"lr_1": "fast"}, TypeError, "lr_1 must be a number or a vector of numbers, got 'fast'."),
    (
        scaled,
        {},
        TypeError,
        "scaled has a hyperparameter `scale`, which is the scale of the first weights here: rename it.",
    ),
    (losing, {}, TypeError, "losing has a hyperparameter `loss`, which is the loss before the step here: rename it."),
    (of_the_plane, {}, TypeError, "of_the_plane takes 3 of the arguments (W, V, x, y)."),
    (
        with_state,
        {},
        TypeError,
        "with_state must take the arguments (W, V, x, y) and, after a `*`, hyperparameters, got (W, V, x, y, m).",
    ),
    (
        lambda W, V, x, y: W,
        {},
        TypeError,
        "<lambda> must return the new W and V, of the shapes (4, 4) and (4,), got (4, 4).",
    ),
    (lambda W, V, x, y: (V, W), {}, TypeError, "of the shapes (4, 4) and (4,), got (4,), (4, 4)."),
    (lambda W, V, x, y: None, {}, TypeError, "got NoneType."),
]


@pytest.mark.parametrize("step, hyper, kind, message", REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_errors_name_the_argument(step, hyper, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        train_many(step, task(), 3, **hyper)


@pytest.mark.parametrize("width", [0, 17, -1, 2.5])
def test_a_width_that_is_none_is_named(width):
    with pytest.raises(ValueError, match=re.escape(f"width must be a whole number from 1 to 16, got {width}.")):
        task(width)


@pytest.mark.parametrize("steps", [-1, 2.5, "3"])
def test_steps_that_are_none_are_named(steps):
    with pytest.raises(ValueError, match=re.escape(f"steps must be a whole number from 0, got {steps!r}.")):
        train_many(two_rates, task(), steps)


# The two straight edges


def edge(features):
    """With features H (hidden, examples) that stay, the loss is quadratic in V: its curvature is H Hᵀ / examples, and gradient
    descent diverges beyond 2 / the largest eigenvalue."""
    return 2 / torch.linalg.eigvalsh(features @ features.mT / features.shape[1])[-1].item()


def around(given, at, lr_1, times=(0.95, 0.98, 1.02, 1.05), steps=300):
    """Whether the runs at these multiples of a rate are lost."""
    return (
        train_many(two_rates, given, steps, lr_1=lr_1, lr_2=at * torch.tensor(times, dtype=torch.float64))[-1]
        .isnan()
        .tolist()
    )


TASKS = [(width, seed) for width in (2, 4, 8) for seed in range(4)]


@pytest.mark.parametrize("width, seed", TASKS)
def test_the_edge_where_the_first_layer_stays(width, seed):
    given = task(width, seed)
    assert around(given, edge((given.W @ given.x).tanh()), lr_1=0.0) == [False, False, True, True]


@pytest.mark.parametrize("width, seed", TASKS)
def test_the_edge_where_the_first_step_saturates_the_features(width, seed):
    """After it W is about -lr_1 dW: every feature is a sign, whose derivative is 0, and the first layer stays for good."""
    given = task(width, seed)
    dW = grad(training_error)(given.W, given.V, given.x, given.y)
    assert around(given, edge(torch.sign(-dW @ given.x)), lr_1=1e6) == [False, False, True, True]


@pytest.mark.parametrize("width, seed", TASKS)
def test_beyond_the_first_edge_a_small_rate_saves_a_run(width, seed):
    """Where V grows, so does the gradient of W: the features change until they suit the rate. Only a rate of 0 keeps the edge where it is."""
    given = task(width, seed)
    assert around(given, edge((given.W @ given.x).tanh()), lr_1=0.05, times=(1.05, 1.25, 2.1, 3.0)) == [
        False,
        False,
        True,
        True,
    ]


def test_the_network_is_the_one_of_the_blackboard():
    given = task(3)
    output = [sum(given.V[h] * math.tanh(given.W[h] @ given.x[:, n]) for h in range(3)) for n in range(3)]
    torch.testing.assert_close(one_hidden_layer(given.W, given.V, given.x), torch.stack(output))
