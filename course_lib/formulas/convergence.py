"""How fast a rule converges on a quadratic: along each eigenvector of the Hessian the error shrinks by a factor a step.

All arguments are tensors that broadcast; `curvature` is an eigenvalue λ of the Hessian. Momentum is in the lecture's form.
"""

import torch


def gradient_descent_rate(lr, curvature):
    """The factor by which gradient descent shrinks the error in one step, |1 - ηλ|.

    Source: slide 12; Polyak (1987), section 1.4.
    """
    return (1 - lr * curvature).abs()


def momentum_rate(lr, momentum, curvature):
    """The factor by which momentum shrinks the error in one step, in the long run.

    The larger root of z² - (1 + m - η(1 - m)λ) z + m, in absolute value; √m where the roots are complex.
    Source: Polyak (1964); slide 7.
    """
    trace = 1 + momentum - lr * (1 - momentum) * curvature
    discriminant = trace**2 - 4 * momentum
    real = (trace.abs() + discriminant.clamp(min=0).sqrt()) / 2
    return torch.where(discriminant < 0, momentum.sqrt(), real)


def worst_momentum_rate(lr, momentum, condition_number):
    """Momentum's rate on a quadratic with eigenvalues from 1 to `condition_number`: the worse one of the two ends."""
    return torch.maximum(
        momentum_rate(lr, momentum, torch.ones_like(lr)), momentum_rate(lr, momentum, condition_number)
    )


def stability_edge(momentum, curvature):
    """The learning rate from which momentum diverges, 2 (1 + m) / ((1 - m) λ)."""
    return 2 * (1 + momentum) / ((1 - momentum) * curvature)


def critical_rates(momentum, curvature):
    """The two learning rates of critical damping; between them the error oscillates, outside it creeps (below) or flips (above).

    η λ (1 - m) = (1 ∓ √m)², so η = (1 - √m) / ((1 + √m) λ) and its mirror image.
    """
    ratio = (1 - momentum.sqrt()) / (1 + momentum.sqrt())
    return ratio / curvature, 1 / (ratio * curvature)


def best_momentum(condition_number):
    """The learning rate and momentum of the best rate (√κ - 1) / (√κ + 1) for eigenvalues from 1 to κ.

    In the lecture's form the best rate is 1 / √κ, one over the geometric mean of the two ends. Source: Polyak (1964).
    """
    root = condition_number.sqrt()
    return 1 / root, ((root - 1) / (root + 1)) ** 2


def least_error(curvature, condition_number, steps):
    """What the best fixed rule leaves of the error along each eigenvector after so many steps: Chebyshev's polynomial.

    Of all polynomials of degree `steps` that are 1 at 0 it is the smallest on the curvatures from 1 to `condition_number`,
    where it swings between plus and minus 2ρᵗ / (1 + ρ²ᵗ), with ρ the best rate of momentum. Source: Nemirovski and Yudin (1983).
    """
    stretched = (2 * curvature - condition_number - 1) / (condition_number - 1)  # [1, κ] becomes [-1, 1]
    at_zero = -(condition_number + 1) / (condition_number - 1)
    chebyshev = torch.special.chebyshev_polynomial_t
    return chebyshev(stretched, steps) / chebyshev(at_zero, steps)


def energy(loss, delta, lr, momentum):
    """Loss plus the kinetic energy of the velocity -ηΔ with the mass m / (η (1 - m)); `delta` has the shape (n,).

    It falls evenly where the loss itself swings, so it is what one measures a rate on.
    Source: Qian, "On the momentum term in gradient descent learning algorithms" (1999), for the mass.
    """
    return loss + lr * momentum / (1 - momentum) * (delta**2).sum() / 2


def measured_rate(early, late, steps):
    """The factor by which the error shrinks in one step, from two windows of energies, the second `steps` after the first.

    The root, since the energy is a square. The largest of a window stands for it: what swings, passes through zero.
    """
    return (late.amax() / early.amax()) ** (0.5 / steps)
