"""Random augmentation: what is drawn stays within its strengths, and what is done is what the formulas do with the draws."""

import pytest
import torch

from course_lib.experiments.augment import KINDS, Augment, RandomResizedCrop
from course_lib.formulas import augmentation as aug

STRENGTHS = {
    "translate": 0.2, "rotate": 30, "scale": 1.5, "stretch": 1.3, "shear": 20, "distort": 0.2, "shift": 2, "flip": 0.5,
    "brightness": 1.5, "contrast": 1.6, "pca": 0.3, "cutout": 4, "noise": 0.1,
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images():
    return torch.rand(400, 3, 12, 16, generator=generator(), dtype=torch.float64)


@pytest.fixture(scope="module")
def everything(images):
    return Augment(**STRENGTHS, colors=aug.color_pca(images))


def test_every_kind_is_tried_here():
    assert set(STRENGTHS) == set(KINDS)


def test_the_generator_decides(images, everything):
    x = images[:8]
    assert torch.equal(everything(x, generator(1)), everything(x, generator(1)))
    assert not torch.equal(everything(x, generator(1)), everything(x, generator(2)))
    assert everything(x.float(), generator(1)).dtype == torch.float32


def test_draws_fill_their_range_and_stay_in_it(images, everything):
    """400 uniform draws: the chance that none lies in the outer 3% of one side is 2e-3 in 100,000."""
    draws = everything.draw(images, generator())
    for name, most in (("down", 2.4), ("right", 3.2), ("degrees", 30), ("shear", 20), ("k", 0.2)):
        assert -most <= draws[name].min() < -0.94 * most and 0.94 * most < draws[name].max() < most
    for name, most in (("factor", 1.5), ("stretch", 1.3), ("brightness", 1.5), ("contrast", 1.6)):
        logs = draws[name].log() / torch.tensor(most).double().log()
        assert -1.0001 <= logs.min() < -0.94 and 0.94 < logs.max() < 1.0001
    assert set(draws["rows"].tolist()) == set(draws["columns"].tolist()) == {-2, -1, 0, 1, 2}
    assert 0.4 < draws["mirrored"].double().mean() < 0.6  # 4 standard deviations
    assert 0.28 < draws["color"].std() < 0.32 and 0.099 < draws["noise"].std() < 0.101


ALONE = {
    "translate": lambda x, d: aug.translate(x, d["down"], d["right"]),
    "rotate": lambda x, d: aug.rotate(x, d["degrees"]),
    "scale": lambda x, d: aug.scale(x, d["factor"]),
    "stretch": lambda x, d: aug.stretch(x, d["stretch"]),
    "shear": lambda x, d: aug.shear(x, d["shear"]),
    "distort": lambda x, d: aug.distort(x, d["k"]),
    "shift": lambda x, d: aug.shift(x, d["rows"], d["columns"]),
    "flip": lambda x, d: aug.flip(x, d["mirrored"]),
    "brightness": lambda x, d: aug.brightness(x, d["brightness"]),
    "contrast": lambda x, d: aug.contrast(x, d["contrast"]),
    "pca": lambda x, d: aug.pca_jitter(x, d["color"] / 0.3, *aug.color_pca(x), sigma=0.3),
    "cutout": lambda x, d: aug.cutout(x, d["u"], d["v"], size=4),
    "noise": lambda x, d: aug.gaussian_noise(x, d["noise"], sigma=1),
}


@pytest.mark.parametrize("name", KINDS)
def test_one_change_alone_is_its_formula(images, name):
    augment = Augment(**{name: STRENGTHS[name]}, colors=aug.color_pca(images))
    draws = augment.draw(images, generator(3))
    torch.testing.assert_close(augment(images, generator(3)), ALONE[name](images, draws), rtol=0, atol=1e-9)


def test_places_are_composed_into_one_warp():
    """A smooth image, so that interpolating six times does little harm: the composed warp is the warps one after the other."""
    x = torch.linspace(-1, 1, 64, dtype=torch.float64)
    image = (torch.exp(-4 * (x[:, None] ** 2 + (x - 0.2) ** 2)))[None, None].expand(6, 1, 64, 64)
    augment = Augment(
        **{name: STRENGTHS[name] for name in ("translate", "rotate", "scale", "stretch", "shear", "distort")}
    )
    draws = augment.draw(image, generator(4))
    step = image
    for name in ("shear", "stretch", "scale", "rotate", "translate", "distort"):
        step = ALONE[name](step, draws)
    inside = (slice(None), slice(None), slice(24, 40), slice(24, 40))  # what no border has reached
    torch.testing.assert_close(augment(image, generator(4))[inside], step[inside], rtol=0, atol=0.03)


def test_each_image_gets_so_many_changes_as_are_picked(images, everything):
    names = ("rotate", "scale", "brightness", "contrast", "shear")
    augment = Augment(picks=2, **{name: STRENGTHS[name] for name in names})
    draws = augment.draw(images, generator())
    changed = torch.stack(
        [draws[parameter] != still for name in names for parameter, still in KINDS[name].still.items()]
    )
    assert (changed.sum(0) == 2).all()
    assert (changed.double().mean(1) - 2 / 5).abs().max() < 0.1  # 4 standard deviations


def test_nothing_to_do(images):
    assert torch.equal(Augment()(images, generator()), images)


def test_an_empty_batch_stays_empty(images, everything):
    assert everything(images[:0], generator()).shape == (0, 3, 12, 16)


def test_random_resized_crops(images):
    crop = RandomResizedCrop(10, short=(10, 20))
    patches = crop(images, generator())
    assert patches.shape == (400, 3, 10, 10)
    assert torch.equal(patches, crop(images, generator()))
    flat = (
        torch.arange(12.0).div(12)[:, None].expand(400, 1, 12, 16)
    )  # a ramp: its steepness in the patch is 12 / short
    steps = crop(flat, generator())[:, 0, 4:7].diff(dim=1).mean((1, 2)) * 12
    assert steps.min() == pytest.approx(12 / 20, rel=1e-3) and steps.max() == pytest.approx(12 / 10, rel=1e-3)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: Augment(rotation=15), TypeError, "There is no change `rotation`. There are: translate, rotate, scale,"),
        (lambda x: Augment(scale=0.8), ValueError, "scale must be at least 1 and finite, got 0.8."),
        (lambda x: Augment(flip=1.5), ValueError, "flip is a probability and must lie between 0 and 1, got 1.5."),
        (lambda x: Augment(rotate="15"), TypeError, "rotate must be a number"),
        (lambda x: Augment(noise=float("nan")), ValueError, "noise must be at least 0 and finite, got nan."),
        (lambda x: Augment(pca=0.1), TypeError, "pca needs the components of the training set's colors: colors=color_pca(images)."),
        (lambda x: Augment(picks=3, rotate=15), ValueError, "picks must be a whole number from 1 to 1, got 3."),
        (lambda x: Augment(rotate=15)(x * 255), ValueError, "Pixels must lie between 0 and 1"),
        (lambda x: Augment(rotate=15)(x[0]), ValueError, "images must have the shape (N, C, H, W), got (3, 12, 16)."),
        (lambda x: RandomResizedCrop(224, short=(200, 480)), ValueError, "short[0] must be a whole number from 224, got 200."),
    ],
)  # fmt: skip
def test_errors_are_sentences(images, call, error, words):
    with pytest.raises(error) as raised:
        call(images)
    assert words in str(raised.value)
