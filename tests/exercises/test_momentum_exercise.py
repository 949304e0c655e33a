"""What is particular to the momentum exercises: correct spellings, exact diagnoses, and the claims of their notebook."""

import pytest
import torch

from course_lib.exercises import momentum as rule
from course_lib.exercises import momentum_to_pytorch as conversion
from course_lib.formulas import momentum

GRADIENTS = [torch.tensor([3.0, -0.2], dtype=torch.float64) * x for x in (1.0, -0.5, 2.0, 0.3, -1.0, 0.7)]


def lerp(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = torch.lerp(delta, g, 1 - momentum)
    return w - lr * delta, delta


def rearranged(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return w - lr * momentum * (delta - g) - lr * g, g + momentum * (delta - g)


def other_names(x, slope, n, mean=0.0, *, momentum=0.9, lr=0.1):
    mean = mean + (1 - momentum) * (slope - mean)
    return x + -lr * mean, mean


def torch_calls(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = torch.add(torch.mul(delta, momentum), torch.mul(g, 1 - momentum))
    return torch.sub(w, delta.mul(lr)), delta


def as_a_list(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return list(rule.check.form.reference(w, g, t, delta, lr=lr, momentum=momentum))


@pytest.mark.parametrize("fn", [momentum, lerp, rearranged, other_names, torch_calls, as_a_list])
def test_correct_spellings_pass(fn):
    verdict = rule.check.judge(fn)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    "fn",
    [
        lambda lr, momentum: (lr - lr * momentum, momentum),
        lambda eta, m: [(1 - m) * eta, m],
        lambda lr, momentum: (torch.tensor(lr * (1 - momentum), dtype=torch.float64), momentum),
    ],
)
def test_correct_conversions_pass(fn):
    verdict = conversion.check.judge(fn)
    assert verdict.passed, verdict.message


def test_a_diagnosis_word_for_word():
    assert rule.check.judge(rule.no_factor.variants[0]).message == (
        "✗ momentum, case 1 of 20 (the first step, one parameter): Your step is 10 times the right one: w moved by -1.65 instead of -0.165, "
        "and delta is 3.3 instead of 0.33. This is what leaving out the factor (1−m) does: the new gradient enters with its full weight. "
        "PyTorch's SGD does leave it out; the lecture does not. Look at the weight of g in delta."
    )


def test_two_mistakes_at_once_are_not_given_a_wrong_name():
    def both(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
        delta = momentum * delta + g
        return w + lr * delta, delta

    verdict = rule.check.judge(both)
    assert verdict.mistake is None
    assert "w is 3.75, expected 1.935; delta is 3.3, expected 0.33." in verdict.message
    assert "The call had w = 2.1, g = 3.3, t = 1, delta = 0, lr = 0.5, momentum = 0.9." in verdict.message


def test_no_message_tells_the_solution():
    told = [known.diagnosis for check in (rule.check, conversion.check) for known in check.mistakes]
    told += [case.look for check in (rule.check, conversion.check) for case in check.cases]
    for secret in ("(1 - momentum) * g", "momentum * delta +", "lr * (1 - momentum)", "(1−m)·", "η(1−m)"):
        assert not any(secret in message for message in told)


# What the notebook and the messages claim of PyTorch


def sgd_path(lr, momentum, **more):
    w = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum, **more)
    path = [w.detach().clone()]
    for g in GRADIENTS:
        w.grad = g.clone()
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)  # (steps + 1, 2)


def lecture_path(lr, m):
    w, delta = torch.tensor([1.0, -2.0], dtype=torch.float64), 0.0
    path = [w]
    for t, g in enumerate(GRADIENTS, 1):
        w, delta = momentum(w, g, t, delta, lr=lr, momentum=m)
        path.append(w)
    return torch.stack(path)


@pytest.mark.parametrize("lr, m", [(0.2, 0.9), (0.2, 0.0), (0.1, 0.75), (1.0, 0.99)])
def test_the_conversion_gives_pytorchs_path(lr, m):
    converted = sgd_path(*conversion.to_pytorch(lr, m))
    assert torch.allclose(converted, lecture_path(lr, m), rtol=0, atol=1e-12)
    assert m == 0 or not torch.allclose(sgd_path(lr, m), lecture_path(lr, m), atol=1e-3)


def test_dampening_starts_with_the_whole_gradient_and_its_surplus_fades():
    m = 0.9
    surplus = sgd_path(0.1, m, dampening=m).diff(dim=0) - lecture_path(0.1, m).diff(dim=0)
    first = -0.1 * GRADIENTS[0]
    assert torch.allclose(sgd_path(0.1, m, dampening=m)[1] - sgd_path(0.1, m, dampening=m)[0], first)
    for t, step in enumerate(surplus):
        assert torch.allclose(step, m * first * m**t, atol=1e-12)
