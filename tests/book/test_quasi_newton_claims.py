"""Every claim of the chapter on quasi-Newton methods, as an assertion."""

import math

import pytest
import torch
from claims import About, Above, Page
from torch.func import grad, vmap

from course_lib.experiments import recorded, sweep
from course_lib.experiments.studies import line_searches as searches
from course_lib.experiments.studies import quasi_newton as study
from course_lib.formulas import bfgs as bfgs_rule
from course_lib.formulas import broyden, dfp, himmelblau, newton_backtracking, quadratic, rosenbrock, saddle
from course_lib.formulas import second_order as s
from course_lib.formulas.newton_cg import conjugate_gradients
from course_lib.formulas.secant import broyden_exact, eigenvalues, inverse_hessian, relative_error

page = Page("optimizers/quasi_newton")
START = torch.tensor([-1.2, 1.0], dtype=torch.float64)  # Rosenbrock's


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def curved_matrix(n, seed=0):
    root = random(n, n, seed=seed)
    return root @ root.T + torch.eye(n, dtype=torch.float64)


# --- one dimension


@page.claim(
    r"to the power $(1 + \sqrt5)/2 = {}$ in each step. Two secant steps gain a factor of ${}^2 = {}$ in digits",
    "With two they leave one number open, with {} parameters {}.",
)
def test_the_golden_power_and_the_open_numbers():
    golden = (1 + math.sqrt(5)) / 2
    return golden, golden, golden**2, 100, 100 * 101 // 2 - 100


@page.claim(
    "both from {}. Newton is at {}, {}, {} and {}e-8 after one to four; the secant method at {}, {}, {}, {} and {}e-5 after one to five,"
)
def test_the_errors_of_the_secant_method_and_of_newton():
    slope, secant, newton = lambda x: math.exp(x) - 2, [1.5, 1.2], [1.5]
    for _ in range(4):
        a, b = secant[-2:]
        secant.append(b - (b - a) / (slope(b) - slope(a)) * slope(b))
        newton.append(newton[-1] - slope(newton[-1]) / math.exp(newton[-1]))
    (start, *slow), (_, *fast) = ([abs(x - math.log(2)) for x in xs] for xs in (secant, newton))
    return start, *fast[:3], 1e8 * fast[3], *slow[:4], 1e5 * slow[4]


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


@page.claim("at step 1 the error of $B$ is {} with BFGS and {} with DFP.", "it is below ${}$ after 4 steps.")
def test_on_the_quadratic_two_exact_steps_end_it_and_xi_changes_b_alone(page):
    fig = page.figure(0)
    assert (fig.condition_number, fig.angle) == (20, -30) and tuple(fig.start) == (-1.8, 0.9)
    start = torch.tensor(fig.start, dtype=torch.float64)
    one, other = (walk(broyden_exact, canyon, start, 3, xi) for xi in (1.0, 0.0))
    assert max(one[1][2:] + other[1][2:]) < 1e-9
    torch.testing.assert_close(torch.stack(one[0]), torch.stack(other[0]), rtol=0, atol=1e-9)
    return one[1][1], other[1][1], 1e-6


def test_on_the_quadratic_wolfes_search_does_not_end_but_is_fast_and_xi_matters():
    paths = sweep(broyden, quadratic, [-1.8, 0.9], 4, xi=[0.0, 1.0], condition_number=20.0, angle=-30.0)
    losses = vmap(vmap(canyon))(paths)
    assert (losses[2] > 1e-4).all() and (losses[4] < 1e-6).all() and (losses[4] > 0).all()
    assert (paths[2, 0] - paths[2, 1]).norm() > 0.01


@page.claim(
    "At steps 1, 5 and {} the Hessian has a negative eigenvalue",
    "From about step {}, when the error is below {}. Before it, {} steps bring the loss from {} to ${}$. After it, six steps bring it to ${}$.",
)
def test_on_rosenbrock_b_runs_after_the_inverse_hessian(page):
    assert page.figure(1).steps == 36
    path, errors, own, wanted = walk(broyden, rosenbrock, START, 36, 1.0)
    assert [k for k in range(37) if wanted[k][0] < 0] == [1, 5, 12]
    assert all(pair[0] > 0 for pair in own)
    assert errors[28] > 0.05 and max(errors[29:]) < 0.05
    losses = [rosenbrock(w).item() for w in path]
    assert wanted[2][0] / own[2][0] == pytest.approx(3.3, abs=0.2) and 0.7 < wanted[3][0] / own[3][0] < 1.4
    return 12, 29, 0.05, 29, losses[0], losses[29], losses[35]


@page.claim(
    "and at steps 9 to {} {} to {} times (at step {} ${}$, where the inverse Hessian has ${}$).",
    "DFP has it right at step {}.",
    r"in the first {} steps. What is wrong",
)
def test_on_rosenbrock_dfp_makes_b_far_too_small_and_takes_long_to_mend_it():
    _, _, own, wanted = walk(broyden, rosenbrock, START, 15, 0.0)
    short = [w[0] / b[0] for b, w in zip(own, wanted, strict=True)]
    assert all(7 < x < 12 for x in short[3:6]) and all(24 < x < 52 for x in short[9:14]) and short[14] < 1.3
    return 13, 25, 50, 12, own[12][0], wanted[12][0], 14, 15


# --- searches


@page.claim(r"Of the points with $|x|, |y| \le {}$ on this surface, {} lead backtracking into this trap")
def test_backtracking_loses_the_curvature_condition_beside_a_saddle_and_wolfe_does_not():
    record = recorded("quasi_newton_saddle")
    assert (record["wolfe"] == 0).all()
    return 0.5, record["backtracking"]


def test_a_lost_b_leads_uphill():
    w = torch.tensor([0.1, 0.2], dtype=torch.float64)
    g = grad(saddle)(w)
    p = -s.backtracking_search(saddle, w, g, -g) * g
    new = grad(saddle)(w + p)
    q = new - g
    V = torch.eye(2, dtype=torch.float64) - torch.outer(q, p) / (p @ q)
    B = V.T @ V + torch.outer(p, p) / (p @ q)
    assert torch.linalg.eigvalsh(B)[0] < 0 and -new @ B @ new > 0


def test_the_search_that_stops_finds_the_same_rate():
    g = grad(rosenbrock)(START)
    assert searches.wolfe(rosenbrock, START, -g)[0] == s.wolfe_search(rosenbrock, START, g, -g)


def arrival(name) -> tuple[int, int]:
    """The steps and evaluations of a method on Rosenbrock's surface."""
    losses, counts = recorded("quasi_newton_costs")[name][0]
    last = int(losses.isfinite().sum()) - 1
    return last, int(counts[last])


@page.claim(
    "`wolfe_search` always makes {} trials", "on the way to a loss below ${}$.",
    "BFGS needs {} steps and {} evaluations. Newton needs {} and {}, and for each step a Hessian.",
    r"With two parameters that makes ${} + {} = {}$, so BFGS", "after {} steps and {} evaluations its loss is {}.",
    "Newton falls below the goal after {} evaluations, BFGS after {}, DFP after {}. Gradient descent with the same search has a loss of "
    "{} after {}.", "From the first start Newton ({} steps), BFGS ({}) and DFP ({}) are.",
)
def test_steps_and_evaluations_on_rosenbrock():
    record = recorded("quasi_newton_costs")
    bfgs, newton, dfp, slow = (arrival(name) for name in ("bfgs", "newton", "dfp", "gradient"))
    left = record["gradient"][0, 0, -1]
    assert slow[1] / slow[0] == pytest.approx(10, abs=0.5)
    return (
        s.TRIALS, record.settings["goal"], *bfgs, *newton, newton[1], 2 * newton[0], newton[1] + 2 * newton[0],
        *slow, left, newton[1], bfgs[1], dfp[1], left, slow[1], newton[0], bfgs[0], dfp[0],
    )


@page.claim(
    "The error of BFGS over {} steps, logarithmic. It is still 1 after {} steps, falls to {} at step {}, then steeper in each step, to "
    "rounding error at step {}."
)
def test_bfgs_is_superlinear():
    errors = (sweep(bfgs_rule, rosenbrock, START, 36)[:, 0] - 1).norm(dim=1)
    ratios = errors[1:] / errors[:-1]
    assert (ratios[:6] > 0.9).all() and (ratios[31:34] < 0.05).all() and (ratios[34:36] < 1e-3).all()
    assert errors[36] < 1e-14
    return 36, 16, errors[29], 29, 36


@page.claim(
    "From {} random starts on this surface, twelve for each of five seeds, BFGS and L-BFGS arrive within {} steps each time. DFP is still "
    "under way after {} steps from 5 to 8 of each twelve."
)
def test_from_other_starts_bfgs_arrives_and_dfp_often_does_not():
    record = recorded("quasi_newton_starts")
    late = record["dfp"].isinf().sum(1)
    assert (late.min(), late.max()) == (5, 8)
    slowest = torch.maximum(record["bfgs"], record["lbfgs"]).max()
    return record["bfgs"].numel(), slowest, record.settings["steps"]


@page.claim(
    "From near the upper left corner Newton needs {} steps, BFGS {}, and DFP still has a loss of about 1; from the lower right corner they "
    "need {} and {}, and DFP has a loss of 2. From the lower left corner BFGS is even ahead of Newton, {} against {}.",
    "Who is at the minimum after {}, and does it hold",
)
def test_the_corners_of_the_figure(page):
    steps = page.figure(2).steps
    corners = torch.tensor([[-1.9, 2.9], [1.9, -0.9], [-1.9, -0.9]], dtype=torch.float64)
    paths = {
        rule: vmap(vmap(rosenbrock))(sweep(rule, rosenbrock, corners, 42)) for rule in (newton_backtracking, bfgs_rule)
    }
    newton, bfgs = ((path < 1e-10).int().argmax(0).tolist() for path in paths.values())
    late = [rosenbrock(w).item() for w in sweep(dfp, rosenbrock, corners[:2], 40)[-1]]
    assert late == pytest.approx([1.0, 2.0], abs=0.5)
    return newton[0], bfgs[0], newton[1], bfgs[1], bfgs[2], newton[2], steps


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
        torch.testing.assert_close(conjugate_gradients(lambda v: H @ v, H @ low, steps=k), w, rtol=0, atol=1e-8)


@page.claim("fall on one line: from {} to {} after five steps, and at the sixth to rounding error.")
def test_six_exact_steps_in_the_plot():
    torch.manual_seed(0)
    root, low = torch.randn(6, 6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    H = root @ root.T + torch.eye(6, dtype=torch.float64)
    path = sweep(broyden_exact, lambda w: (w - low) @ H @ (w - low) / 2, 0 * low, 6, xi=[0.0, 0.5, 1.0])
    errors = (path - low).norm(dim=2)
    assert (errors[6] < 1e-12).all()
    return errors[0, 0], errors[5, 0]


# --- limited memory


@page.claim(r"multiply the loss by {} and $\gamma$ becomes {} times smaller.")
def test_gamma_has_the_units_of_the_inverse_hessian():
    p, q = random(5), random(5, seed=1)
    gamma, other = (p @ x / (x @ x) for x in (q, 1000 * q))
    return 1000, gamma / other


@pytest.mark.parametrize("seed", range(5))
def test_gamma_is_the_best_multiple_and_lies_among_the_eigenvalues(seed):
    H, p = curved_matrix(5, seed), random(5, seed=seed + 5)
    q = H @ p
    gamma = p @ q / (q @ q)
    assert all((gamma * q - p).norm() < (x * gamma * q - p).norm() for x in (0.9, 0.99, 1.01, 1.1))
    low, *_, high = torch.linalg.eigvalsh(torch.linalg.inv(H))
    assert low <= gamma <= high


@page.claim(
    r"the path is the same in all units: {} steps each time.",
    "and it wins with {} steps. At ${}$ it has not arrived after {} steps, at ${}$ it spends {} evaluations",
    "With γI {}, {} and {} for a loss times {}, 1 and {}. With I {} for 1, {} for {}, and for {} it is not there after {}.",
)
def test_with_gamma_the_units_of_the_loss_do_not_matter():
    record = recorded("quasi_newton_units")
    plain, scaled, scales = record["plain"][0], record["scaled"][0], record.settings["scales"]
    assert (scaled[:, 0] == scaled[0, 0]).all() and plain[0, 2] > 0.01 and plain[2, 0] == 12
    return (
        scaled[0, 0], plain[1, 0], scales[0], plain[0, 0], scales[2], plain[2, 1],
        *scaled[:, 1], scales[0], scales[2], plain[1, 1], plain[2, 1], scales[2], scales[0], plain[0, 1],
    )


@page.claim(
    "A quadratic with {} parameters and the condition number {}:",
    "it lowers the loss after {} steps by a factor of {} to {}. Going on from $m = 1$ to $m = {}$ gives another 4 to {}. After {} steps the "
    "full matrix is no great gain. After {} it is",
)
def test_the_first_pair_does_most_and_the_whole_matrix_wins_once_it_has_seen_all_directions():
    record = recorded("quasi_newton_memory")
    none, one, _, ten = record["lbfgs"].unbind(1)
    whole, first, more = record["bfgs"], none[:, 70] / one[:, 70], one[:, 70] / ten[:, 70]
    assert (whole[:, 40] > ten[:, 40] / 10).all() and (whole[:, 70] < 1e-12).all() and 3.5 < more.min() < 4.5
    return 60, 1000, 70, first.min(), About(first.max()), 10, more.max(), 40, 70


@page.claim(
    "LeNet-5, $l = {}{,}{}$ | ResNet-50, $l = {}{,}{}{,}{}$", "| BFGS | $l^2$ | {} GiB | {} million GiB |",
    "| L-BFGS, $m = {}$ | $2 m l$ | {} MiB | {} GiB | | L-BFGS, $m = {}$ | $2 m l$ | {} MiB | {} GiB |", "| Adam | $2 l$ | {} MiB | {} GiB |",
)
def test_the_numbers_of_the_memory_table():
    lenet, resnet = 4 * 61_706, 4 * 25_557_032  # bytes in float32
    mib, gib = 2**20, 2**30
    pairs = [(m, 2 * m * lenet / mib, 2 * m * resnet / gib) for m in (10, 100)]
    return (
        61,
        706,
        25,
        557,
        32,
        lenet**2 / 4 / gib,
        resnet**2 / 4 / gib / 1e6,
        *pairs[0],
        *pairs[1],
        2 * lenet / mib,
        2 * resnet / gib,
    )


# --- mini-batches


@page.claim(
    "Here is logistic regression on the digits, with {} images a batch.", r"The truth is about {}.",
    "**The same batch for both gradients**: {} to {}, at any step length.",
    r"**Another batch**: {}, {} and {} for $\eta = 1$, {} and {}.", r"is on average about ${}$ plus $\frac1\eta$ times the share",
    "That share is {} here", r"at $\eta = {}$ the sign is almost a coin toss: more than {} of the measured curvatures are negative",
    "With both gradients from the same batch it lies between {} and {} at any rate. With another batch for the second it grows from {} "
    "to {} as the rate falls from 1 to {}.",
)
def test_two_batches_measure_their_noise_over_the_rate():
    record = recorded("quasi_newton_curvature")
    rates, same, other, share = torch.tensor(record.settings["rates"]), record["same"], record["other"], record["share"]
    torch.testing.assert_close(other, 0.5 + share[:, None] / rates, rtol=0.1, atol=0)
    negative, truth = record["negative"], record["truth"].mean()
    assert (negative[:, 0] < 0.1).all() and ((negative[:, 2] > 0.4) & (negative[:, 2] < 0.6)).all()
    ends = [About(other[:, k]) for k in range(3)]
    return (
        study.BATCH, truth, same.min(), same.max(), *ends, 0.1, 0.01, truth, share.mean(), 0.01, Above(negative[:, 2]),
        same.min(), same.max(), ends[0], ends[2], 0.01,
    )


@page.claim(
    "in four of the five seeds: from {} to between {} and about {}, before it comes down.",
    "in the worst seed to about {}. SGD and L-BFGS with q from one batch fall without such jumps and end at about {} and {}.",
)
def test_trained_on_pairs_from_two_batches_the_loss_shoots_up():
    record = recorded("quasi_newton_batches")
    sgd, same, other = (record[name] for name in ("sgd", "same", "other"))
    assert torch.cat([sgd, same]).max() < 2.4 and sgd[0, 0].item() == pytest.approx(math.log(10), abs=1e-3)
    worst = other.amax(1).sort().values
    assert worst[0] < 2.4 and (worst[1:] > 4 * sgd[0, 0]).all() and (other[:, -1] < 0.6).all()
    ratio = same[:, -1] / sgd[:, -1]
    assert ((0.8 < ratio) & (ratio < 1)).all()
    return sgd[0, 0], Above(worst[1:]), About(worst[-1]), About(worst[-1]), About(sgd[:, -1]), About(same[:, -1])


# --- whole batches


@page.claim(
    "A small network on {} digits, with weight decay", "get the same {} gradients of the whole set. Adam on mini-batches of {} gets {} passes.",
    "has the lower training loss at {} and at {} gradients, against both rates of Adam",
    "For what L-BFGS reaches with {} gradients, Adam needs {} to {}.",
    "In the first {} gradients Adam at {} is as good or better:",
    "beat all of them at {} passes and at {}, because they make {} steps in a pass. L-BFGS overtakes them only after {} to {} passes, where "
    "the constant rate of {} begins",
    "With {} images instead of {} a pass would hold {} steps.", "All end between {} and {}.", "the lowest for the first {} to {} passes.",
)
def test_the_race_on_the_digits():
    record = recorded("quasi_newton_race")
    lbfgs, adam, batches, accuracy = (record[name] for name in ("lbfgs", "adam", "batches", "accuracy"))
    best = adam.amin(1)
    for k in (25, 100):
        assert (lbfgs[:, k - 1] < best[:, k - 1]).all()
    assert (lbfgs[:, 14:] < best[:, 14:]).all()  # from the 15th on
    needs = (best > lbfgs[:, 24:25]).sum(1) + 1
    assert (adam[:, 1, 9] < 1.15 * lbfgs[:, 9]).all() and (adam[:, 1, 9] < lbfgs[:, 9]).sum() >= 3
    for k in (10, 25):
        assert (batches[:, k - 1] < torch.minimum(lbfgs, best)[:, k - 1]).all()
    overtakes = (lbfgs < batches).int().argmax(1) + 1
    settings, ends = record.settings, (overtakes.min(), overtakes.max())
    return (
        len(study.Digits(0).data.x_train), settings["passes"], 50, settings["passes"], 25, 100, 25, needs.min(), needs.max(), 10, settings["rates"][1],
        10, 25, 1000 // 50, *ends, settings["batch_rate"], 60_000, 1000, 60_000 // 50, accuracy.min(), accuracy.max(), *ends,
    )


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


@page.claim(
    "one `step` is up to {} iterations and {} evaluations",
    "| `history_size=100` | {} more copies of the parameters | {} |",
)
def test_what_torchs_lbfgs_refuses_and_its_defaults():
    w, v = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(TypeError):
        torch.optim.LBFGS([w]).step()
    with pytest.raises(TypeError):
        torch.optim.LBFGS([w], weight_decay=0.1)
    with pytest.raises(ValueError):
        torch.optim.LBFGS([{"params": [w]}, {"params": [v]}])
    (group,) = torch.optim.LBFGS([w]).param_groups
    assert (group["lr"], group["line_search_fn"]) == (1, None)
    return group["max_iter"], group["max_eval"], 2 * group["history_size"], 10


test_changed_numbers_are_noticed = page.test_of_numbers()
