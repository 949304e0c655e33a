"""Prepared data: equal to scikit-learn's, uncorrelated, with variance 1; what a constant feature and eps do."""

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from course_lib.formulas import preparation as prepare

EYE = torch.eye(4, dtype=torch.float64)


def data(n=200, seed=0):
    """Correlated features of unlike scales and means, (n, 4)."""
    source = torch.Generator().manual_seed(seed)
    mix = torch.randn(4, 4, generator=source, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1, 3.0])
    return torch.randn(n, 4, generator=source, dtype=torch.float64) @ mix + torch.tensor([5.0, -100.0, 0.0, 1.0])


def test_standardized_equals_scikit_learns():
    train, test = data(), data(50, 1)
    theirs = StandardScaler().fit(train.numpy())
    expected = torch.as_tensor(theirs.transform(test.numpy()))
    torch.testing.assert_close(
        prepare.standardize(test, *prepare.feature_statistics(train)), expected, rtol=1e-10, atol=1e-10
    )


def test_a_feature_that_never_changes_becomes_zero():
    x = torch.tensor([[1.0, 3.0], [2.0, 3.0]])
    assert prepare.standardize(x, *prepare.feature_statistics(x)).tolist() == [[-1, 0], [1, 0]]


def test_the_covariance_is_torchs():
    torch.testing.assert_close(prepare.covariance(data()), torch.cov(data().T), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("components", [4, 2])
def test_principal_components_equal_scikit_learns_up_to_signs(components):
    train, test = data(), data(50, 1)
    variances, axes = prepare.principal_axes(train)
    variances, axes = variances[:components], axes[:components]
    plain, whitened = (PCA(components, whiten=w).fit(train.numpy()) for w in (False, True))
    torch.testing.assert_close(variances, torch.as_tensor(plain.explained_variance_))
    ours = prepare.pca(test, train.mean(0), axes), prepare.whiten(test, train.mean(0), variances, axes, eps=0.0)
    for mine, theirs in zip(ours, (plain, whitened)):
        expected = torch.as_tensor(theirs.transform(test.numpy()))
        torch.testing.assert_close(mine.abs(), expected.abs(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", [prepare.whiten, prepare.zca])
def test_whitened_data_is_uncorrelated_with_variance_one(method):
    x = data()
    torch.testing.assert_close(prepare.covariance(method(x, x.mean(0), *prepare.principal_axes(x), eps=0.0)), EYE)


def test_of_all_whitenings_zca_is_the_nearest():
    x = data()
    centered, fit = x - x.mean(0), (x.mean(0), *prepare.principal_axes(x))
    nearest = (prepare.zca(x, *fit, eps=0.0) - centered).square().sum()
    white = prepare.whiten(x, *fit, eps=0.0)
    for seed in range(20):
        turned = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[
            0
        ]
        assert (white @ turned - centered).square().sum() > nearest


def test_eps_keeps_an_axis_without_variance_small():
    x = torch.cat([data()[:, :3], data()[:, :1]], dim=1)  # the last feature repeats the first
    fit = (x.mean(0), *prepare.principal_axes(x))
    assert prepare.whiten(x, *fit, eps=1e-5)[:, 3].abs().max() < 1e-6


def test_means_of_images():
    images = torch.randn(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    assert prepare.mean_pixel(images).shape == (3, 1, 1) and prepare.mean_image(images).shape == (3, 4, 6)
    torch.testing.assert_close((images - prepare.mean_pixel(images)).mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close((images - prepare.mean_image(images)).mean(0), torch.zeros(3, 4, 6), atol=1e-6, rtol=0)


def test_the_hessian_is_that_of_the_loss():
    x = data(20)
    y = torch.ones(20, dtype=torch.float64)

    def loss(w):
        return (x @ w[:4] + w[4] - y).square().mean() / 2

    torch.testing.assert_close(
        prepare.least_squares_hessian(x), torch.func.jacrev(torch.func.grad(loss))(torch.zeros(5).double())
    )


def test_condition_numbers():
    assert prepare.condition_number(torch.diag(torch.tensor([4.0, 0.5]))) == 8
    x = data()
    white = prepare.whiten(x, x.mean(0), *prepare.principal_axes(x), eps=0.0)
    assert prepare.condition_number(prepare.least_squares_hessian(white)) == pytest.approx(1, abs=0.01)
