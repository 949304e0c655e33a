"""Augmentation: small cases by hand, and torch's own grid_sample, interpolate, flip and roll on the same parameters."""

import math

import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate, one_hot

from course_lib.formulas import augmentation as aug
from course_lib.formulas.augmentation import geometry
from course_lib.formulas.augmentation.checks import check_range

N, C, H, W = 4, 3, 7, 10


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def each(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


@pytest.fixture
def images():
    return torch.rand(N, C, H, W, generator=generator(), dtype=torch.float64)


@pytest.fixture
def gray_images():
    return torch.rand(N, 1, H, W, generator=generator(1), dtype=torch.float64)


# Whole pixels


def test_a_shift_by_hand():
    image = torch.arange(1.0, 7).reshape(1, 1, 2, 3)
    moved = lambda down, right: aug.shift(image, torch.tensor([down]), torch.tensor([right]))[0, 0].tolist()
    assert moved(0, 0) == [[1, 2, 3], [4, 5, 6]]
    assert moved(1, 0) == [[0, 0, 0], [1, 2, 3]]
    assert moved(0, -1) == [[2, 3, 0], [5, 6, 0]]
    assert moved(-1, 2) == [[0, 0, 4], [0, 0, 0]]
    assert moved(2, 0) == moved(0, -3) == [[0, 0, 0], [0, 0, 0]]


def test_shift_moves_each_image_by_its_own_way(images):
    down, right = torch.tensor([0, 2, -1, 6]), torch.tensor([1, -3, 0, -9])
    padded = torch.nn.functional.pad(images, (W, W, H, H))
    for k in range(N):
        top, left = H - down[k], W - right[k]
        assert torch.equal(aug.shift(images, down, right)[k], padded[k, :, top : top + H, left : left + W])


def test_flip_mirrors_the_chosen_images(images):
    chosen = torch.tensor([True, False, True, False])
    flipped = aug.flip(images, chosen)
    assert torch.equal(flipped[chosen], torch.flip(images[chosen], [-1]))
    assert torch.equal(flipped[~chosen], images[~chosen])


# The warp


def pixel_matrix(matrix):
    """A 2 x 3 matrix over pixels from the center, in the units of affine_grid: an output place to its input place."""
    scale = torch.tensor([[1, H / W, 2 / W], [W / H, 1, 2 / H]], dtype=torch.float64)
    return matrix * scale


@pytest.mark.parametrize(
    "warped, matrix",
    [
        (lambda x: aug.translate(x, each(1.5, 1.5, 1.5, 1.5), each(-2, -2, -2, -2)), [[1, 0, 2], [0, 1, -1.5]]),
        (lambda x: aug.rotate(x, each(30, 30, 30, 30)), [[math.cos(math.pi / 6), -0.5, 0], [0.5, math.cos(math.pi / 6), 0]]),
        (lambda x: aug.scale(x, each(1.25, 1.25, 1.25, 1.25)), [[0.8, 0, 0], [0, 0.8, 0]]),
        (lambda x: aug.stretch(x, each(0.5, 0.5, 0.5, 0.5)), [[2, 0, 0], [0, 1, 0]]),
        (lambda x: aug.shear(x, each(45, 45, 45, 45)), [[1, 1, 0], [0, 1, 0]]),
    ],
    ids=["translate", "rotate", "scale", "stretch", "shear"],
)  # fmt: skip
def test_geometry_equals_affine_grid_and_grid_sample(images, warped, matrix):
    theta = pixel_matrix(torch.tensor(matrix, dtype=torch.float64)).expand(N, 2, 3)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    expected = grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    torch.testing.assert_close(warped(images), expected, rtol=0, atol=1e-12)


def test_quarter_turns_move_pixels_as_rot90_does():
    """A square image turned by 90° has no pixel between others: this fixes the centers, and which way is counterclockwise."""
    image = torch.rand(1, 2, 5, 5, generator=generator(), dtype=torch.float64)
    for turns in range(-2, 5):
        expected = torch.rot90(image, turns, (-2, -1))
        torch.testing.assert_close(aug.rotate(image, each(90.0 * turns)), expected, rtol=0, atol=1e-12)


def test_whole_pixels_translated_are_shifted(images):
    down, right = each(0, 2, -1, 6), each(1, -3, 0, -9)
    expected = aug.shift(images, down, right)
    torch.testing.assert_close(aug.translate(images, down, right), expected, rtol=0, atol=1e-12)


def test_half_a_pixel_is_the_mean_of_two():
    image = each(1.0, 3.0, 7.0).reshape(1, 1, 1, 3)
    assert aug.translate(image, each(0), each(0.5)).flatten().tolist() == pytest.approx([0.5, 2, 5])


def test_between_four_pixels(images):
    x, y = each(1.25, 6.5), each(2.0, 0.75)  # from the corner's center
    sampled = geometry.sample(images[:1], (x - (W - 1) / 2)[None, None], (y - (H - 1) / 2)[None, None])[
        0, :, 0
    ]  # (C, 2)
    column, row = x.long(), y.long()
    corners = [images[0][:, row + i, column + j] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(geometry.bilinear(*corners, x - column, y - row), sampled)


def test_every_image_has_its_own_parameter(images):
    degrees = each(0, 10, -20, 180)
    together = aug.rotate(images, degrees)
    alone = torch.cat([aug.rotate(images[k : k + 1], degrees[k : k + 1]) for k in range(N)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize(
    "change, value",
    [(aug.rotate, 0.0), (aug.scale, 1.0), (aug.stretch, 1.0), (aug.shear, 0.0), (aug.distort, 0.0), (aug.brightness, 1.0), (aug.contrast, 1.0)],
)  # fmt: skip
def test_what_changes_nothing(images, change, value):
    torch.testing.assert_close(change(images, torch.full((N,), value)), images, rtol=0, atol=1e-12)


def test_all_affine_maps_in_one_are_those_one_after_the_other(images):
    """In one warp there is one interpolation; the places are the same."""
    given = [each(*x)[:, None, None] for x in ((1, 0, 2, 0), (0, -1, 1, 2), (0, 10, -20, 5), (1, 1.2, 0.8, 1.1), (1, 0.9, 1.3, 1), (0, 5, -10, 20))]  # fmt: skip
    down, right, degrees, factor, stretch, shear = given
    x, y = geometry.places(images)
    steps = geometry.translated(x, y, down, right)
    steps = geometry.rotated(*steps, degrees)
    steps = geometry.stretched(*geometry.scaled(*steps, factor), stretch)
    for one, other in zip(geometry.affine(x, y, *given), geometry.sheared(*steps, shear), strict=True):
        torch.testing.assert_close(*torch.broadcast_tensors(one, other))


def test_the_short_cut_for_affine_maps_is_the_warp(images):
    given = [each(*x) for x in ((1, 0, 2, 0), (0, -1, 1, 2), (0, 10, -20, 5), (1, 1.2, 0.8, 1.1), (1, 0.9, 1.3, 1), (0, 5, -10, 20))]  # fmt: skip
    torch.testing.assert_close(
        aug.warp_affine(images, geometry.affine, *given), aug.warp(images, geometry.affine, *given)
    )


def test_a_lens_keeps_the_center_and_bends_the_corners_most():
    x, y = each(0.0, 3.0, 4.0, -4.0), each(0.0, 0.0, 3.0, -3.0)
    for k in (0.2, -0.2):
        far_x, far_y = geometry.lens_distorted(x, y, each(k), 5.0)
        assert far_x.tolist() == pytest.approx([0, 3 * (1 + k * 0.36), 4 * (1 + k), -4 * (1 + k)])
        assert far_y.tolist() == pytest.approx([0, 0, 3 * (1 + k), -3 * (1 + k)])


def test_a_barrel_bows_lines_outward():
    """A vertical line right of the center: in a barrel its middle is farther from the center than its ends."""
    image = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    image[..., 30] = 1
    column = lambda k: (
        (aug.distort(image, each(k))[0, 0] * torch.arange(41)).sum(1) / aug.distort(image, each(k))[0, 0].sum(1)
    )
    barrel, pincushion = column(0.2), column(-0.2)
    assert barrel[20] > barrel[2] + 0.5 and pincushion[20] < pincushion[2] - 0.5


# Crops


@pytest.mark.parametrize("short, size", [(14, 5), (7, 7), (21, 8), (7, 3)])
def test_a_random_resized_crop_is_a_slice_of_the_resized_image(images, short, size):
    large = interpolate(images, [short, short * W // H], mode="bilinear") if short % 7 == 0 else None
    u, v = torch.rand(2, N, generator=generator(), dtype=torch.float64)
    crops = aug.random_resized_crop(images, torch.full((N,), short), u, v, size=size)
    for k in range(N):
        top = int(u[k] * (short - size + 1))
        left = int(v[k] * (large.shape[-1] - size + 1))
        torch.testing.assert_close(crops[k], large[k, :, top : top + size, left : left + size], rtol=0, atol=1e-12)


def test_every_place_of_a_crop_is_drawn_and_none_beyond():
    image = torch.arange(5.0).expand(1, 1, 5, 5)
    for v, first in ((0.0, 0), (0.3332, 0), (0.3334, 1), (0.667, 2), (0.9999999, 2)):
        crop = aug.random_resized_crop(image, each(5), each(0.0), each(v, dtype=torch.float32), size=3)
        assert crop[0, 0, 0].tolist() == pytest.approx([first, first + 1, first + 2], abs=1e-5)


def test_ten_crops_by_hand():
    image = torch.arange(15.0).reshape(1, 1, 3, 5)
    crops = aug.ten_crops(image, 1).flatten().tolist()
    assert crops == [0, 4, 10, 14, 7, 4, 0, 14, 10, 7]
    assert aug.ten_crops(image.expand(2, 3, 3, 5), 3).shape == (10, 2, 3, 3, 3)


def test_averaged_is_the_mean_of_the_probabilities_of_all_crops(images):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(C * 5 * 5, 6)).double()
    crops = [crop for short in (5, 7, 9) for crop in aug.ten_crops(aug.resize(images, short), 5)]
    expected = sum(network(crop).softmax(1) for crop in crops) / 30
    torch.testing.assert_close(aug.averaged(network, images, size=5, scales=(5, 7, 9)), expected)


def test_resize_keeps_the_aspect_and_smooths(images):
    assert aug.resize(images, 14).shape == (N, C, 14, 20)
    assert aug.resize(images.mT, 14).shape == (N, C, 20, 14)
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32)
    assert (aug.resize(stripes, 8)[..., 1:-1] - 0.5).abs().max() < 0.05


# Colors


def test_noise_is_added_as_given(images):
    z = torch.randn(images.shape, generator=generator(), dtype=torch.float64)
    assert torch.equal(aug.gaussian_noise(images, z, sigma=0.25), images + 0.25 * z)


def test_brightness_and_contrast_by_hand():
    image = each(0.0, 0.25, 0.5, 0.75).reshape(1, 1, 2, 2)
    assert aug.brightness(image, each(2)).flatten().tolist() == [0, 0.5, 1, 1]
    assert aug.contrast(image, each(2)).flatten().tolist() == pytest.approx([0, 0.125, 0.625, 1])
    assert aug.contrast(image, each(0)).flatten().tolist() == pytest.approx([0.375] * 4)


def test_gray_weighs_green_most():
    colors = torch.eye(3, dtype=torch.float64)[:, :, None, None]
    assert aug.gray(colors).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_the_principal_components_of_colors(images):
    variances, components = aug.color_pca(images)
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3)
    covariance = torch.cov(pixels.T)
    assert (variances.diff() <= 0).all() and (components.amax(0) == components.abs().amax(0)).all()
    torch.testing.assert_close(components @ variances.diag() @ components.T, covariance)
    _, s, vh = torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
    torch.testing.assert_close(variances, s**2 / (len(pixels) - 1))
    torch.testing.assert_close((components.T @ vh.T).abs(), torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-9)


def test_pca_jitter_adds_one_color_to_an_image(images):
    images = images / 2 + 0.25  # far from 0 and 1
    variances, components = (
        each(0.04, 0.01, 0.0025),
        torch.linalg.qr(torch.randn(3, 3, generator=generator()).double())[0],
    )
    z = torch.randn(N, 3, generator=generator(2), dtype=torch.float64)
    offset = aug.pca_jitter(images, z, variances, components) - images
    for k in range(N):
        color = sum(0.1 * z[k, i] * variances[i] ** 0.5 * components[:, i] for i in range(3))
        torch.testing.assert_close(offset[k], color[:, None, None].expand(C, H, W))


def test_pca_jitter_varies_as_the_pixels_do(images):
    """The covariance of the offsets is σ² times that of the pixels: no unit of the pixels enters."""
    images = images * each(1, 0.5, 0.2)[:, None, None] / 4 + 0.3
    z = torch.randn(20_000, 3, generator=generator(), dtype=torch.float64)
    one = images[:1].mean((2, 3), keepdim=True).expand(len(z), 3, 1, 1)
    offset = (aug.pca_jitter(one, z, *aug.color_pca(images)) - one).flatten(1)
    covariance = torch.cov(images.transpose(0, 1).flatten(1))
    torch.testing.assert_close(
        torch.cov(offset.T), 0.01 * covariance, rtol=0, atol=0.05 * 0.01 * covariance.max()
    )  # 20,000 draws: 1% on a variance


# Mixtures


def test_cutout_by_hand():
    image = torch.ones(2, 1, 4, 4, dtype=torch.float64)
    cut = aug.cutout(image, each(0.5, 0.0), each(0.5, 0.99), size=2)
    assert cut[0, 0].tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert cut[1, 0].sum() == 15 and cut[1, 0, 0, 3] == 0  # most of it lies outside


def test_mixup_mixes_images_and_labels_alike(images):
    labels = one_hot(torch.tensor([0, 1, 2, 2]), 3).double()
    order, weight = torch.tensor([2, 0, 3, 1]), each(1, 0, 0.25, 0.6)
    mixed, targets = aug.mixup(images, labels, order, weight)
    torch.testing.assert_close(mixed[2], 0.25 * images[2] + 0.75 * images[3])
    assert torch.equal(mixed[0], images[0]) and torch.equal(mixed[1], images[0])
    torch.testing.assert_close(targets, each(1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0.4, 0.6).reshape(4, 3))


def test_cutmix_counts_the_pixels_that_are_left():
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]).double()
    labels = torch.eye(2, dtype=torch.float64)
    order, weight = torch.tensor([1, 0]), each(0.75, 0.75)
    inside, targets = aug.cutmix(images, labels, order, weight, each(0.5, 0.0), each(0.5, 0.0))
    assert inside[0].sum() == 16 and targets[0].tolist() == [0.75, 0.25]
    assert 64 - inside[1].sum() == 4 and targets[1].tolist() == pytest.approx([0.0625, 0.9375])  # a quarter of the box
    torch.testing.assert_close(targets[:, 1], inside.mean((1, 2, 3)))


# What every one of them keeps


CHANGES = {
    "shift": lambda x, u: aug.shift(x, (4 * u).long(), (3 * u).long()),
    "flip": lambda x, u: aug.flip(x, u > 0.5),
    "translate": lambda x, u: aug.translate(x, u, -u),
    "rotate": lambda x, u: aug.rotate(x, 90 * u),
    "scale": lambda x, u: aug.scale(x, 0.5 + u),
    "stretch": lambda x, u: aug.stretch(x, 0.5 + u),
    "shear": lambda x, u: aug.shear(x, 45 * u),
    "distort": lambda x, u: aug.distort(x, u - 0.3),
    "random_resized_crop": lambda x, u: aug.random_resized_crop(x, 7 + 7 * u, u, 1 - u, size=7),
    "brightness": lambda x, u: aug.brightness(x, 2 * u),
    "contrast": lambda x, u: aug.contrast(x, 2 * u),
    "pca_jitter": lambda x, u: aug.pca_jitter(x, u[:, None].expand(-1, 3), u[:3], torch.eye(3).to(u)),
    "cutout": lambda x, u: aug.cutout(x, u, 1 - u, size=3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_precision_range_and_argument_stay(images, name):
    u = torch.rand(N, generator=generator(3), dtype=torch.float64)
    before = images.clone()
    double, single = CHANGES[name](images, u), CHANGES[name](images.float(), u.float())
    assert torch.equal(images, before) and (double.dtype, single.dtype) == (torch.float64, torch.float32)
    assert 0 <= double.min() and double.max() <= 1 + 1e-12
    torch.testing.assert_close(
        single.double(), double, rtol=0, atol=2e-5
    )  # places rounded to 1e-6 of a pixel, sharp edges


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "random_resized_crop"])
def test_vmap_equals_a_loop(images, name):
    """Several batches at once, as when many networks train together."""
    u = torch.rand(2, N, generator=generator(3), dtype=torch.float64)
    both = torch.stack([images, images.flip(0)])
    change = CHANGES[name]
    expected = torch.stack([change(x, v) for x, v in zip(both, u, strict=True)])
    torch.testing.assert_close(torch.vmap(change)(both, u), expected)


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "random_resized_crop"])  # it looks at its draws
def test_it_stays_on_the_device_of_the_images(name):
    """On the device "meta", which holds shapes alone: a tensor of another device in between is an error there, too."""
    images, u = torch.empty(N, C, H, W, device="meta"), torch.empty(N, device="meta")
    assert CHANGES[name](images, u).device.type == "meta"


# Bad input


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: aug.rotate(x[0], each(1)), ValueError, "images must have the shape (N, C, H, W), got (3, 7, 10). Make one image a batch: images[None]."),
        (lambda x: aug.rotate((x * 255).byte(), each(1, 1, 1, 1)), TypeError, "got torch.uint8. Convert: images.float() / 255."),
        (lambda x: aug.flip(x.numpy(), each(1, 1, 1, 1)), TypeError, "images must be a tensor of the shape (N, C, H, W), got ndarray."),
        (lambda x: aug.rotate(x, each(1, 2)), ValueError, "degrees must have the shape (4,), one number for each image, got (2,)."),
        (lambda x: aug.rotate(x, 30), TypeError, "degrees must be a tensor of the shape (4,), one number for each image, got int."),
        (lambda x: aug.gaussian_noise(x, x[0], sigma=1), ValueError, "z must have the shape (4, 3, 7, 10), one number for each pixel, got (3, 7, 10)."),
        (lambda x: aug.pca_jitter(x, x, each(1), each(1)), ValueError, "z must have the shape (4, 3), one for each image and component, got"),
        (lambda x: aug.contrast(x[:, :2], each(1, 1, 1, 1)), ValueError, "Colors need images with 1 channel or 3 (red, green, blue), got 2."),
        (lambda x: aug.ten_crops(x, 8), ValueError, "A crop of 8 x 8 does not fit into images of 7 x 10: size must be 1 to 7."),
        (lambda x: aug.ten_crops(x, 0), ValueError, "size must be 1 to 7."),
        (lambda x: aug.random_resized_crop(x, each(9, 9, 5, 9), each(0, 0, 0, 0), each(0, 0, 0, 0), size=6), ValueError, "A crop of 6 x 6 must fit into the resized image, got a short side of 5. Draw it from 6 up."),
        (lambda x: aug.mixup(x, torch.tensor([1, 2, 3, 0]), torch.arange(4), each(1, 1, 1, 1)), TypeError, "Convert: torch.nn.functional.one_hot(labels, classes).float()."),
        (lambda x: aug.cutmix(x, torch.eye(3), torch.arange(4), *each(1, 1, 1, 1).expand(3, 4)), ValueError, "There must be as many labels as images, got 3 and 4."),
        (lambda x: check_range(x * 255), ValueError, "Divide them by 255."),
        (lambda x: check_range(x - 0.5), ValueError, "Augment first, standardize after."),
        (lambda x: check_range(x * torch.nan), ValueError, "Pixels must lie between 0 and 1, got nan to nan."),
    ],
)  # fmt: skip
def test_errors_are_sentences(images, call, error, words):
    with pytest.raises(error) as raised:
        call(images)
    assert words in str(raised.value)
