"""What a check says of a function that ends: its arguments, its returned values, how they differ."""

import numpy
import pytest
import torch
from running_total import CHECK, rejected, total

from course_lib.exercises import Exercise, mistake
from course_lib.exercises.cases import once
from course_lib.exercises.compare import nearly, show_difference

# The arguments


@pytest.mark.parametrize(
    "fn, sentence",
    [
        (lambda w, g, s=0.0, *, lr=0.1, keep=0.5: (w, s), "it takes 3 arguments by position, where 4 are given"),
        (lambda w, g, t, s=0.0, *, lr=0.1: (w, s), "`keep` is missing after the `*`"),
        (lambda w, g, t, s=0.0, *, lr=0.1, beta=0.5: (w, s), "`keep` is missing after the `*`"),
        (lambda w, g, t, s=0.0, *, lr=0.1, keep=0.5, more=1: (w, s), "`more` is not one of them"),
        (lambda w, g, t, *, s=0.0, lr=0.1, keep=0.5: (w, s), "`s` must stand in front of the `*`"),
        (lambda w, g, t, s=0.0, lr=0.1, keep=0.5: (w, s), "`lr` must stand after the `*`"),
        (lambda w, g, t, s, *, lr=0.1, keep=0.5: (w, s), "`s` has lost its default"),
        (lambda w, g, t, s=0.0, *, lr, keep=0.5: (w, s), "`lr` has lost its default"),
        (lambda w, g, t, s=0.0, *, lr=0.2, keep=0.5: (w, s), "the default of `lr` is 0.2, expected 0.1"),
        (lambda *args, lr=0.1, keep=0.5: args, "`*args` stands for arguments without names"),
        (lambda w, g, t, s=0.0, **hyper: (w, s), "`**hyper` stands for arguments without names"),
    ],
)
def test_changed_arguments(fn, sentence):
    message = rejected(fn)
    assert message.startswith(f"✗ total: the arguments of your function have changed: {sentence}.")
    assert message.endswith("Write its first line with (w, g, t, s=0.0, *, lr=0.1, keep=0.5) again.")


@pytest.mark.parametrize(
    "given, kind",
    [(None, "NoneType"), (torch.zeros(2), "Tensor"), ("total", "str"), (..., "ellipsis"), ((1, 2), "tuple")],
)
def test_not_a_function(given, kind):
    assert rejected(given).endswith(
        f"takes your function itself, its name without parentheses after it; it got a value of type {kind}."
    )


def test_a_class_a_generator_and_a_coroutine():
    class Total:
        pass

    def yields(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        yield w

    async def waits(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return w, s

    assert "it got the class Total" in rejected(Total)
    assert "yields is a generator or a coroutine: write it with `def` and `return`" in rejected(yields)
    assert "waits is a generator or a coroutine" in rejected(waits)


# Not attempted, or not returned


def test_the_untouched_stub_is_not_attempted(capsys):
    def stub(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return ...

    verdict = CHECK(stub)
    assert not verdict.passed
    assert (
        capsys.readouterr()
        .out.replace("\n", " ")
        .startswith("○ Not attempted yet: stub still returns `...`. Write your lines in its place")
    )


@pytest.mark.parametrize(
    "returned, sentence",
    [
        (lambda w, s: None, "returns None: does each way through it end with `return`? Return w and s."),
        (lambda w, s: (w, ...), "the value that your function returns for s is still `...`."),
        (lambda w, s: (None, s), "the value that your function returns for w is still `None`."),
        (lambda w, s: w, "returns 1 value; 2 expected: w and s, in this order."),
        (lambda w, s: (w, s, s), "returns 3 values; 2 expected"),
        (lambda w, s: torch.stack([w, s]), "returns 1 value; 2 expected"),
        (
            lambda w, s: (x for x in (w, s)),
            "returns a Python generator: return the values themselves, as in `return w, s`.",
        ),
        (lambda w, s: map(abs, (w, s)), "returns a Python map: return the values themselves"),
        (lambda w, s: {"w": w, "s": s}, "returns a Python dict: return the values themselves"),
        (lambda w, s: {w, s}, "returns a Python set: return the values themselves"),
        (lambda w, s: 3, "returns 1 value; 2 expected: w and s, in this order."),
        (lambda w, s: (w.reshape(1), s), "w has the shape (1,), expected ()."),
        (lambda w, s: (w.numpy(), s), "w is a numpy ndarray; return a torch tensor"),
        (lambda w, s: (w, s.numpy()[()]), "s is a numpy float64; return a torch tensor"),
        (lambda w, s: (w, s.item()), "s is a Python float (3.3); return a torch tensor"),
        (lambda w, s: ("w", s), "w is a Python str; return a torch tensor"),
        (lambda w, s: (w.float(), s), "w is torch.float32, but the arguments are torch.float64"),
        (lambda w, s: (w, s.to("meta")), "s is on the device meta; keep it where the arguments are, on cpu."),
        (lambda w, s: (w, s.to_sparse()), "s is a sparse_coo tensor; return a dense one, as `.to_dense()` makes it."),
        (lambda w, s: (w / 0, s), "w holds inf: look for a division by zero"),
        (
            lambda w, s: (w, (-s).sqrt()),
            "s holds nan: look for a division by zero, a root or logarithm of a negative number, or numbers that grow without end.",
        ),
    ],
)
def test_wrong_returns(returned, sentence):
    message = rejected(lambda w, g, t, s=0.0, *, lr=0.1, keep=0.5: returned(*total(w, g, t, s, lr=lr, keep=keep)))
    assert message.startswith("✗ total, case 1 of 20 (the first step, one parameter): ")
    assert sentence in message


def test_float32_must_stay_float32():
    def double(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return tuple(x.double() for x in total(w, g, t, s, lr=lr, keep=keep))

    message = rejected(double)
    assert (
        "case 13 of 20 (float32 stays float32; step 1): w is torch.float64, but the arguments are torch.float32"
        in message
    )


# In place


@pytest.mark.parametrize(
    "write, what",
    [
        (lambda w, g, s: w.sub_(g), "w"),
        (lambda w, g, s: s.mul_(0.9), "s"),  # 0 stays 0 at the first step: seen all the same
        (lambda w, g, s: (g.zero_(), s.add_(1)), "g and s"),
        (lambda w, g, s: w.data.fill_(7.0), "w"),
        (lambda w, g, s: g.numpy().fill(7.0), "g"),
    ],
)
def test_in_place_edits_are_seen(write, what):
    def careless(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        right = total(w, g, t, s, lr=lr, keep=keep)
        write(w, g, s)
        return right

    assert f"case 1 of 20 (the first step, one parameter): careless changes {what} in place" in rejected(careless)


# Agreement and difference


@pytest.mark.parametrize(
    "fn",
    [
        lambda w, g, t, s=0.0, *, lr=0.1, keep=0.5: [*total(w, g, t, s, lr=lr, keep=keep)],  # a list
        lambda a, b, c, d=0.0, *, keep=0.5, lr=0.1: (
            a - lr * b - lr * keep * d,
            d * keep + b,
        ),  # other names, rearranged
        lambda w, g, t, s=0.0, *, lr=0.1, keep=0.5: total(
            w.requires_grad_() if w.dim() == 0 else w, g, t, s, lr=lr, keep=keep
        ),
        lambda w, g, t, s=0.0, *, lr=0.1, keep=0.5: tuple(x * (1 + 1e-11) for x in total(w, g, t, s, lr=lr, keep=keep)),
    ],
)
def test_other_spellings_are_accepted(fn):
    verdict = CHECK.judge(fn)
    assert verdict.passed, verdict.message


def test_an_unknown_difference_is_shown_where_it_first_appears():
    def third(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        s = keep * s + g * (1.0 if w.dim() < 2 else 2.0)
        return w - lr * s, s

    verdict = CHECK.judge(third)
    assert verdict.mistake is None
    assert verdict.message == (
        "✗ total, case 12 of 20 (matrices and other shapes; step 1): w[0, 0] is -1.863, expected -1.407; s[0, 0] is 1.826, expected 0.9131. "
        "The call had w = a tensor of shape (2, 3), g = a tensor of shape (2, 3), t = 1, s = a tensor of shape (2, 3), lr = 0.5, keep = 0.9. "
        "A vector agrees: each operation must act element by element, whatever the shape is."
    )


def test_as_many_digits_as_it_takes_to_see_the_difference():
    def near(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        w, s = total(w, g, t, s, lr=lr, keep=keep)
        return w * (1 + 1e-4), s

    assert "w is 0.450045, expected 0.45; s agrees." in rejected(near)


def test_numbers_that_went_through_float32_are_told():
    def single(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return tuple(x.double() for x in total(w.float(), g.float(), t, s.float(), lr=lr, keep=keep))

    assert "the right numbers, but to about 7 digits only: somewhere they go through float32" in rejected(single)


def test_something_tiny_is_not_taken_for_float32_alone():
    def tiny(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        w, s = total(w, g, t, s, lr=lr, keep=keep)
        return w + 1e-8, s

    assert "or something tiny is added" in rejected(tiny)


def a_number(w):
    return 2.0 * w.item()


ONE_NUMBER = Exercise(
    a_number,
    returns=("y",),
    cases=[
        once("3", "", w=torch.tensor(3.0, dtype=torch.float64)),
        once("4", "", w=torch.tensor(4.0, dtype=torch.float64)),
    ],
    mistakes=[mistake("Half of it.")(lambda w: w.item())],
    source="the test",
)


@pytest.mark.parametrize(
    "fn, says",
    [
        (lambda w: w.reshape(1) * 2, "y is a tensor of shape (1,); return a number."),
        (lambda w: "6", "y is a Python str; return a number."),
        (lambda w: 6j * torch.ones(()), "y is a Python complex; return a number."),
        (lambda w: (2 * w).to("meta"), "y is a tensor of shape (); return a number."),
        (lambda w: (2 * w).to_sparse(), "y is a tensor of shape (); return a number."),
        (lambda w: (6.0, 6.0), "returns 2 values; 1 expected: y."),
        (lambda w: 2 * w.item() * (1 + 1e-7), "to about 7 digits only"),
        (lambda w: w, "Half of it."),
        (lambda w: w.item(), "Half of it."),
    ],
)
def test_what_is_said_of_a_number(fn, says):
    assert says in rejected(fn, ONE_NUMBER)


@pytest.mark.parametrize(
    "fn",
    [
        lambda w: 2 * w,
        lambda w: [2 * w],
        lambda w: 2 * w.numpy()[()],
        lambda w: numpy.array(2 * w.item()),
        lambda w: 2 * w.item(),
    ],
)
def test_a_number_may_be_a_tensor_of_one(fn):
    assert ONE_NUMBER.judge(fn).passed


def test_single_precision_is_told_of_plain_numbers_too():
    assert nearly(1 / 3 + 1e-8, 1 / 3) and nearly(15, 15)
    assert not nearly(1 / 3 + 1e-5, 1 / 3) and not nearly(15, 16)


def test_the_element_shown_is_out_of_tolerance():
    """Not the one that differs most, but for its size agrees."""
    value, expected = torch.tensor([[1e6 + 5e-4, 1.000001], [1e6, 1.0]], dtype=torch.float64)
    assert show_difference("w", value, expected) == "w[1] is 1.000001, expected 1"


def test_a_check_says_nothing_twice_in_a_notebook(capsys):
    assert CHECK.judge(total)._ipython_display_() is None
    assert capsys.readouterr().out == ""


# Memory


def test_memory_between_calls_is_told():
    memory = {"s": 0.0}

    def remembers(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        memory["s"] = keep * memory["s"] + g
        return w - lr * memory["s"], memory["s"]

    assert "remembers answers the same call in two ways, so it keeps something between calls" in rejected(remembers)


def test_a_function_that_works_only_once_is_told():
    calls = []

    def once(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        calls.append(t)
        assert len(calls) == 1, "again?"
        return total(w, g, t, s, lr=lr, keep=keep)

    assert "case 2 of 20 (the first step from a negative weight): once raises AssertionError" in rejected(once)


def test_a_memory_that_begins_anew_at_step_1_is_told():
    kept = {}

    def remembers(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        kept["s"] = (keep * kept["s"] if t > 1 else 0.0) + g
        return w - lr * kept["s"], kept["s"]

    assert "answers the same call in two ways" in rejected(remembers)


def test_an_own_count_of_steps_is_told():
    count = {"t": 0}

    def counts(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        count["t"] = 1 if t == 1 else count["t"] + 1
        w, s = total(w, g, t, s, lr=lr, keep=keep)
        return w - 0.01 * count["t"] + 0.01 * t, s

    assert "two runs that take turns" in rejected(counts) or "answers the same call in two ways" in rejected(counts)


def test_a_mistake_is_named_when_the_code_slips_again_further_on():
    def twice(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return (w - lr * g, g) if w.dim() == 0 else (w - lr * g.sum(), g)

    verdict = CHECK.judge(twice)
    assert (verdict.passed, verdict.mistake) == (False, "keeps_nothing")


def test_a_mistake_is_named_in_front_of_an_exception():
    def breaks(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return w - lr * g, g * float(w) / float(w)

    verdict = CHECK.judge(breaks)
    assert (verdict.passed, verdict.mistake) == (False, "keeps_nothing")
