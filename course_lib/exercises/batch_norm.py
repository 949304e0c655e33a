"""Exercise: the backward pass of batch normalization, by hand."""

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.normalization import batch_norm_backward as reference

# Case 1, where most mistakes show, has x = (5.9, -2.1, -0.1, -0.1), so mean 0.9, deviation 3 and x̂ = (5, -3, -1, -1) / 3, with eps = 0 and
# γ = -1.5. g = (-1.1, 2.1, 4.2, 4.9) has the sum 10.1 and with x̂ the product -6.97: the gradient of x is (0.361, 1.08, -0.547, -0.897).


def parts(x, g, eps, variance=None):
    """x̂, the deviation, and the two sums."""
    centered = x - x.mean(0)
    std = (((centered**2).mean(0) if variance is None else variance) + eps).sqrt()
    x_hat = centered / std
    return x_hat, std, (g * x_hat).sum(0), g.sum(0)


@mistake(
    "The gradients of γ and β agree, that of x does not: it is γ g / √(v + ε), as if μ and v were constants. They depend on every x of the batch. "
    "Subtract from g what goes through μ, and what goes through v."
)
def constant_statistics(x, gamma, g, *, eps=1e-5):
    x_hat, std, g_gamma, g_beta = parts(x, g, eps)
    return gamma / std * g, g_gamma, g_beta


@mistake(
    "The gradient of x lacks what goes through the mean μ. You see it in its sum over the batch, which must be 0: to add a constant to all x "
    "changes nothing in the output. Subtract the mean of g."
)
def mean_forgotten(x, gamma, g, *, eps=1e-5):
    x_hat, std, g_gamma, g_beta = parts(x, g, eps)
    return gamma / std * (g - x_hat * g_gamma / len(x)), g_gamma, g_beta


@mistake(
    "The gradient of x sums to 0 over the batch, as it should, but lacks what goes through the variance v: multiplied with x̂ it must sum to 0, too, "
    "as stretching the batch changes nothing in the output. Subtract x̂ times the mean of g x̂."
)
def variance_forgotten(x, gamma, g, *, eps=1e-5):
    x_hat, std, g_gamma, g_beta = parts(x, g, eps)
    return gamma / std * (g - g_beta / len(x)), g_gamma, g_beta


@mistake(
    "Your variance is divided by n − 1. The batch is normalized with the one divided by n, so `x.var(0, correction=0)`; "
    "n − 1 belongs in the running average alone."
)
def unbiased(x, gamma, g, *, eps=1e-5):
    x_hat, std, g_gamma, g_beta = parts(x, g, eps, x.var(0))
    return gamma / std * (g - g_beta / len(x) - x_hat * g_gamma / len(x)), g_gamma, g_beta


@mistake(
    "With eps = 0 all agrees; here it is {given[eps]}, and you add it to the root. It stands inside: √(v + ε). "
    "(In Adam it stands outside. Here a tiny v must not make a huge factor.)"
)
def eps_outside(x, gamma, g, *, eps=1e-5):
    centered = x - x.mean(0)
    std = (centered**2).mean(0).sqrt() + eps
    x_hat = centered / std
    g_gamma, g_beta = (g * x_hat).sum(0), g.sum(0)
    return gamma / std * (g - g_beta / len(x) - x_hat * g_gamma / len(x)), g_gamma, g_beta


@mistake(
    "With eps = 0 all agrees; here it is {given[eps]}, and plays no part in your deviation. It stands inside the root."
)
def no_eps(x, gamma, g, *, eps=1e-5):
    return reference(x, gamma, g, eps=0.0)


@mistake(
    "Your deviation has another eps than the argument, which is {given[eps]} here. Look for 1e-5 written as a number, where `eps` should stand."
)
def fixed_eps(x, gamma, g, *, eps=1e-5):
    return reference(x, gamma, g)


@mistake(
    "The gradients of γ and β agree, and that of x is {times} times the right one: γ is missing, which is {given[gamma]}. "
    "The output is γ x̂ + β, so everything that goes down to x̂ passes γ."
)
def gamma_forgotten(x, gamma, g, *, eps=1e-5):
    g_x, g_gamma, g_beta = reference(x, gamma, g, eps=eps)
    return g_x / gamma, g_gamma, g_beta


@mistake(
    "The gradient of x agrees. Those of γ and β are means over the batch; they are sums, as every example uses the same γ and β. "
    "(The 1/n of a mean loss is in g already.)"
)
def means_for_sums(x, gamma, g, *, eps=1e-5):
    g_x, g_gamma, g_beta = reference(x, gamma, g, eps=eps)
    return g_x, g_gamma / len(x), g_beta / len(x)


@mistake(
    "All three are right but for their order: γ's gradient, the sum of g x̂, comes back as β's, which is the sum of g. Return x's, γ's, β's."
)
def exchanged_returns(x, gamma, g, *, eps=1e-5):
    g_x, g_gamma, g_beta = reference(x, gamma, g, eps=eps)
    return g_x, g_beta, g_gamma


@mistake(
    "The gradient of γ is {yours[g_gamma]} instead of {right[g_gamma]}: it is the sum of g x. γ multiplies x̂, so it is the sum of g x̂."
)
def x_for_x_hat(x, gamma, g, *, eps=1e-5):
    g_x, _, g_beta = reference(x, gamma, g, eps=eps)
    return g_x, (g * x).sum(0), g_beta


@mistake(
    "The gradients of γ and β agree. In that of x you subtract the sums themselves; what goes through μ and v is a mean, as each x makes only 1/n "
    "of them. Divide both by n."
)
def sums_for_means(x, gamma, g, *, eps=1e-5):
    x_hat, std, g_gamma, g_beta = parts(x, g, eps)
    return gamma / std * (g - g_beta - x_hat * g_gamma), g_gamma, g_beta


@mistake(
    "The gradients of γ and β agree, and that of x is {times} times the right one: it is divided by v + ε. x̂ has one root below it, "
    "so its derivative in x has one, too."
)
def variance_for_deviation(x, gamma, g, *, eps=1e-5):
    _, std, g_gamma, g_beta = parts(x, g, eps)
    return reference(x, gamma, g, eps=eps)[0] / std, g_gamma, g_beta


@mistake(
    "You take mean and variance over the features of an example. That is layer normalization. "
    "Here each feature has its own, over the batch: axis 0."
)
def over_features(x, gamma, g, *, eps=1e-5):
    centered = x - x.mean(1, keepdim=True)
    std = ((centered**2).mean(1, keepdim=True) + eps).sqrt()
    x_hat, h = centered / std, gamma * g
    through = h - h.mean(1, keepdim=True) - x_hat * (h * x_hat).mean(1, keepdim=True)
    return through / std, (g * x_hat).sum(0), g.sum(0)


ONE = {
    "x": tensor([[5.9], [-2.1], [-0.1], [-0.1]]),
    "gamma": tensor([-1.5]),
    "g": tensor([[-1.1], [2.1], [4.2], [4.9]]),
}
X = tensor([[0.3, -2.1, 5.2], [1.1, 0.4, 9.1], [-0.7, 1.2, 6.4], [2.1, -0.6, 4.2], [0.1, 0.2, 7.7]])
G = tensor([[1.1, -0.6, 0.2], [0.3, 2.1, -1.2], [-0.8, 0.1, 0.4], [0.7, -1.2, 0.9], [1.4, 0.6, -0.3]])
THREE = {"x": X, "gamma": tensor([1.1, -0.6, 2.1]), "g": G}


def first(n: int) -> dict:
    """The first n examples of the three features."""
    return {name: value if name == "gamma" else value[:n] for name, value in THREE.items()}


check = Exercise(
    reference,
    returns=("g_x", "g_gamma", "g_beta"),
    cases=[
        once("one feature of 4 examples, eps = 0", "", **ONE, eps=0.0),
        once("with an eps", "With eps = 0 all agrees: look at where eps stands.", **ONE, eps=0.6, about=("eps", "std")),
        once("3 features of 5 examples", "One feature agrees: look at the axis of your means and sums.", **THREE, eps=0.1, about=("reduction",)),
        once("as many examples as features", "Where the two numbers differ all agrees: look at the axis of your means and sums.", **first(3), eps=0.1, about=("reduction",)),
        once("a batch of 2", "Larger batches agree: look for a number where n should stand.", **first(2), eps=0.1, about=("constant", "n")),
        once("a feature that never changes", "Its variance is 0, and only eps keeps you from dividing by 0.", x=X * tensor([1.0, 0.0, 1.0]), gamma=THREE["gamma"], g=G, eps=0.1, about=("eps", "std")),
        once("a gradient of 0", "Nothing comes down, so nothing goes further: look for something divided by g or by a sum of it.", x=X, gamma=THREE["gamma"], g=0 * G, eps=0.1, about=("zero",)),
        once("gamma is 0", "Then no gradient reaches x, but gamma itself has one.", x=X, gamma=0 * THREE["gamma"], g=G, eps=0.1, about=("gamma",)),
        once("eps as usual", "Each eps that was given agrees: it is 1e-5 where none is.", **THREE, about=("signature",)),
        once("a shifted batch", "Look at how you compute the variance: as a mean of squared differences.", x=X + 100, gamma=THREE["gamma"], g=G, about=("centered",)),
        once("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", **{k: v.float() for k, v in THREE.items()}, about=("float32",)),
    ],
    mistakes=[
        constant_statistics, mean_forgotten, variance_forgotten, unbiased, eps_outside, no_eps, fixed_eps, gamma_forgotten,
        means_for_sums, exchanged_returns, x_for_x_hat, sums_for_means, variance_for_deviation, over_features,
    ],
    source="autograd",
)  # fmt: skip
