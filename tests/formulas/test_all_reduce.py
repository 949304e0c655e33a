"""Rounds of the three all-reduces against a simulation that moves sets of ranks, as the algorithms are told in words."""

import pytest
import torch

from course_lib.formulas import all_reduce as f

RANKS = range(1, 10)


def ring(n):
    """After each round: sets[rank][chunk] of ranks summed, and messages of one n-th that each rank has sent."""
    sets, sent = [[{r} for _ in range(n)] for r in range(n)], [0] * n
    yield sets, sent
    for step in range(2 * (n - 1)):
        old = [[set(s) for s in row] for row in sets]
        for r in range(n):  # chunk c is sent by rank c first, then by the next
            c = (r - step) % n
            other = (r + 1) % n
            sets[other][c] = old[other][c] | old[r][c] if step < n - 1 else old[r][c]
            sent[r] += 1
        yield sets, sent


def whole(n, moves):
    """The same of whole arrays: `moves` are rounds of pairs (from, to)."""
    sets, sent = [{r} for r in range(n)], [0] * n
    yield [[s] for s in sets], sent
    for pairs in moves:
        for a, b in pairs:
            sets[b] = sets[b] | sets[a]
            sent[a] += 1
        yield [[s] for s in sets], sent


def naive(n):
    return whole(n, [[(r, 0)] for r in range(1, n)] + [[(0, r)] for r in range(1, n)])


def tree(n):
    distances = [2**k for k in range(10) if 2**k < n]
    up = [[(r, r - d) for r in range(d, n, 2 * d)] for d in distances]
    return whole(n, up + [[(b, a) for a, b in pairs] for pairs in reversed(up)])


CASES = {
    "ring": (ring, f.ring_held, f.ring_sent, f.ring_rounds),
    "naive": (naive, lambda r, c, s, *, n: f.naive_held(r, s, n=n), f.naive_sent, f.naive_rounds),
    "tree": (tree, lambda r, c, s, *, n: f.tree_held(r, s, n=n), f.tree_sent, f.tree_rounds),
}


@pytest.mark.parametrize("n", RANKS)
@pytest.mark.parametrize("name", CASES)
def test_what_ranks_hold_and_have_sent_after_each_round(name, n):
    simulate, held, sent_formula, rounds = CASES[name]
    T = torch.tensor
    done = -1
    for done, (sets, sent) in enumerate(simulate(n)):
        for r, row in enumerate(sets):
            for c, expected in enumerate(row):
                first, count = (int(v) for v in held(T(r), T(c), T(done), n=T(n)))
                assert {(first + k) % n for k in range(count)} == expected, (r, c, done)
            size = n if name == "ring" else 1  # so that a message is 1
            assert sent_formula(size, T(r), T(done), n=T(n)) == sent[r], (r, done)
    assert all(s == set(range(n)) for row in sets for s in row)
    assert done == rounds(n=T(n))


def test_seconds_are_those_of_the_busiest_link():
    n, links = torch.tensor(8), {"bandwidth": 1e9, "latency": 1e-4}
    assert f.ring_seconds(8e6, n=n, **links) == pytest.approx(14 * (1e-4 + 1e-3))
    assert f.naive_seconds(8e6, n=n, **links) == pytest.approx(14 * (1e-4 + 8e-3))
    assert f.tree_seconds(8e6, n=n, **links) == pytest.approx(6 * (1e-4 + 8e-3))
    assert [int(f.tree_rounds(n=torch.tensor(k))) for k in (1, 2, 3, 4, 5, 8, 9, 64)] == [0, 2, 4, 4, 6, 6, 8, 12]
