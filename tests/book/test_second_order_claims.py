"""What the chapter on second order says, bound to its record, to its figures and to algebra."""

import pytest
import torch
from claims import About, Page
from torch.func import grad, jacrev, vmap
from torch.utils.flop_counter import FlopCounterMode

from course_lib.experiments import recorded, sweep
from course_lib.experiments.studies import second_order as study
from course_lib.formulas import gradient_descent, himmelblau, newton, quadratic, rosenbrock, saddle, steepest_descent

page = Page("basics/second_order")
CANYON = {"condition_number": 5.0}


def path(rule, surface, start, steps, **hyper):
    return sweep(rule, surface, start, steps, **hyper)[:, 0]


def error_factors(rule, lr, condition_number):
    """By what the error's two coordinates shrink in a step."""
    w = path(rule, quadratic, [2.0, 0.4], 1, lr=lr, condition_number=condition_number)
    return (w[1] / w[0]).tolist()


# The model under your finger


@page.claim("The ring starts at $({}, {})$.", "The model promises {} and the loss is {}, so the ratio is {}.")
def test_newton_s_step_from_the_ring(page):
    fig = page.figure(0)
    assert fig.reached < fig.promised
    return *fig.w, fig.promised, fig.reached, fig.ratio


@page.claim("The slope goes {}, {}, {}, {}, {}, ${}$, and the sixth step ends at rounding error.")
def test_six_of_newton_s_steps():
    fig = page.figure(0)
    slopes = [fig.gradient.norm().item()]
    for _ in range(6):
        fig.take("newton")
        slopes.append(fig.gradient.norm().item())
    assert slopes[6] < 1e-12
    return tuple(slopes[:6])


@page.claim(
    "Lower the gradient step's rate to {}.",
    "At the rate {} the arrow runs far past the model's lowest point on that line. The model promises a rise from {} to {}, yet the "
    "loss falls to {}, so the ratio is {}. At {} the model promises {} and the loss is {}: a ratio of {}.",
)
def test_the_gradient_step_keeps_and_breaks_its_promises():
    fig = page.figure(0)
    fig.direction = "gradient"
    far = fig.gradient_lr, fig.loss, fig.promised, fig.reached, fig.ratio
    fig.gradient_lr = 0.005
    return 0.005, *far, 0.005, fig.promised, fig.reached, fig.ratio


@page.claim(
    "near $({}, {})$, then near $({}, {})$. Where does Newton's arrow lead?",
    "Near $({}, {})$ both eigenvalues are negative, {} and {}, and the step raises the loss from {} to {}. "
    "Near $({}, {})$ they are {} and {}.",
)
def test_newton_aims_at_what_the_model_has():
    fig, top, between = page.figure(0), (0.0, -0.5), (3.0, 0.2)
    fig.w = list(top)
    assert fig.kind == "maximum"
    down, before, after = fig.curvatures, fig.loss, fig.reached
    fig.w = list(between)
    assert fig.kind == "saddle"
    return *top, *between, *top, *down, before, after, *between, *fig.curvatures


@page.claim(
    "It promises {}, and the loss would be {}: the ratio is {}.",
    r"From $\mu = {}$ on, the step lowers the loss of {}; the slider's next place is {}.",
    "Newton's second step lands at a loss of {}, {} times that of the start,",
    "by way of a loss of {}: luck",
)
def test_far_away_the_model_lies_and_damping_shortens_the_step():
    fig = page.figure(0)
    fig.surface, fig.w = "rosenbrock", [-1.2, 1.0]
    start = fig.loss
    assert fig.ratio == pytest.approx(1.00, abs=0.01)
    fig.take("newton")
    before, promised, reached, ratio = fig.loss, fig.promised, fig.reached, fig.ratio

    def falls(damping):
        ends = sweep(newton, rosenbrock, fig.w, 1, damping=damping, keep="end")
        return vmap(rosenbrock)(ends) < before

    slider = torch.tensor([float(f"{1e-3 * 1e6 ** (k / 400):.3g}") for k in range(401)], dtype=torch.float64)
    place = slider[falls(slider)][0]
    assert torch.equal(falls(slider), slider >= place)
    fine = torch.arange(1.4, 1.7, 0.001, dtype=torch.float64)
    threshold = fine[falls(fine)][0]
    return promised, reached, ratio, threshold, before, place, reached, reached / start, reached


def test_on_a_quadratic_the_model_is_the_loss():
    fig = page.figure(0)
    fig.surface = "quadratic"
    for direction in ("newton", "gradient"):
        fig.direction = direction
        for w in ([1.3, -0.4], [-0.2, 0.9]):
            fig.w = w
            assert fig.ratio == pytest.approx(1.0)


# The canyon


@page.claim(
    r"The surface has the condition number $\kappa = {}$. Gradient descent with $\eta = {}$ takes",
    r"Raise $\kappa$ to {} and leave $\eta$.",
    r"Lower the rate $\eta$ of both to {}, at $\kappa = {}$.",
    "here Newton takes {} of its step each time, and the error shrinks by the factor {} in every direction at once: a straight "
    "line to the minimum, with a loss of ${}$ after {} steps. Gradient descent is at {} then.",
    r"Gradient descent diverges, since ${} > 2/{}$.",
    r"Its error shrinks by $1 - \eta = {}$ a step. Gradient descent shrinks by ${}$ along the floor, the same, but by "
    r"$|1 - {}\cdot{}| = {}$ across.",
)
def test_each_direction_in_the_canyon(page):
    fig = page.figure(1)
    kappa, lr = fig.condition_number, fig.lr
    both = fig.path["newton"][1] / fig.path["newton"][0]
    assert both[0].item() == pytest.approx(both[1].item())
    before, ends = fig.path["newton"], [losses[-1] for losses in fig.losses.values()]
    fig.condition_number = 100.0
    torch.testing.assert_close(fig.path["newton"], before)
    assert fig.losses["gradient_descent"][-1] > 1e6
    fig.condition_number, fig.lr = kappa, 0.1
    along, across = (fig.path["gradient_descent"][1] / fig.path["gradient_descent"][0]).tolist()
    slow = (fig.path["newton"][1] / fig.path["newton"][0])[0]
    return (
        kappa, lr, 100, 0.1, kappa, lr, both[0], ends[1], fig.steps, ends[0], lr, 100, slow, along, 0.1, kappa, across,
    )


@pytest.mark.parametrize("condition_number", [1.0, 5.0, 100.0])
def test_newton_needs_one_step_and_shrinks_all_directions_alike(condition_number):
    assert error_factors(newton, 1.0, condition_number) == pytest.approx([0.0, 0.0], abs=1e-15)
    assert error_factors(newton, 0.38, condition_number) == pytest.approx([0.62, 0.62])


@page.claim(
    "The loss over {} steps, logarithmic, from {}. With η = {} it falls to {}. With η = 1/3 and with the exact line search it "
    "falls to {}, on the very same straight line."
)
def test_the_exact_search_walks_the_path_of_the_best_constant_rate():
    start, steps = [5.0, 1.0], 8
    exact = path(steepest_descent, quadratic, start, steps, **CANYON)
    constant = path(gradient_descent, quadratic, start, steps, lr=1 / 3, **CANYON)
    torch.testing.assert_close(exact, constant, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(exact[1], torch.tensor([5.0, -1.0], dtype=torch.float64) * 4 / 6, rtol=1e-12, atol=0)
    found = study.losses_of(steepest_descent, quadratic, start, steps, **CANYON)
    torch.testing.assert_close(found[1:] / found[:-1], torch.full((8,), 4 / 9, dtype=torch.float64), rtol=1e-9, atol=0)
    assert study.losses_of(newton, quadratic, start, 1, **CANYON)[1] < 1e-15
    large = study.losses_of(gradient_descent, quadratic, start, steps, lr=0.38, **CANYON)
    return steps, found[0], 0.38, large[-1], found[-1]


# Units and digits


@pytest.mark.parametrize("seed", range(5))
def test_newton_walks_the_same_path_in_other_units(seed):
    noise = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    A, start = noise + 2 * torch.eye(2, dtype=torch.float64), torch.tensor([1.3, 1.2], dtype=torch.float64)
    for rule, hyper, same in ((newton, {}, True), (gradient_descent, {"lr": 1e-4}, False)):
        w = path(rule, rosenbrock, start, 5, **hyper)[-1]
        u = path(rule, lambda u: rosenbrock(A @ u), torch.linalg.solve(A, start), 5, **hyper)[-1]
        assert ((A @ u - w).norm() < 1e-9 * (w - start).norm()) == same


@page.claim(
    "The distance from the minimum over four steps from {}, logarithmic. Gradient descent falls to {}. Newton falls faster and faster, to {}, "
    "{}, {}e-7 and rounding error."
)
def test_the_error_is_squared_in_each_step():
    low = torch.tensor([3.0, 2.0], dtype=torch.float64)
    errors = (path(newton, himmelblau, [3.3, 2.2], 4) - low).norm(dim=1)
    assert (errors[1:4] < errors[:3] ** 2).all() and errors[4] < 1e-13
    slow = (path(gradient_descent, himmelblau, [3.3, 2.2], 4, lr=0.014) - low).norm(dim=1)
    return errors[0], slow[4], errors[1], errors[2], 1e7 * errors[3]


# Saddles and damping


@page.claim("(The slider is logarithmic and begins at {}, close enough.)")
def test_newton_goes_to_the_saddle(page):
    fig = page.figure(2)
    assert fig.path[-1].norm() < 1e-6  # with the figure's damping, too
    return next(row for row in fig.spec["controls"] if row["name"] == "damping")["range"]["low"]


@page.claim(
    r"Its size is below 1 while $\mu < {}$. At $\mu = {}$ it is $-1$",
    r"Along a curvature of 1 the factor is $\mu/(1 + \mu)$; at $\mu = {}$ a step removes {} of the error.",
)
def test_the_saddle_attracts_up_to_a_damping_of_one_half():
    damping = torch.tensor([0.001, 0.1, 0.4, 0.6, 1.5, 5.0], dtype=torch.float64)
    ends = sweep(newton, saddle, [-1.5, 1e-3], 60, damping=damping, keep="end")
    assert torch.equal(ends[:, 1].abs() < 1e-3, damping < 0.5)
    return 0.5, 0.5, 100, 1 - 100 / 101


@pytest.mark.parametrize("damping", [0.1, 0.5, 0.9, 1.5, 100.0])
def test_the_factor_of_a_damped_step(damping):
    curvatures = torch.tensor([1.0, -1.0], dtype=torch.float64)
    w = path(newton, lambda w: (curvatures * w**2).sum() / 2, [1.0, 1.0], 1, damping=damping)
    torch.testing.assert_close(w[1], damping / (curvatures + damping), rtol=1e-12, atol=0)


def test_gradient_descent_leaves_the_saddle_that_newton_goes_to():
    assert path(newton, saddle, [-1.5, 0.3], 30)[-1].norm() < 1e-12
    assert path(gradient_descent, saddle, [-1.5, 0.3], 100, lr=0.1)[-1, 1] > 0.99


def test_above_one_the_step_goes_downhill():
    for damping in (1.01, 2.0, 10.0):
        w = torch.tensor([-1.5, 0.3], dtype=torch.float64)
        g = grad(saddle)(w)
        assert (newton(w, g, 1, saddle, damping=damping) - w) @ g < 0


# The bent valley


@page.claim(
    "Which one is at the minimum after {} steps",
    "Plain Newton is there after {} steps,",
    "With the search the loss falls in every step and needs {}. Gradient descent with the same search is still at {} after {} steps",
)
def test_newton_jumps_up_and_the_search_does_not(page):
    fig = page.figure(3)
    plain, searched, descent = (fig.losses[k] for k in ("newton", "newton_backtracking", "backtracking_descent"))
    assert plain[2] > 50 * plain[0]
    assert (searched.diff() <= 0).all() and (descent.diff() < 0).all()
    arrived = [(losses < 1e-10).nonzero()[0].item() for losses in (plain, searched)]
    return fig.steps, *arrived, descent[-1], fig.steps


# The network


@page.claim(
    "| the one below | {} | {} MiB | ${}$ | | LeNet-5 | {} | {} GiB | ${}$ | | ResNet-50 | {} | {} million GiB | ${}$ |"
)
def test_what_a_hessian_weighs_and_newton_s_step_costs():
    def row(l, unit):
        return l, 4 * l**2 / unit, l**3 / 3

    return *row(610, 2**20), *row(61_706, 2**30), *row(25_557_032, 2**30 * 1e6)


def count(compute) -> int:
    """Multiplications and additions in the matrix products."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


@page.claim(
    "a network of {} tanh units on {} handwritten digits: the product takes {} times the operations of a gradient, and equals the "
    "one with the whole Hessian to rounding, for {} seeds.",
    "They share the first gradient, so it takes {} times {} gradients:",
    "Ten products cost {} gradients; the Hessian of these {} parameters costs {}, and then",
    r"With ten products, $\mu = {}$ and a line search, one costs {} gradients. Beside it, gradient descent at $\eta = 2$ takes {} steps",
)
def test_a_product_with_the_hessian_needs_no_hessian():
    record, (loss, w) = recorded("second_order_spectrum"), study.digits_loss(0)
    v = torch.ones_like(w)
    product = lambda: grad(lambda w: grad(loss)(w) @ v)(w)
    torch.testing.assert_close(product(), jacrev(grad(loss))(w) @ v, rtol=1e-9, atol=1e-12)
    assert (record["agrees"] == 1).all() and record.settings["tolerance"] == 1e-12
    forward = count(lambda: loss(w))
    assert forward == 2 * 300 * (64 * 8 + 8 * 10)
    gradient, training = count(lambda: grad(loss)(w)), recorded("second_order_training").settings
    one, whole = count(product) / gradient, count(lambda: jacrev(grad(loss))(w)) / gradient
    assert training["products"] == 10 and training["price"] == round(1 + 10 * one) and training["lr"] == 2
    price = training["price"]
    return 8, 300, one, len(record.seeds), whole / len(w), len(w), 10 * one, len(w), whole, training["damping"], price, price


@page.claim(
    "at the start and after {} steps of gradient descent:",
    "The {} eigenvalues by rank, with the range over {} seeds",
    "Both curves begin between {} and {}, fall steeply, run along 0, and end below it: at the start at {} to {}, after {} "
    "steps at {} to {}.",
    "{} to {} of the {} have more than {} of the largest curvature.",
    "{} to {} of them at the start and {} to {} after {} steps.",
)
def test_few_directions_are_steep_most_are_flat_some_curve_downward():
    record = recorded("second_order_spectrum")
    x = record["eigenvalues"]  # (seeds, start or end, 610)
    assert (x.diff(dim=2) <= 0).all()
    largest, lowest, l = x[..., 0], x[..., -1], x.shape[2]
    steep, negative = (x > largest[..., None] / 100).sum(2), (x < -1e-6).sum(2)
    flat = (x.abs() < largest[..., None] / 1000).sum(2)
    assert (flat > l / 2).all() and (largest[:, 1] > largest[:, 0]).all() and (lowest[:, 1] > lowest[:, 0]).all()
    start, end = negative.unbind(1)
    after = record.settings["after"][1]
    return (
        after, l, len(record.seeds), largest.min(), largest.max(), lowest[:, 0].max(), lowest[:, 0].min(), after,
        lowest[:, 1].max(), lowest[:, 1].min(), steep.min(), steep.max(), l, 0.01,
        start.min(), start.max(), end.min(), end.max(), after,
    )


# A step without the Hessian


@page.claim(
    r"With $\mu = {}$ five products leave at most {} of the drop, and ten at most {}.",
    "With μ = {} ten products leave less than a billionth, with {} at most four millionths, with {} up to {}, and {} products two "
    "ten-millionths at most.",
)
def test_what_products_leave_of_the_drop():
    record = recorded("second_order_products")
    left, dampings = record["left"], record.settings["dampings"]  # (seeds, dampings, products + 1)
    assert record.settings["after"] == 100 and (record["lowest"] < 0).all()
    most = left.amax(0)
    assert most[2, 10] < 1e-9 and 3.5e-6 < most[1, 10] < 4e-6 and 2e-7 < most[0, 40] < 2.5e-7
    assert (left[:, 2, 1:15] < left[:, 1, 1:15]).all() and (left[:, 1, 1:30] < left[:, 0, 1:30]).all()
    highest = recorded("second_order_spectrum")["eigenvalues"][:, 1, 0]
    for k, damping in enumerate(dampings):
        root = ((highest + damping) / (record["lowest"] + damping)).sqrt()[:, None]
        bound = 4 * ((root - 1) / (root + 1)) ** (2 * torch.arange(left.shape[2]))
        assert (left[:, k] <= bound + 1e-15).all()
    return dampings[1], most[1, 5], most[1, 10], dampings[2], dampings[1], dampings[0], most[0, 10], left.shape[2] - 1


@page.claim(
    "After four Newton steps the loss is still between {} and {}; gradient descent has paid as much and is at {} to {}. Only at the end, "
    "after {} steps and {} gradients, both are at about {}.",
    "Gradient descent falls to about {} for the price of {} gradients, when the Newton steps are still between {} and {}. They catch up "
    "later: for {} gradients both are at about {}.",
)
def test_gradients_are_the_better_buy_far_from_the_minimum():
    record = recorded("second_order_training")
    newton, price = record["newton_cg"], record.settings["price"]
    descent = record["descent"][:, ::price]
    assert newton.shape == descent.shape and (descent[:, 1:20] < newton[:, 1:20]).all()
    assert ((newton[:, 20] > 0.005) & (newton[:, 20] < 0.02)).all()
    early, paid = (newton[:, 4].min(), newton[:, 4].max()), (descent[:, 4].min(), descent[:, 4].max())
    both = About(torch.cat([newton[:, 20], descent[:, 20]]))
    return (
        *early, *paid, newton.shape[1] - 1, 20 * price, both, About(descent[:, 4].mean()), 4 * price, *early, 20 * price, both,
    )


test_changed_numbers_are_noticed = page.test_of_numbers()
