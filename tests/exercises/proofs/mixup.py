"""Mixup: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch


def by_lerp(images, labels, order, weight):
    w = weight[:, None, None, None]
    return torch.lerp(images[order], images, w), torch.lerp(labels[order], labels, weight.unsqueeze(1))


def with_a_helper(images, labels, order, weight):
    def mix(x):
        w = weight.reshape(len(x), *[1] * (x.dim() - 1))
        return x[order] + w * (x - x[order])

    return mix(images), mix(labels)


def one_by_one(x, y, perm, lam):
    pictures, probabilities = [], []
    for k in range(len(x)):
        other, share = perm[k].item(), lam[k].item()
        pictures.append(share * x[k] + (1 - share) * x[other])
        probabilities.append(share * y[k] + (1 - share) * y[other])
    return torch.stack(pictures), torch.stack(probabilities)


def by_einsum(images, labels, order, weight):
    both = []
    for x in (images, labels):
        both.append(torch.einsum("n,n...->n...", weight, x) + torch.einsum("n,n...->n...", 1 - weight, x[order]))
    return both


def by_a_matrix(images, labels, order, weight):
    N = len(order)
    mix = torch.diag(weight)
    mix[torch.arange(N), order] += 1 - weight
    return (mix @ images.reshape(N, -1)).reshape(images.shape), mix @ labels


def in_place_on_copies(images, labels, order, weight):
    new, probabilities = images.clone(), labels.clone()
    new.mul_(weight.view(-1, 1, 1, 1)).add_(images[order] * (1 - weight).view(-1, 1, 1, 1))
    probabilities *= weight[:, None]
    probabilities += (1 - weight)[:, None] * labels[order]
    return new, probabilities


def through_numpy(images, labels, order, weight):
    x, y, k, w = (value.numpy() for value in (images, labels, order, weight))
    mixed = [w.reshape(-1, *[1] * (a.ndim - 1)) * a + (1 - w).reshape(-1, *[1] * (a.ndim - 1)) * a[k] for a in (x, y)]
    return tuple(torch.from_numpy(numpy.ascontiguousarray(a)) for a in mixed)


def in_float64_inside(images, labels, order, weight):
    x, y, w = images.double(), labels.double(), weight.double()
    mixed = w[:, None, None, None] * x + (1 - w)[:, None, None, None] * x[order]
    return mixed.to(images.dtype), (w[:, None] * y + (1 - w)[:, None] * y[order]).to(labels.dtype)


@torch.inference_mode()
def without_autograd(images, labels, order, weight):
    shares = torch.stack([weight, 1 - weight])
    pairs = torch.stack([images, images.index_select(0, order)]), torch.stack([labels, labels.index_select(0, order)])
    return tuple((shares.reshape(2, -1, *[1] * (pair.dim() - 2)) * pair).sum(0) for pair in pairs)


def by_vmap(images, labels, order, weight):
    blend = torch.vmap(lambda one, other, w: w * one + (1 - w) * other)
    return blend(images, images[order], weight), blend(labels, labels[order], weight)


def transposed(images, labels, order, weight):
    mixed = weight * images.permute(1, 2, 3, 0) + (1 - weight) * images[order].permute(1, 2, 3, 0)
    return mixed.permute(3, 0, 1, 2), (weight * labels.T + (1 - weight) * labels[order].T).T


class Mix:
    """Bound to its order and weights, then called twice."""

    def __init__(self, order, weight):
        self.order, self.weight = order.tolist(), weight

    def __call__(self, x):
        w = self.weight.view(x.size(0), *(1 for _ in x.shape[1:])).expand_as(x)
        return torch.where(w == 1, x, w * x + (1 - w) * x[self.order])


def an_object(images, labels, order, weight):
    return tuple(map(Mix(order, weight), (images, labels)))


def _with(x, order, weight):
    return x.flatten(1).mul(weight[:, None]).add(x[order].flatten(1).mul(1 - weight[:, None])).view_as(x)


def with_a_partial(images, labels, order, weight):
    mix = functools.partial(_with, order=order, weight=weight)
    return mix(images), mix(labels)


STYLES = [
    by_lerp,
    with_a_helper,
    one_by_one,
    by_einsum,
    by_a_matrix,
    in_place_on_copies,
    through_numpy,
    in_float64_inside,
    without_autograd,
    by_vmap,
    transposed,
    an_object,
    with_a_partial,
]

NOT_NEGATIVE = "a weight is never negative"
EQUIVALENT = {
    "1: weight -> abs(weight)": NOT_NEGATIVE,
    "3: weight -> abs(weight)": NOT_NEGATIVE,
    "2: order -> abs(order)": "no place in a batch is negative",
    "4: order -> abs(order)": "no place in a batch is negative",
    "4: labels -> abs(labels)": "no probability is negative",
}


def clamped(images, labels, order, weight):
    mixed, probabilities = with_a_helper(images, labels, order, weight)
    return mixed.clamp(0, 1), probabilities


def a_pair_alone(images, labels, order, weight):
    a, b = images
    w = weight[0]
    mixed = torch.stack([w * a + (1 - w) * b, w * b + (1 - w) * a])
    return mixed, w * labels + (1 - w) * labels.flip(0)


def by_class(images, labels, order, weight):
    """As if labels were classes."""
    hard = torch.nn.functional.one_hot(labels.argmax(1), labels.shape[1]).to(labels)
    return with_a_helper(images, labels, order, weight)[0], with_a_helper(images, hard, order, weight)[1]


def not_where_0(images, labels, order, weight):
    """Leaves an image as it is where its weight is 0, as `weight or 1` does."""
    return with_a_helper(images, labels, order, torch.where(weight == 0, 1.0, weight))


def writes_through_data(images, labels, order, weight):
    mixed = with_a_helper(images, labels, order, weight)
    images.data.copy_(mixed[0])
    return images, mixed[1]


def into_the_labels(images, labels, order, weight):
    mixed = with_a_helper(images, labels, order, weight)
    labels[:] = mixed[1]
    return mixed


def weights_of_its_own(images, labels, order, weight):
    return with_a_helper(images, labels, order, torch.rand(len(order), dtype=weight.dtype))


SEEN = {}


def keeps_the_first_order(images, labels, order, weight):
    return with_a_helper(images, labels, SEEN.setdefault(len(order), order), weight)


def larger_one_first(images, labels, order, weight):
    """As some implementations do: the larger share always stays."""
    return with_a_helper(images, labels, order, torch.maximum(weight, 1 - weight))


WRONG = [
    clamped,
    a_pair_alone,
    by_class,
    not_where_0,
    writes_through_data,
    into_the_labels,
    weights_of_its_own,
    keeps_the_first_order,
    larger_one_first,
]
