"""What the chapter on augmentation says, bound to its records, to its figure and to algebra."""

import pytest
import torch
from claims import About, Below, Page

from course_lib.experiments import recorded
from course_lib.experiments.augment import RandomResizedCrop
from course_lib.experiments.data import digits, photographs
from course_lib.experiments.studies import augmentation as study
from course_lib.formulas import augmentation as aug

page = Page("training/augmentation")


def on_digits(outcome: str, change: str) -> torch.Tensor:
    """Accuracies with a change, (seeds, sizes)."""
    record = recorded("augmentation_on_digits")
    return record[outcome][:, record.settings["changes"].index(change)]


def points(x: torch.Tensor) -> torch.Tensor:
    return 100 * x


# The figure


@page.claim("{} and {}. Half of the width times half of the height is left, and a quarter of the columns is new.", "Scale it to {}.")
def test_what_comes_from_outside(page):
    fig = page.figure()
    fig.degrees, fig.factor = 0, 0.5
    half = fig.outside
    fig.factor, fig.right = 1.0, 112 / 4
    return half, fig.outside, 0.5


@page.claim("Turn the lens's *k* from ${}$ to {}.")
def test_a_barrel_looks_beyond_the_corners_and_a_pincushion_does_not(page):
    fig = page.figure()
    fig.degrees, fig.factor, outside = 0, 1.0, []
    for k in (-0.3, -0.1, 0.1, 0.6):
        fig.k = k
        outside.append(fig.outside)
    assert outside[:2] == [0, 0] and 0 < outside[2] < outside[3]
    limits = next(c["range"] for c in fig.spec["controls"] if c["name"] == "k")
    return limits["low"], limits["high"]


@page.claim()
def test_what_the_color_components_are(page):
    fig = page.figure()
    first, second, _ = torch.tensor(fig.spec["components"]).view(3, 3).T
    assert (first > 0.4).all()  # all channels together
    assert second[0] > 0.5 and second[2] < -0.5 and abs(second[1]) < 0.3  # red against blue
    assert fig.color2 > 0


@page.claim()
def test_the_figure_begins_where_the_page_says(page):
    fig = page.figure()
    assert (fig.degrees, fig.factor, fig.color2) == (12, 1.1, 0.8)


# What it assumes


def test_noise_is_weight_decay_for_a_linear_model():
    """The mean over all noise, by the moments of z: E z = 0, E zzᵀ = σ² I. So the loss gains σ²‖w‖², and weight decay adds λ/2 ‖w‖²."""
    w, x, y, sigma = torch.randn(5).double(), torch.randn(5).double(), 0.7, 0.3
    nodes = sigma * 5**0.5 * torch.cat([torch.eye(5), -torch.eye(5)]).double()  # ten points with these two moments
    mean = ((x + nodes) @ w - y).square().mean()
    torch.testing.assert_close(mean, (x @ w - y) ** 2 + (2 * sigma**2) / 2 * (w @ w))


# One warp


@page.claim(
    "Turned twelve times by {}° the photograph is back where it was, but not as it was:",
    "blurred inside of a black corona after twelve turns by {} degrees",
)
def test_twelve_turns_leave_a_tenth():
    """Where no black has come in: of the mean squared difference between neighbors."""
    photo = turned = photographs(168, 224)[:1]
    for _ in range(12):
        turned = aug.rotate(turned, torch.tensor([30.0]))
    rough = lambda x: x[..., 44:124, 72:152].diff(dim=-1).square().mean().item()
    assert rough(turned) / rough(photo) == pytest.approx(0.1, abs=0.02)
    torch.testing.assert_close(aug.rotate(photo, torch.tensor([360.0])), photo, rtol=0, atol=1e-4)
    return 30, 30


def test_a_grid_of_the_other_convention_is_off_by_an_eighth_on_digits():
    """A place x is 2x/W in the grid; sampled with aligned corners it is read at x (W - 1)/W."""
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    grid = torch.stack(torch.broadcast_tensors(2 * x / 8, torch.zeros(1, 1).double()), -1)[None]
    ramp = (torch.arange(8) - 3.5).double().expand(1, 1, 8, 8)
    read = torch.nn.functional.grid_sample(ramp, grid, align_corners=True).flatten()
    torch.testing.assert_close(read, x * 7 / 8)


def test_a_rotation_in_the_units_of_affine_grid_shears_a_wide_image():
    """In pixels, the columns of the map are no longer at right angles."""
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    units = torch.diag(torch.tensor([4.0, 3.0]))
    wide = units @ turn @ units.inverse()
    assert abs(wide[:, 0] @ wide[:, 1]) > 0.1


# Crops


@page.claim(
    "it falls from {} for an object a fifth as long as the short side to {} for one of three fifths; with crops of {} to 100% of "
    "the area from {} to {}.",
    "Crops by area, from {} of it up,",
    "but many are large: they miss {}.",
)
def test_objects_that_crops_lose():
    record = recorded("augmentation_lost_objects")
    assert record.settings["sides"][:1] + record.settings["sides"][-1:] == [0.2, 0.6]
    lecture, area = record["lecture"], record["area"]
    assert (lecture > area).all()
    return lecture[:, 0], lecture[:, 2], 0.08, area[:, 0], area[:, 2], 0.08, area[:, 0]


@page.claim(
    "Slide 34 takes ten (four corners, center, mirrored) at each of five scales, {} forward passes",
    "and only if the {} to {} passes are worth a point.",
)
def test_fifty_passes():
    calls = []
    network = lambda x: (calls.append(len(x)), x.flatten(1)[:, :3])[1]
    aug.averaged(network, torch.rand(2, 3, 24, 30), size=24, scales=(24, 26, 28, 30, 32))
    return len(calls), len(calls) / 5, len(calls)


@page.claim(
    r"a random length $L \in [{}, {}]$, and cuts out a random patch of ${} \times {}$.",
    r"The random $L \in [{}, {}]$ and the five scales are those of He et al.",
)
def test_the_crops_of_slide_34():
    """A ramp over the image is as steep in the patch as the image is large."""
    ramp = torch.linspace(0, 1, 30).expand(400, 1, 30, 30)
    patches = RandomResizedCrop(224, short=(256, 480))(ramp, torch.Generator().manual_seed(0))
    step = patches[:, 0, 0, 8:-8].diff(dim=1).amax(1)  # of the ramp, which has a step of 1/29 for each of its 30 pixels
    short = 30 / 29 / step
    low, high = short.min().item(), short.max().item()
    assert 256 * 0.99 < low < 264 and 470 < high < 480 * 1.01
    return 256, 480, *patches.shape[-2:], 256, 480


@page.claim(r"With crops of {} at $L = {}$ there is little left to choose")
def test_of_ten_patches_two_are_different():
    ten = aug.ten_crops(torch.rand(1, 3, 24, 24), 24)
    assert len({tuple(crop.flatten().tolist()) for crop in ten}) == 2
    return 224, 224


@page.claim(
    "What is it worth? Digits, {} of each class, trained on random crops of $6 \\times 6$ out of images resized to {} to {} pixels:",
    "Their *mirror images* take {} to {} points away:",
    "but the center alone has lost {} to {} points,",
    "one crop in the center {}, the mean of five crops {}, of ten with their mirror images {}, of ten at four scales {}. Trained "
    "with flips all are lower, between {} and {}.",
)
def test_averaging_over_crops():
    record = recorded("augmentation_crops")
    center, five, ten, every = (record[name] for name in ("center", "five", "ten", "all"))
    assert ((five - center)[:, 0] > 0).sum() == 4
    assert (every - ten > 0).all()
    taken, lost = points(five - ten)[:, 0], points(center[:, 0] - center[:, 1])
    medians = [x.median(0).values for x in (center, five, ten, every)]
    flipped = [x[1] for x in medians]
    assert all(x[1] < x[0] for x in medians) and record.settings["flips"] == [0, 0.5]
    scales = record.settings["scales"]
    plain = [x[0].item() for x in medians]
    return (
        record.settings["per_class"], scales[0], scales[-1], taken.min(), taken.max(), lost.min(), lost.max(),
        *plain, min(flipped), max(flipped),
    )  # fmt: skip


# Colors


@page.claim("colors vary by {} along the first component (light), by {} along the second (sunlight against sky) and by {} along the third.")
def test_how_colors_vary_in_the_photographs():
    variances, components = aug.color_pca(photographs())
    assert (components[:, 0] > 0.4).all() and components[0, 1] * components[2, 1] < 0
    return tuple(variances.sqrt().tolist())


@page.claim(
    "pixels from 0 to {} have variances {} times those of pixels from 0 to 1, and offsets that are, in their own unit, {} times as large.",
)
def test_the_variance_without_a_root_depends_on_the_unit():
    pixels = photographs(42, 56).double()
    (one, _), (other, _) = aug.color_pca(pixels), aug.color_pca(255 * pixels)
    torch.testing.assert_close(other, 255**2 * one)
    torch.testing.assert_close(other / 255, 255 * one)
    torch.testing.assert_close(other.sqrt() / 255, one.sqrt())
    return 255, 255**2, 255


# What it brings


@page.claim(
    "Small sets of {}, {} and {} handwritten digits of each class, a small convolutional network, {} steps",
    r"noise with $\sigma = {}$, shifts by one pixel at most, rotations up to {}°",
)
def test_the_settings():
    settings = recorded("augmentation_on_digits").settings
    noise, rotation = (study.CHANGES[name].strengths for name in ("noise", "rotation"))
    assert study.CHANGES["shift"].strengths == {"shift": 1} and study.CHANGES["any rotation"].strengths == {"rotate": 180}
    return *settings["per_class"], settings["steps"], noise["noise"], rotation["rotate"]


@page.claim(
    "Without any change the accuracy is {} with ten digits a class and {} with a hundred.",
    "Noise and small rotations move it by less than {} points for every seed and size",
    "Shifts *cost* {} to {} points at a hundred a class, flips {} to {} points at any size, rotations by any angle {} to {}.",
    "Nothing, rotation and shift lie together, from {} to {}; flip lies about",
    "any rotation at {} to {}.",
)
def test_accuracy_on_centered_digits():
    plain = on_digits("accuracy", "nothing")
    cost = {name: points(plain - on_digits("accuracy", name)) for name in study.CHANGES}
    small = torch.stack([cost["noise"], cost["rotation"]]).abs()
    shift, flip, turn = cost["shift"][:, 2], cost["flip"], cost["any rotation"]
    ends = [on_digits("accuracy", name).median(0).values for name in ("nothing", "rotation", "shift")]
    turned = on_digits("accuracy", "any rotation").median(0).values
    return (
        plain[:, 0], plain[:, 2], Below(small), shift.min(), shift.max(), flip.min(), flip.max(), turn.min(), turn.max(),
        min(x.min() for x in ends), max(x.max() for x in ends), turned.min(), turned.max(),
    )  # fmt: skip


@page.claim(
    "Without shifts in training, the accuracy falls to between {} and {} with ten digits a class, and to between {} and {} with a hundred:",
    "With shifts it is {} to {}, and {} to {}; they bring {} to {} points, for every seed and size.",
    "Three changes at once do {} to {} points worse than the one that is asked for.",
    "Training with shifts reaches {} to {}, with shift, rotation and scale together",
    "it stays between {} and {}, however many digits there are; with any rotation it is at {}.",
    "on centered digits shifts bring nothing, on moved ones {} to {} points.",
)
def test_accuracy_on_moved_digits():
    plain, shift, three = (on_digits("moved", name) for name in ("nothing", "shift", "shift, rotation, scale"))
    gain, behind = points(shift - plain), points(shift - three)
    without = torch.stack([on_digits("moved", name).median(0).values for name in ("nothing", "rotation", "flip")])
    return (
        plain[:, 0].min(), plain[:, 0].max(), plain[:, 2].min(), plain[:, 2].max(), *shift[:, 0].aminmax(), *shift[:, 2].aminmax(), gain.min(), gain.max(), behind.min(), behind.max(),
        *shift.median(0).values[[0, 2]], About(without.min()), About(without.max()), on_digits("moved", "any rotation")[:, 1],
        gain.min(), gain.max(),
    )  # fmt: skip


def test_the_digits_are_centered():
    """All of them reach both sides of their 8 x 8 pixels, or the top and the bottom: somebody has cut them out."""
    ink = digits().x_train.unflatten(1, (8, 8)) > 0.2
    high = ink.any(2)[:, 0] & ink.any(2)[:, -1]
    assert high.float().mean() > 0.95


@page.claim("a 6 turned by {}° is a 9:", "With rotations by any angle, {} to {} of the sixes and nines (the median over the seeds, by the size of the set)")
def test_the_six_and_the_nine():
    for name in study.CHANGES:
        swapped = on_digits("swapped", name)
        assert (swapped == 0).all() == (name != "any rotation")
    median = on_digits("swapped", "any rotation").median(0).values
    return 180, median.min(), median.max()


# Mixtures


@page.claim(
    "Digits, {} of each class; first with right labels, then with {} of the training labels wrong:",
    "With right labels all four agree within the seeds, at {} to {}.",
    "With {} of the labels wrong, the plain run reaches {}, cutout and mixup {}, CutMix {}, each",
    "With right labels the test *loss* is {} to {} without and {} to {} with CutMix",
    "With right labels nothing, cutout, mixup and cutmix all lie at about {}.",
    "With {} of the labels wrong, nothing is at {}, cutout and mixup at {}, cutmix at {}.",
)
def test_mixtures():
    record = recorded("augmentation_mixtures")
    right, wrong = record["accuracy"].unbind(-1)  # (seeds, kinds)
    assert record.settings["wrong"] == [0, 0.3] and record.settings["kinds"] == ["nothing", "cutout", "mixup", "cutmix"]
    assert (wrong[:, 1:] > wrong[:, :1]).all()
    assert (right.amin(0).max() < right.amax(0).min()).all()  # the ranges overlap
    medians = right.median(0).values
    loss = record["loss"][..., 0]
    levels = wrong.median(0).values.tolist()
    assert round(levels[1], 2) == round(levels[2], 2)
    few = [0.3, levels[0], levels[1], levels[3]]
    return (
        record.settings["per_class"], 0.3, medians.min(), medians.max(), *few, *loss[:, 0].aminmax(), *loss[:, 3].aminmax(),
        About(medians.median()), *few,
    )  # fmt: skip


# What goes wrong


class DrawnByTheDataSet(torch.utils.data.Dataset):
    """Two numbers: one of a generator that the data set keeps, one of the global generator."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.rand(1, generator=self.generator), torch.rand(1)


def test_workers_copy_the_generator_of_a_data_set():
    """Two workers take every other batch: the same draws in both, and in each epoch again; the global ones differ."""
    loader = torch.utils.data.DataLoader(DrawnByTheDataSet(), batch_size=1, num_workers=2)
    first, second = (torch.cat([torch.cat(batch, 1) for batch in loader]) for _ in range(2))
    assert torch.equal(first[0::2, 0], first[1::2, 0]) and torch.equal(first[:, 0], second[:, 0])
    assert len({*first[:, 1].tolist(), *second[:, 1].tolist()}) == 8


@page.claim("`uint8` images wrap around: {} + {} is 4.")
def test_bytes_wrap_around():
    assert torch.tensor(250, dtype=torch.uint8) + torch.tensor(10, dtype=torch.uint8) == 4
    return 250, 10


test_changed_numbers_are_noticed = page.test_of_numbers()
