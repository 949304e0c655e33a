"""Exercise: the two parameter groups of a model, so that its weights decay and its biases and norms do not."""

from collections.abc import Callable

import torch
from torch import nn

from course_lib.exercises.cases import Case
from course_lib.exercises.exercise import Exercise, mistake

USUAL = 0.01  # what an optimizer such as torch.optim.AdamW takes where a group says nothing


def parameter_groups(model, decay):
    """Two parameter groups for torch.optim: what has at least two dimensions decays, biases and norms (one dimension) do not."""
    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


# Case 1, where most mistakes show, is a network of two linear layers: its parameters are weight, bias, weight, bias.


@mistake(
    "The decay of the four parameters (weight, bias, weight, bias) is {yours[decays]} instead of {right[decays]}: the biases decay, too. "
    "This is what PyTorch does without groups. Look for what tells a bias from a weight: its number of dimensions."
)
def everything_decays(model, decay):
    return [{"params": list(model.parameters()), "weight_decay": decay}]


@everything_decays.also
def both_groups_decay(model, decay):
    groups = parameter_groups(model, decay)
    return [{"params": g["params"], "weight_decay": decay} for g in groups]


@mistake(
    "The decay of the four parameters (weight, bias, weight, bias) is {yours[decays]} instead of {right[decays]}: it is the other way "
    "round. Look at which list gets `decay`, and at the comparison that fills the lists."
)
def exchanged(model, decay):
    weights, others = parameter_groups(model, decay)
    return [others | {"weight_decay": decay}, weights | {"weight_decay": 0.0}]


@mistake(
    "Weight, bias, weight, bias stand in your groups {yours[times]} times; each must stand there once. A parameter in no group is never "
    "updated: the optimizer does not know it, and nobody says a word. Biases need a group of their own, with decay 0."
)
def biases_missing(model, decay):
    return [parameter_groups(model, decay)[0]]


@mistake(
    "Weight, bias, weight, bias stand in your groups {yours[times]} times; each must stand there once. One of your lists takes all parameters "
    "in place of the rest. (PyTorch refuses a parameter that is in two groups.)"
)
def in_both(model, decay):
    weights, _ = parameter_groups(model, decay)
    return [weights, {"params": list(model.parameters()), "weight_decay": 0.0}]


@mistake(
    "The decay of weight, bias, weight, bias is {yours[decays]} instead of {right[decays]}: your second group does not say `weight_decay`, "
    'so the optimizer\'s own default counts, 0.01 in torch.optim.AdamW. Write `"weight_decay": 0.0` into it.'
)
def says_nothing_of_zero(model, decay):
    weights, others = parameter_groups(model, decay)
    return [weights, {"params": others["params"]}]


@mistake(
    "Two linear layers agree. Here there is a normalization between them, whose scale is called `weight`, like the others: you go by the "
    "name, so it decays. Its decay is part of {yours[decays]}. Look at what a name cannot tell and a shape can."
)
def by_the_name(model, decay):
    named = list(model.named_parameters())
    weights = [p for name, p in named if name.endswith("weight")]
    others = [p for name, p in named if not name.endswith("weight")]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@mistake(
    "Linear layers agree; here some parameters stand in no group, so they are never trained. You collect from layers of one type only. "
    "Begin with all parameters of the model, and let each one go to one of two lists."
)
def linear_layers_only(model, decay):
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    groups = [
        {"params": [m.weight for m in layers], "weight_decay": decay},
        {"params": [m.bias for m in layers], "weight_decay": 0.0},
    ]
    return [{"params": [p for p in g["params"] if p is not None], "weight_decay": g["weight_decay"]} for g in groups]


@mistake(
    "Here two layers share one weight, and your groups hold it twice. `model.parameters()` names a shared parameter once; a walk over the "
    "layers meets it again. (torch.optim refuses it.)"
)
def shared_weight_twice(model, decay):
    owned = [p for m in model.modules() for p in m._parameters.values() if p is not None]
    weights, others = [p for p in owned if p.dim() >= 2], [p for p in owned if p.dim() < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@mistake(
    "All agrees at decay 0.1. Here it is {given[decay]}, and your weights decay as if it were still 0.1. Look for a number where the "
    "argument should stand."
)
def fixed_decay(model, decay):
    return parameter_groups(model, 0.1)


@mistake(
    "Your groups hold {yours[strangers]} tensors that are not parameters of the model: those of `state_dict()` are copies without a gradient "
    "(and the running means of a norm are among them). Take them from `model.parameters()`."
)
def from_the_state_dict(model, decay):
    tensors = list(model.state_dict().values())
    return [
        {"params": [p for p in tensors if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in tensors if p.dim() < 2], "weight_decay": 0.0},
    ]


class Net(nn.Sequential):
    """A model that a message can name."""

    def __str__(self) -> str:
        return " → ".join(type(layer).__name__ for layer in self)


def by_parameter(groups: Callable) -> Callable:
    """What the groups say of each of the model's parameters, in order: its decay, and how often it is named; and how many others are."""

    def lifted(model, decay):
        result = groups(model, decay)
        if result is ... or result is None:
            return result
        named = [(p, group.get("weight_decay", USUAL)) for group in _checked(result) for p in group["params"]]
        own = list(model.parameters())
        found = [[strength for p, strength in named if p is q] for q in own]
        decays = torch.tensor([float(max(strengths, default=0.0)) for strengths in found], dtype=torch.float64)
        times = torch.tensor([float(len(strengths)) for strengths in found], dtype=torch.float64)
        return decays, times, len(named) - int(times.sum())

    return lifted


def _checked(groups) -> list[dict]:
    if not isinstance(groups, (list, tuple)):
        raise TypeError(f"it must return a list of groups, as in `[group, group]`, got a {type(groups).__name__}")
    for group in groups:
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError("each group must be a dictionary with `params` and `weight_decay`")
    return [group | {"params": _listed(group["params"])} for group in groups]


def _listed(params) -> list:
    """The parameters of a group as torch.optim takes them: one, any number of them, or pairs of a name and one."""
    params = [params] if isinstance(params, torch.Tensor) else list(params)
    return [p[1] if isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) else p for p in params]


def case(title: str, look: str, model: nn.Module, decay: float = 0.1, about: tuple[str, ...] = ()) -> Case:
    """One model, and the decay of its weights."""
    return Case(title, look, lambda call: call(model=model, decay=decay), by_parameter, about)


class Gate(nn.Module):
    """A layer with parameters of its own, whose names say nothing of their shapes."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2, 3))
        self.weight = nn.Parameter(torch.zeros(3))
        self.temperature = nn.Parameter(torch.zeros(()))


def _shared(first: nn.Module, second: nn.Module) -> nn.Module:
    second.weight = first.weight
    return Net(first, nn.ReLU(), second)


def _used_twice() -> nn.Module:
    layer = nn.Linear(3, 3)
    return Net(layer, nn.ReLU(), layer)


def _with_its_own() -> nn.Module:
    model = Net(nn.Linear(3, 4))
    model.register_parameter("embedding", nn.Parameter(torch.zeros(4, 3, 2)))
    model.register_parameter("scale", nn.Parameter(torch.zeros(4)))
    return model


sizes, two = (
    "Look at what tells a weight from a bias: the number of its dimensions, not their sizes.",
    ("constant", "comparison"),
)
walks = "Layers of other kinds agree. Does your way to the parameters lead to those, too? `model.parameters()` has them all."

check = Exercise(
    parameter_groups,
    returns=("decays", "times", "strangers"),
    cases=[
        case("two linear layers", "", Net(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))),
        case(
            "another decay",
            "Look for a number written where `decay` should stand, or a rounding of it.",
            Net(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
            0.0237,
            about=("decay",),
        ),
        case(
            "a batch norm",
            "Linear layers agree: look at what you do with the scale of a norm, which has one dimension.",
            Net(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        ),
        case(
            "a layer without a bias",
            "A bias may be None: `model.parameters()` leaves it out.",
            Net(nn.Linear(3, 4, bias=False), nn.LayerNorm(4), nn.Linear(4, 2)),
        ),
        case(
            "convolutions",
            "Matrices agree: the weight of a convolution has four dimensions.",
            Net(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)),
            about=two,
        ),
        case(
            "convolutions of one and three dimensions",
            "Weights of two and four dimensions agree: here are some of three and five, in layers of other types.",
            Net(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.ConvTranspose3d(2, 2, 2)),
            about=two,
        ),
        case(
            "layers inside layers",
            "A layer may hold layers.",
            Net(nn.Linear(3, 3), Net(nn.LayerNorm(3), Net(nn.Linear(3, 2)))),
        ),
        case(
            "an embedding and a group norm",
            walks,
            Net(nn.Embedding(5, 4), nn.GroupNorm(2, 4), nn.PReLU(), nn.Linear(4, 2)),
        ),
        case("a recurrent layer and an attention", walks, Net(nn.GRU(2, 4), nn.MultiheadAttention(4, 2))),
        case(
            "weights with a dimension of 1",
            sizes,
            Net(nn.Linear(1, 4), nn.Linear(4, 1), nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)),
        ),
        case(
            "a layer's own parameters",
            f"{sizes} A parameter may have no dimension at all, and any name.",
            Net(nn.Linear(3, 2), Gate()),
            about=two,
        ),
        case("the model's own parameters", walks, _with_its_own()),
        case("no bias at all", "There may be nothing that does not decay.", Net(nn.Linear(3, 4, bias=False))),
        case("norms alone", "There may be nothing that decays.", Net(nn.LayerNorm(3), nn.BatchNorm1d(3))),
        case(
            "a weight that two layers share",
            "A shared weight is one parameter, and must stand in the groups once.",
            _shared(nn.Linear(3, 3), nn.Linear(3, 3)),
        ),
        case(
            "an embedding that the output shares",
            "A shared weight is one parameter, and must stand in the groups once.",
            _shared(nn.Embedding(5, 3), nn.Linear(3, 5)),
        ),
        case("a layer that is used twice", "Its parameters must stand in the groups once.", _used_twice()),
        case(
            "no decay",
            "0 is allowed for `decay`, and a number like any other. Is it replaced (`or`, `if`)?",
            Net(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
            0.0,
        ),
    ],
    mistakes=[
        everything_decays,
        exchanged,
        biases_missing,
        in_both,
        says_nothing_of_zero,
        by_the_name,
        linear_layers_only,
        shared_weight_twice,
        fixed_decay,
        from_the_state_dict,
    ],
    source="torch.optim's rules",
)
