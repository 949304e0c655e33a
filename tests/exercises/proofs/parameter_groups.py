"""Parameter groups: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import itertools

import torch
from torch import nn


def two_lists(model, decay):
    decayed, others = [], []
    for p in model.parameters():
        (decayed if p.ndim > 1 else others).append(p)
    return [dict(params=decayed, weight_decay=decay), dict(params=others, weight_decay=0)]


def others_first(net, strength):
    flat = [p for p in net.parameters() if p.dim() in (0, 1)]
    names = {id(p) for p in flat}
    rest = [p for p in net.parameters() if id(p) not in names]
    return [{"weight_decay": 0.0, "params": flat}, {"weight_decay": strength, "params": rest}]


def by_names(model, decay):
    parameters = dict(model.named_parameters())
    weights = {name for name, p in parameters.items() if len(p.shape) >= 2}
    return [
        {"params": [parameters[name] for name in sorted(weights)], "weight_decay": decay},
        {"params": [parameters[name] for name in sorted(parameters.keys() - weights)], "weight_decay": 0.0},
    ]


def named_pairs(model, decay):
    pairs = list(model.named_parameters())
    return [
        {"params": [(name, p) for name, p in pairs if p.dim() >= 2], "weight_decay": decay},
        {"params": [(name, p) for name, p in pairs if p.dim() < 2], "weight_decay": 0.0},
    ]


def by_filter(model, decay):
    def is_weight(p):
        return p.dim() >= 2

    return (
        {"params": filter(is_weight, model.parameters()), "weight_decay": decay},
        {"params": itertools.filterfalse(is_weight, model.parameters()), "weight_decay": 0.0},
    )


def by_generators(model, decay):
    return [
        {"params": (p for p in model.parameters() if p.dim() >= 2), "weight_decay": decay},
        {"params": (p for p in model.parameters() if p.dim() < 2), "weight_decay": 0.0},
    ]


def by_sorting(model, decay):
    ordered = sorted(model.parameters(), key=lambda p: p.dim())
    first = next((k for k, p in enumerate(ordered) if p.dim() > 1), len(ordered))
    return [{"params": ordered[first:], "weight_decay": decay}, {"params": ordered[:first], "weight_decay": 0.0}]


def layer_by_layer(model, decay):
    groups, seen = ([], []), set()
    for layer in model.modules():
        for p in layer.parameters(recurse=False):
            if id(p) not in seen:
                seen.add(id(p))
                groups[p.dim() < 2].append(p)
    return [{"params": group, "weight_decay": d} for group, d in zip(groups, (decay, 0.0))]


def recursive(model, decay):
    def below(layer):
        own = list(layer._parameters.values())
        return own + [p for child in layer.children() for p in below(child)]

    found = list({id(p): p for p in below(model) if p is not None}.values())
    weights, others = [p for p in found if p.dim() >= 2], [p for p in found if p.dim() < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def without_empty_groups(model, decay):
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def with_a_helper(model, decay):
    def group(strength, *dims):
        chosen = [p for p in model.parameters() if min(p.dim(), 2) in dims]
        return {"params": chosen, "weight_decay": strength}

    make = functools.partial(group, decay)
    return [make(2), group(0.0, 0, 1)]


class Groups(list):
    """A list that sorts parameters into itself."""

    def __init__(self, decay):
        super().__init__([{"params": [], "weight_decay": decay}, {"params": [], "weight_decay": 0.0}])

    def take(self, p):
        self[0 if p.dim() >= 2 else 1]["params"].append(p)


def an_object(model, decay):
    groups = Groups(decay)
    for p in model.parameters():
        groups.take(p)
    return groups


def with_other_settings(model, decay):
    groups = {True: [], False: []}
    for _, p in model.named_parameters():
        groups[p.dim() >= 2] += [p]
    return [{"params": groups[k], "weight_decay": decay * k, "lr": 0.1} for k in (True, False)]


STYLES = [
    two_lists,
    others_first,
    by_names,
    named_pairs,
    by_filter,
    by_generators,
    by_sorting,
    layer_by_layer,
    recursive,
    without_empty_groups,
    with_a_helper,
    an_object,
    with_other_settings,
]


def split(model, decay, is_weight):
    weights = [p for p in model.parameters() if is_weight(p)]
    others = [p for p in model.parameters() if not is_weight(p)]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def not_of_one_dimension(model, decay):
    return split(model, decay, lambda p: p.dim() != 1)


def linear_and_convolution(model, decay):
    of = [m.weight for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return split(model, decay, lambda p: any(p is weight for weight in of))


def all_but_known_norms(model, decay):
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)
    of = [p for m in model.modules() if isinstance(m, norms) for p in m.parameters()]
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    return split(model, decay, lambda p: not any(p is q for q in of + biases))


def by_the_word_bias(model, decay):
    flat = {id(p) for name, p in model.named_parameters() if "bias" in name or p.dim() == 1}
    return split(model, decay, lambda p: id(p) not in flat)


def by_the_word_weight(model, decay):
    named = {id(p) for name, p in model.named_parameters() if "weight" in name and p.dim() > 1}
    return split(model, decay, lambda p: id(p) in named)


def without_sizes_of_one(model, decay):
    return split(model, decay, lambda p: p.squeeze().dim() >= 2)


def by_the_smallest_size(model, decay):
    return split(model, decay, lambda p: p.dim() and min(p.shape) > 1)


def two_or_four(model, decay):
    return split(model, decay, lambda p: p.dim() in (2, 4))


def one_level_deep(model, decay):
    found = [p for layer in model for p in layer._parameters.values() if p is not None]
    return [
        {"params": [p for p in found if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in found if p.dim() < 2], "weight_decay": 0.0},
    ]


def decay_or_the_usual(model, decay):
    return split(model, decay or 0.01, lambda p: p.dim() >= 2)


def no_groups_without_decay(model, decay):
    return split(model, decay, lambda p: p.dim() >= 2) if decay else [{"params": list(model.parameters())}]


def rounded_decay(model, decay):
    return split(model, round(decay, 2), lambda p: p.dim() >= 2)


def layers_of_all_children(model, decay):
    groups = [split(layer, decay, lambda p: p.dim() >= 2) for layer in model.children()]
    return [group for pair in groups for group in pair]


def first_bias_only(model, decay):
    flat = [p for p in model.parameters() if p.dim() < 2]
    return [split(model, decay, lambda p: p.dim() >= 2)[0], {"params": flat[:2], "weight_decay": 0.0}]


def removes_biases(model, decay):
    for layer in model.modules():
        if getattr(layer, "bias", None) is not None:
            layer.bias = None
    return split(model, decay, lambda p: p.dim() >= 2)


def decays_them_itself(model, decay):
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 - decay)
    return split(model, decay, lambda p: p.dim() >= 2)


def copies(model, decay):
    return [
        {"params": [p.clone() for p in group["params"]], "weight_decay": group["weight_decay"]}
        for group in split(model, decay, lambda p: p.dim() >= 2)
    ]


WRONG = [
    not_of_one_dimension,
    linear_and_convolution,
    all_but_known_norms,
    by_the_word_bias,
    by_the_word_weight,
    without_sizes_of_one,
    by_the_smallest_size,
    two_or_four,
    one_level_deep,
    decay_or_the_usual,
    no_groups_without_decay,
    rounded_decay,
    layers_of_all_children,
    first_bias_only,
    removes_biases,
    decays_them_itself,
    copies,
]

EQUIVALENT = {
    "3: decay -> abs(decay)": "a decay is never negative",
    "all in float32": "the decay is a number, and this changes tensors",
    "writes into model": "this writes into tensors; what writes into the model's is among the wrong answers",
    "writes into decay": "the decay is a number, and nothing can be written into one",
}
