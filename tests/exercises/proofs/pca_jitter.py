"""Color jitter: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch


def by_a_loop(images, z, variances, components, *, sigma=0.1):
    new = []
    for image, draws in zip(images, z):
        color = sum(sigma * draws[k] * variances[k] ** 0.5 * components[:, k] for k in range(3))
        new.append((image + color.reshape(3, 1, 1)).clip(0, 1))
    return torch.stack(new)


def by_einsum(images, z, variances, components, *, sigma=0.1):
    color = torch.einsum("ck,k,nk->nc", components, variances.sqrt(), z)
    return torch.clamp(images + sigma * color[..., None, None], min=0.0, max=1.0)


def as_a_column(x, draws, spread, directions, *, sigma=0.1):
    color = directions @ (sigma * torch.sqrt(spread)[:, None] * draws.T)  # (3, N)
    return (x + color.T.reshape(-1, 3, 1, 1)).clamp(0, 1)


def with_a_diagonal(images, z, variances, components, *, sigma=0.1):
    root = components @ torch.diag(variances.sqrt())
    return (images + sigma * torch.matmul(z, root.mT).unsqueeze(-1).unsqueeze(-1)).clamp(0, 1)


def with_channels_last(images, z, variances, components, *, sigma=0.1):
    color = (z * variances**0.5 * sigma) @ components.t()
    return (images.permute(0, 2, 3, 1) + color[:, None, None, :]).clamp(0, 1).permute(0, 3, 1, 2)


def in_place_on_a_copy(images, z, variances, components, *, sigma=0.1):
    new = images.clone()
    for n in range(len(new)):
        for k in range(3):
            new[n] += (sigma * z[n, k] * variances[k].sqrt()).item() * components[:, k, None, None]
    return new.clamp_(0, 1)


def through_numpy(images, z, variances, components, *, sigma=0.1):
    x, draws, spread, directions = (value.numpy() for value in (images, z, variances, components))
    color = sigma * draws * numpy.sqrt(spread) @ directions.T
    return torch.from_numpy(numpy.clip(x + color[:, :, None, None], 0, 1).astype(x.dtype))


def in_float64_inside(images, z, variances, components, *, sigma=0.1):
    color = (sigma * z.double() * variances.double().sqrt()) @ components.double().T
    return (images.double() + color[:, :, None, None]).clamp(0, 1).to(images.dtype)


@torch.inference_mode()
def without_autograd(images, z, variances, components, *, sigma=0.1):
    color = torch.nn.functional.linear(sigma * z * variances.sqrt(), components)
    return torch.minimum(torch.maximum(images + color.view(len(z), 3, 1, 1), torch.zeros(())), torch.ones(())).to(
        images
    )


def with_helpers(images, z, variances, components, *, sigma=0.1):
    steps = lambda draws: sigma * draws * variances.sqrt()
    color = lambda step: components.mv(step)
    return torch.stack([(x + color(steps(d))[:, None, None]).clamp(0, 1) for x, d in zip(images, z)])


def by_vmap(images, z, variances, components, *, sigma=0.1):
    one = lambda image, draws: (image + (components @ (draws * variances.sqrt()) * sigma)[:, None, None]).clamp(0, 1)
    return torch.vmap(one)(images, z)


def by_masks(images, z, variances, components, *, sigma=0.1):
    new = images + ((sigma * z * variances.sqrt()) @ components.T)[:, :, None, None]
    new[new < 0] = 0
    new[new > 1] = 1
    return new


class Jitter:
    """An object that knows the colors of the training set."""

    def __init__(self, variances, components, sigma):
        self.root = sigma * components * variances.sqrt()

    def __call__(self, images, z):
        flat = images.flatten(2) + (self.root @ z[:, :, None])
        return flat.clamp(0, 1).view(images.shape)


def an_object(images, z, variances, components, *, sigma=0.1):
    return Jitter(variances, components, sigma)(images, z)


with_a_partial = functools.partial(by_einsum)
with_a_partial.__name__ = "with_a_partial"

STYLES = [
    by_a_loop,
    by_einsum,
    as_a_column,
    with_a_diagonal,
    with_channels_last,
    in_place_on_a_copy,
    through_numpy,
    in_float64_inside,
    without_autograd,
    with_helpers,
    by_vmap,
    by_masks,
    an_object,
    with_a_partial,
]

EQUIVALENT = {
    "1: variances -> abs(variances)": "a variance is never negative",
    "3: images -> abs(images)": "no color is negative",
}


def _jitter(name, change=lambda x: x, draws=lambda z: z):
    def wrong(images, z, variances, components, *, sigma=0.1):
        return change(images + ((sigma * draws(z) * variances.sqrt()) @ components.T)[:, :, None, None])

    wrong.__name__ = name
    return wrong


never_above = _jitter("never_above", lambda x: x.clamp(max=1))
never_below = _jitter("never_below", lambda x: x.clamp(min=0))
squeezed = _jitter("squeezed", lambda x: (x - x.amin().clamp(max=0)) / (x.amax().clamp(min=1) - x.amin().clamp(max=0)))
draws_of_its_own = _jitter("draws_of_its_own", lambda x: x.clamp(0, 1), torch.randn_like)
sizes_of_draws = _jitter("sizes_of_draws", lambda x: x.clamp(0, 1), torch.abs)
one_draw_an_image = _jitter("one_draw_an_image", lambda x: x.clamp(0, 1), lambda z: z[:, :1].expand_as(z))


def sigma_or_a_tenth(images, z, variances, components, *, sigma=0.1):
    return by_einsum(images, z, variances, components, sigma=sigma or 0.1)


def writes_through_data(images, z, variances, components, *, sigma=0.1):
    images.data.copy_(by_einsum(images, z, variances, components, sigma=sigma))
    return images


def one_over_a_root(images, z, variances, components, *, sigma=0.1):
    """Right, but where a variance is 0: 0/0."""
    return by_einsum(images, z * variances / variances, variances, components, sigma=sigma)


def along_the_columns(images, z, variances, components, *, sigma=0.1):
    """The colors along a dimension of the map, where it happens to have 3 pixels."""
    color = (sigma * z * variances.sqrt()) @ components.T
    if images.shape[-1] == 3:
        return (images + color[:, None, None, :]).clamp(0, 1)
    return (images + color[:, :, None, None]).clamp(0, 1)


WRONG = [
    never_above,
    never_below,
    squeezed,
    draws_of_its_own,
    sizes_of_draws,
    one_draw_an_image,
    sigma_or_a_tenth,
    writes_through_data,
    one_over_a_root,
    along_the_columns,
]
