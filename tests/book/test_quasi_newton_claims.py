"""Every claim of the chapter on quasi-Newton methods, as an assertion."""

import math

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from course_lib.experiments import digits, sweep
from course_lib.formulas import bfgs as bfgs_rule
from course_lib.formulas import broyden, dfp, himmelblau, lbfgs, newton_backtracking, quadratic, rosenbrock, saddle
from course_lib.formulas import second_order as s
from course_lib.formulas.secant import broyden_exact, eigenvalues, inverse_hessian, relative_error

START = torch.tensor([-1.2, 1.0], dtype=torch.float64)  # Rosenbrock's


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def curved_matrix(n, seed=0):
    root = random(n, n, seed=seed)
    return root @ root.T + torch.eye(n, dtype=torch.float64)


# --- one dimension


@pytest.mark.parametrize("starts", [(1.5, 1.2), (0.2, 0.4), (1.0, 0.9)])
def test_the_secant_method_raises_its_error_to_the_golden_power(starts):
    slope, xs = lambda x: math.exp(x) - 2, list(starts)
    while abs(xs[-1] - math.log(2)) > 1e-7:
        a, b = xs[-2:]
        xs.append(b - (b - a) / (slope(b) - slope(a)) * slope(b))
    logs = [math.log(abs(x - math.log(2))) for x in xs[-3:]]
    assert 1.4 < logs[2] / logs[1] < 1.9 and ((1 + math.sqrt(5)) / 2) ** 2 == pytest.approx(2.6, abs=0.02)


def test_with_one_parameter_the_secant_equation_settles_all():
    B, p, q = (torch.tensor(x, dtype=torch.float64) for x in ([[3.0]], [0.5], [2.0]))
    for xi in (0.0, 0.4, 1.0):
        assert s.broyden_update(B, p, q, xi).item() == pytest.approx(0.25)
    assert 100 * 101 // 2 - 100 == 4950


# --- the family


@pytest.mark.parametrize("seed", range(5))
def test_bfgs_changes_b_least_whatever_the_weight(seed):
    B, H, p = curved_matrix(3, seed), curved_matrix(3, seed + 20), random(3, seed=seed + 40)
    q, eye = H @ p, torch.eye(3, dtype=torch.float64)
    across = eye - torch.outer(p, p) / (p @ p)
    other_weight = torch.outer(q, q) / (p @ q) + across @ curved_matrix(3, seed + 60) @ across
    free = eye - torch.outer(q, q) / (q @ q)
    for W in (H, other_weight):
        torch.testing.assert_close(W @ p, q)
        change = lambda new: torch.trace(W @ (new - B) @ W @ (new - B))
        best = s.bfgs_update(B, p, q)
        for k in range(10):
            Z = random(3, 3, seed=100 + k)
            other = best + 10 ** (-k / 3) * free @ (Z + Z.T) @ free
            torch.testing.assert_close(other @ q, p)
            assert change(other) > change(best)
        assert change(s.broyden_update(B, p, q, 0.0)) > change(s.broyden_update(B, p, q, 0.5)) > change(best)


@pytest.mark.parametrize("seed", range(5))
def test_the_product_form_is_bfgs_and_positive_definite_exactly_if_p_q_is(seed):
    B, p = curved_matrix(4, seed), random(4, seed=seed + 10)
    for k in range(8):
        q = random(4, seed=seed + 20 + k)
        V = torch.eye(4, dtype=torch.float64) - torch.outer(q, p) / (p @ q)
        bare = V.T @ B @ V + torch.outer(p, p) / (p @ q)
        torch.testing.assert_close(bare @ q, p)
        assert (torch.linalg.eigvalsh(bare)[0] > 0) == (p @ q > 0)
        if p @ q > 0:
            torch.testing.assert_close(bare, s.bfgs_update(B, p, q), rtol=1e-7, atol=1e-7)


# --- the figures


def walk(rule, f, start, steps, xi):
    """The points, the matrices' errors, and the eigenvalues of both, at each step."""
    w, B, rows = start, s.identity(start), []
    for t in range(1, steps + 2):
        H = inverse_hessian(f, w)
        rows.append((w, relative_error(B, H).item(), eigenvalues(B).tolist(), eigenvalues(H).tolist()))
        w, B = rule(w, grad(f)(w), t, f, B, xi=xi)
    return [list(column) for column in zip(*rows, strict=True)]


def canyon(w):
    return quadratic(w, condition_number=20.0, angle=torch.tensor(-30.0, dtype=torch.float64))


def test_on_the_quadratic_two_exact_steps_end_it_and_xi_changes_b_alone():
    start = torch.tensor([-1.8, 0.9], dtype=torch.float64)
    one, other = (walk(broyden_exact, canyon, start, 3, xi) for xi in (1.0, 0.0))
    assert one[1][1] == pytest.approx(0.62, abs=0.005) and other[1][1] == pytest.approx(0.03, abs=0.005)
    assert max(one[1][2:] + other[1][2:]) < 1e-9
    torch.testing.assert_close(torch.stack(one[0]), torch.stack(other[0]), rtol=0, atol=1e-9)


def test_on_the_quadratic_wolfes_search_does_not_end_but_is_fast_and_xi_matters():
    paths = sweep(broyden, quadratic, [-1.8, 0.9], 4, xi=[0.0, 1.0], condition_number=20.0, angle=-30.0)
    losses = vmap(vmap(canyon))(paths)
    assert (losses[2] > 1e-4).all() and (losses[4] < 1e-6).all() and (losses[4] > 0).all()
    assert (paths[2, 0] - paths[2, 1]).norm() > 0.01


def test_on_rosenbrock_b_runs_after_the_inverse_hessian():
    path, errors, own, wanted = walk(broyden, rosenbrock, START, 36, 1.0)
    assert [k for k in range(37) if wanted[k][0] < 0] == [1, 5, 12]
    assert all(pair[0] > 0 for pair in own)
    assert errors[28] > 0.05 and max(errors[29:]) < 0.05
    losses = [rosenbrock(w).item() for w in path]
    assert (
        losses[0] == pytest.approx(24.2)
        and losses[29] == pytest.approx(3e-4, rel=0.2)
        and losses[35] == pytest.approx(8e-25, rel=0.1)
    )
    assert wanted[2][0] / own[2][0] == pytest.approx(3.3, abs=0.2) and 0.7 < wanted[3][0] / own[3][0] < 1.4


def test_on_rosenbrock_dfp_makes_b_far_too_small_and_takes_long_to_mend_it():
    _, _, own, wanted = walk(broyden, rosenbrock, START, 15, 0.0)
    short = [w[0] / b[0] for b, w in zip(own, wanted, strict=True)]
    assert all(7 < x < 12 for x in short[3:6]) and all(24 < x < 52 for x in short[9:14]) and short[14] < 1.3
    assert own[12][0] == pytest.approx(9e-5, rel=0.05) and wanted[12][0] == pytest.approx(4.5e-3, rel=0.02)


# --- searches


def test_backtracking_loses_the_curvature_condition_beside_a_saddle_and_wolfe_does_not():
    def product(search, w):
        g = grad(saddle)(w)
        p = -search(saddle, w, g, -g) * g
        return p @ (grad(saddle)(w + p) - g)

    for seed in range(3):
        points = torch.rand(2000, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
        lost = [
            (vmap(lambda w: product(search, w))(points) <= 0).double().mean()
            for search in (s.backtracking_search, s.wolfe_search)
        ]
        assert lost[0] == pytest.approx(0.2, abs=0.03) and lost[1] == 0


def test_a_lost_b_leads_uphill():
    w = torch.tensor([0.1, 0.2], dtype=torch.float64)
    g = grad(saddle)(w)
    p = -s.backtracking_search(saddle, w, g, -g) * g
    new = grad(saddle)(w + p)
    q = new - g
    V = torch.eye(2, dtype=torch.float64) - torch.outer(q, p) / (p @ q)
    B = V.T @ V + torch.outer(p, p) / (p @ q)
    assert torch.linalg.eigvalsh(B)[0] < 0 and -new @ B @ new > 0


def wolfe(f, slope, w, d):
    """wolfe_search that stops at the accepted trial: (η, trials)."""
    here, down = f(w), slope(w) @ d
    eta, low, high = 1.0, 0.0, math.inf
    for n in range(1, s.TRIALS + 1):
        if not f(w + eta * d) <= here + 1e-4 * eta * down:
            high = eta
        elif slope(w + eta * d) @ d < 0.9 * down:
            low = eta
        else:
            break
        eta = (low + high) / 2 if high < math.inf else 2 * low
    return eta, n


def minimize(f, slope, w, direction, update=lambda B, p, q: B, *, steps, goal=1e-10):
    """(steps, evaluations, loss)."""
    B, g, count = s.identity(w), slope(w), 1
    for t in range(1, steps + 1):
        d = direction(B, g, w)
        eta, n = wolfe(f, slope, w, d)
        new = w + eta * d
        B, count = update(B, new - w, slope(new) - g), count + n
        w, g = new, slope(new)
        if f(w) < goal:
            break
    return t, count, f(w).item()


def bent_slope(w):
    x, y = w
    return torch.stack([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def quasi(B, g, w):
    return -B @ g


def test_steps_and_evaluations_on_rosenbrock():
    d = -bent_slope(START)
    assert wolfe(rosenbrock, bent_slope, START, d)[0] == s.wolfe_search(rosenbrock, START, -d, d)
    newton = minimize(
        rosenbrock, bent_slope, START, lambda B, g, w: -torch.linalg.solve(s.hessian(rosenbrock, w), g), steps=40
    )
    dfp_run = minimize(rosenbrock, bent_slope, START, quasi, lambda B, p, q: s.broyden_update(B, p, q, 0.0), steps=40)
    bfgs = minimize(rosenbrock, bent_slope, START, quasi, s.bfgs_update, steps=40)
    assert [x[:2] for x in (newton, dfp_run, bfgs)] == [(20, 28), (35, 57), (33, 53)]


def test_gradient_descent_spends_ten_evaluations_a_step():
    steps, count, loss = minimize(rosenbrock, bent_slope, START, lambda B, g, w: -g, steps=100)
    assert count / steps == pytest.approx(10, abs=0.5) and loss > 1e-3


def test_bfgs_is_superlinear():
    errors = (sweep(bfgs_rule, rosenbrock, START, 36)[:, 0] - 1).norm(dim=1)
    ratios = errors[1:] / errors[:-1]
    assert (ratios[:6] > 0.9).all() and (ratios[31:34] < 0.05).all() and (ratios[34:36] < 1e-3).all()


def test_from_other_starts_bfgs_arrives_and_dfp_often_does_not():
    starts = torch.rand(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - torch.tensor(
        [2.0, 1.0]
    )
    starts = torch.cat([starts, torch.tensor([[-1.9, 2.9], [1.9, -0.9], [-1.9, -0.9]], dtype=torch.float64)])

    def arrivals(update, steps, starts=starts):
        return [minimize(rosenbrock, bent_slope, w, quasi, update, steps=steps) for w in starts]

    bfgs = arrivals(s.bfgs_update, 43)
    assert max(steps for steps, _, _ in bfgs) <= 42 and [steps for steps, _, _ in bfgs[12:]] == [41, 40, 17]
    limited, newton = (
        vmap(vmap(rosenbrock))(sweep(rule, rosenbrock, starts, 42)) for rule in (lbfgs, newton_backtracking)
    )
    assert (limited[:, :12].min(dim=0).values < 1e-10).all()
    assert (newton[:, 12:] < 1e-10).double().argmax(dim=0).tolist() == [24, 13, 24]
    long = arrivals(lambda B, p, q: s.broyden_update(B, p, q, 0.0), 120, starts[:12])
    assert sum(loss > 1e-10 for _, _, loss in long) == 5
    corners = sweep(dfp, rosenbrock, starts[12:14], 40)[-1]
    assert [rosenbrock(w).item() for w in corners] == pytest.approx([1.0, 2.0], abs=0.5)


# --- exact termination


@pytest.mark.parametrize("seed", range(3))
def test_six_exact_steps_end_it_on_the_path_of_conjugate_gradients(seed):
    H, low = curved_matrix(6, seed), torch.ones(6, dtype=torch.float64)
    path = sweep(broyden_exact, lambda w: (w - low) @ H @ (w - low) / 2, 0 * low, 6, xi=[0.0, 1.0])
    assert (path[5] - low).norm(dim=1).min() > 1e-4 and (path[6] - low).norm(dim=1).max() < 1e-8
    w, r = 0 * low, H @ low
    d = r
    for k in range(1, 7):
        step = r @ r / (d @ H @ d)
        w, new = w + step * d, r - step * H @ d
        r, d = new, new + new @ new / (r @ r) * d
        assert (path[k] - w).abs().max() < 1e-8


# --- limited memory


@pytest.mark.parametrize("seed", range(5))
def test_gamma_is_the_best_multiple_and_lies_among_the_eigenvalues(seed):
    H, p = curved_matrix(5, seed), random(5, seed=seed + 5)
    q = H @ p
    gamma = p @ q / (q @ q)
    assert all((gamma * q - p).norm() < (x * gamma * q - p).norm() for x in (0.9, 0.99, 1.01, 1.1))
    low, *_, high = torch.linalg.eigvalsh(torch.linalg.inv(H))
    assert low <= gamma <= high


def test_with_gamma_the_units_of_the_loss_do_not_matter():
    h, eye = torch.logspace(0, 2, 10, dtype=torch.float64), torch.eye(10, dtype=torch.float64)

    def run(scale, scaled):
        update = lambda B, p, q: s.bfgs_update(B * (p @ q) / (q @ q) if scaled and torch.equal(B, eye) else B, p, q)
        return minimize(
            lambda w: scale * (h * w**2).sum() / 2,
            lambda w: scale * h * w,
            h.rsqrt(),
            quasi,
            update,
            steps=40,
            goal=scale * 5e-10,
        )

    assert [run(scale, True)[0] for scale in (1e-4, 1.0, 1e4)] == [38, 38, 38]
    (slow, _, left), plain, costly = (run(scale, False) for scale in (1e-4, 1.0, 1e4))
    assert slow == 40 and left / 1e-4 > 0.01 and plain[0] == 15 and costly[:2] == (12, 174)


def test_the_first_pair_does_most_and_the_whole_matrix_wins_once_it_has_seen_all_directions():
    h = torch.logspace(0, 3, 60, dtype=torch.float64)
    f, slope = lambda w: (h * w**2).sum() / 2, lambda w: h * w
    for seed in range(3):
        torch.manual_seed(seed)
        start = torch.randn(60, dtype=torch.float64) / h.sqrt()

        def run(memory, steps=70):
            w, P = start, s.history(start)
            Q, losses = P, [f(w)]
            for _ in range(steps):
                g = slope(w)
                d = -s.two_loops(g, P, Q, memory)
                p = wolfe(f, slope, w, d)[0] * d
                w, q = w + p, h * p
                P, Q = torch.cat([p[None], P[:-1]]), torch.cat([q[None], Q[:-1]])
                losses.append(f(w))
            return [(losses[k] / losses[0]).item() for k in (40, 70)]

        none, one, ten = (run(m) for m in (0.0, 1.0, 10.0))
        w, B = start, s.identity(start)
        left = []
        for _ in range(70):
            p = wolfe(f, slope, w, -B @ (h * w))[0] * -B @ (h * w)
            w, B = w + p, s.bfgs_update(B, p, h * p)
            left.append((f(w) / f(start)).item())
        assert 60 < none[1] / one[1] < 260 and 3.5 < one[1] / ten[1] < 16
        assert left[39] > ten[0] / 10 and left[69] < 1e-12


def test_the_numbers_of_the_memory_table():
    lenet, resnet = 61_706, 25_557_032
    assert 4 * lenet**2 / 2**30 == pytest.approx(14, abs=0.3) and 4 * resnet**2 / 2**30 == pytest.approx(
        2.4e6, rel=0.02
    )
    assert 80 * lenet / 2**20 == pytest.approx(4.7, abs=0.05) and 80 * resnet / 2**30 == pytest.approx(1.9, abs=0.05)
    assert 8 * lenet / 2**20 == pytest.approx(0.47, abs=0.005) and 8 * resnet / 2**30 == pytest.approx(0.19, abs=0.005)


# --- mini-batches


def logistic(seed):
    data = digits(train=1000, dtype=torch.float64, seed=seed)
    return lambda W, i, decay=0.0: (
        nn.functional.cross_entropy(data.x_train[i] @ W.view(64, 10), data.y_train[i]) + decay * (W**2).sum()
    )


def test_two_batches_measure_their_noise_over_the_rate():
    for seed in range(3):
        slope, W = grad(logistic(seed)), torch.zeros(640, dtype=torch.float64)
        batches = torch.randint(1000, (150, 3, 32), generator=torch.Generator().manual_seed(seed))
        gradients = vmap(lambda i: slope(W, i))(batches[:, 0])
        share = 1 - slope(W, slice(None)).square().sum() / gradients.square().sum(dim=1).mean()
        assert share == pytest.approx(0.67, abs=0.03)
        for lr in (1.0, 0.1, 0.01):

            def one(batches):
                a, b, c = batches
                g, other = slope(W, a), slope(W, c)
                pairs = ((-lr * g, a), (-lr * g, b), (-lr * other, b))
                return torch.stack([p @ (slope(W + p, i) - g) / (p @ p) for p, i in pairs])

            found = vmap(one)(batches)
            same, different, _ = found.mean(dim=0)
            assert 0.5 < same < 0.65 and (found[:, 0] > 0).all()
            assert different.item() == pytest.approx(0.5 + share.item() / lr, rel=0.1)
            negative = (found[:, 2] <= 0).double().mean()
            assert negative < 0.1 if lr == 1 else (0.33 if lr == 0.1 else 0.4) < negative < 0.6


def test_trained_on_pairs_from_two_batches_the_loss_shoots_up():
    for seed in range(3):
        f = logistic(seed)
        slope = grad(f)
        torch.manual_seed(seed)
        batches = torch.randint(1000, (101, 32))
        ends = {}
        for mode in ("SGD", "same", "other"):
            W = torch.zeros(640, dtype=torch.float64)
            P = Q = s.history(W)[:5]
            g, losses = slope(W, batches[0], 5e-4), []
            for b, after in zip(batches, batches[1:], strict=False):
                p = -s.two_loops(g, P, Q, 0.0 if mode == "SGD" else 5.0)
                g_new = slope(W + p, after, 5e-4)
                q = (slope(W + p, b, 5e-4) if mode == "same" else g_new) - g
                if s.curved(p, q):
                    P, Q = torch.cat([p[None], P[:-1]]), torch.cat([q[None], Q[:-1]])
                W, g = W + p, g_new
                losses.append(f(W, slice(None), 5e-4).item())
            ends[mode] = max(losses), losses[-1]
        assert f(torch.zeros(640, dtype=torch.float64), slice(None)) == pytest.approx(math.log(10))
        assert 9 < ends["other"][0] < 61.5 and max(ends["SGD"][0], ends["same"][0]) < 2.3
        assert 0.8 < ends["same"][1] / ends["SGD"][1] < 1


# --- whole batches


def race(seed, make, budget=0, passes=0):
    """(losses, accuracy): after each gradient of the whole set, the least so far, or after each pass of batches of 50."""
    torch.manual_seed(seed)
    data = digits(train=1000, seed=seed)
    net = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    optimizer, found = make(net.parameters()), []

    def loss(i=slice(None)):
        return nn.functional.cross_entropy(net(data.x_train[i]), data.y_train[i]) + 5e-4 * sum(
            (p**2).sum() for p in net.parameters()
        )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        found.append(value.item())
        return value

    while len(found) < budget:
        optimizer.step(closure)
    for _ in range(passes):
        for i in torch.randperm(1000).split(50):
            optimizer.zero_grad()
            loss(i).backward()
            optimizer.step()
        found.append(loss().item())
    losses = torch.tensor(found) if passes else torch.tensor(found[:budget]).cummin(dim=0).values
    return losses, (net(data.x_test).argmax(dim=1) == data.y_test).double().mean().item()


def test_the_race_on_the_digits():
    for seed in range(2):
        ours, right = race(seed, lambda ps: torch.optim.LBFGS(ps, history_size=10, line_search_fn="strong_wolfe"), 100)
        adams = [race(seed, lambda ps, lr=lr: torch.optim.Adam(ps, lr), 150) for lr in (0.03, 0.1)]
        best = torch.stack([losses for losses, _ in adams]).min(dim=0).values  # of twice as many gradients
        assert ours[24] < best[24] and ours[99] < best[99]
        for k in (25, 50):  # how many gradients Adam needs for L-BFGS's loss
            assert 1.4 < ((best > ours[k - 1]).sum().item() + 1) / k < 2.6
        assert 0.7 < best[9] / ours[9] < 1.3
        batches, other = race(seed, lambda ps: torch.optim.Adam(ps, 0.01), passes=25 if seed else 75)
        assert batches[9] < min(ours[9], best[9]) and batches[24] < min(ours[24], best[24])
        assert ours[74] == pytest.approx(0.135, abs=0.002)
        assert seed or (ours[74] < batches[74] and ours[39] > batches[39])
        assert all(0.96 < x < 0.985 for x in (right, other, *(a for _, a in adams)))


# --- PyTorch


def test_without_a_line_search_torchs_default_can_fail():
    results = {}
    for search in (None, "strong_wolfe"):
        w = torch.tensor([0.0, -0.5], requires_grad=True)
        optimizer, seen = torch.optim.LBFGS([w], line_search_fn=search), []

        def closure():
            optimizer.zero_grad()
            loss = himmelblau(w)
            loss.backward()
            seen.append(loss.item())
            return loss

        for _ in range(5):
            optimizer.step(closure)
        results[search] = len(seen), himmelblau(w).item()
    assert results[None][1] > 10 and results["strong_wolfe"][0] == 15 and results["strong_wolfe"][1] < 1e-8


def test_what_torchs_lbfgs_refuses_and_its_defaults():
    w, v = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(TypeError):
        torch.optim.LBFGS([w]).step()
    with pytest.raises(TypeError):
        torch.optim.LBFGS([w], weight_decay=0.1)
    with pytest.raises(ValueError):
        torch.optim.LBFGS([{"params": [w]}, {"params": [v]}])
    (group,) = torch.optim.LBFGS([w]).param_groups
    assert (group["lr"], group["max_iter"], group["max_eval"], group["history_size"], group["line_search_fn"]) == (
        1,
        20,
        25,
        100,
        None,
    )
