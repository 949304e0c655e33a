"""Batch normalization over the batch of all ranks: each one's sums are added up before mean and variance are taken."""

import copy

import torch
import torch.distributed as dist
from torch import nn

from course_lib.formulas.normalization import batch_axes, batch_norm_eval, batch_sums, per_feature, statistics_of_sums


def total_over_ranks(x: torch.Tensor) -> torch.Tensor:
    """The sum over the ranks, a new tensor; a copy of x where there is one process alone."""
    x = x.clone()
    if dist.is_initialized():
        dist.all_reduce(x)
    return x


class SyncNormalize(torch.autograd.Function):
    """The output and, for the running average, the joined batch's n, mean and variance.

    Nothing is divided by the number of ranks: n counts the values of all of them. The gradients of gamma and beta are this rank's
    share, as those of every other parameter are: what averages gradients over the ranks does so with these, too.
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        """x: (N, features) or (N, C, ...) with N as it is on this rank; gamma, beta: (features,). One message."""
        n, mean, variance = statistics_of_sums(total_over_ranks(batch_sums(x)))
        std = (variance + eps).sqrt()
        x_hat = ((x - per_feature(mean, x)) / per_feature(std, x)).to(x.dtype)
        ctx.save_for_backward(x_hat, std.to(x.dtype), gamma, n)
        ctx.mark_non_differentiable(n, mean, variance)
        return per_feature(gamma, x) * x_hat + per_feature(beta, x), n, mean, variance

    @staticmethod
    def backward(ctx, g, *_):
        """The gradients of x, gamma and beta, where the loss is the sum of the ranks' losses. One message.

        Raises RuntimeError where a second derivative is asked for.
        """
        if torch.is_grad_enabled():
            raise RuntimeError(
                "SyncBatchNorm has no second derivatives: its backward pass talks to the other ranks, and autograd can't "
                "follow. Call backward without create_graph=True, or use layers without a batch's statistics, such as GroupNorm."
            )
        x_hat, std, gamma, n = ctx.saved_tensors
        axes = batch_axes(g)
        g_beta, g_gamma = g.sum(axes), (g * x_hat).sum(axes)
        if not ctx.needs_input_grad[0]:
            return None, g_gamma, g_beta, None
        means = (total_over_ranks(torch.cat([g_beta, g_gamma])) / n).to(g.dtype)
        mean_beta, mean_gamma = (per_feature(v, g) for v in means.chunk(2))
        return per_feature(gamma / std, g) * (g - mean_beta - x_hat * mean_gamma), g_gamma, g_beta, None


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm1d, 2d or 3d whose batch is that of all ranks, which may have parts of unlike sizes.

    Input (N, features) or (N, features, ...). In evaluation, and in a process alone, it does what those do. In training every
    rank must call it, and backward too. Raises ValueError for an input of another shape, or one value alone.
    Source: slide 55. Equals nn.SyncBatchNorm, which needs GPUs.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x normalized, scaled and shifted."""
        if x.dim() < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"The input must have the shape (N, {self.num_features}, ...), got {tuple(x.shape)}.")
        gamma, beta = (
            (x.new_ones(x.shape[1]), x.new_zeros(x.shape[1])) if self.weight is None else (self.weight, self.bias)
        )
        if not self.training and self.running_mean is not None:
            return batch_norm_eval(x, self.running_mean, self.running_var, gamma, beta, eps=self.eps)
        y, n, mean, variance = SyncNormalize.apply(x, gamma, beta, self.eps)
        if n <= 1:
            raise ValueError(f"All ranks together have {n:g} values of each feature: training needs two.")
        if self.training and self.running_mean is not None:
            self._average(n, mean, variance)
        return y

    @torch.no_grad()
    def _average(self, n: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics towards those of the joined batch, its variance divided by n - 1."""
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, variance * n / (n - 1))):
            running.lerp_(new.to(running.dtype), share)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Checked in forward, for all numbers of axes."""


def convert(network: nn.Module) -> nn.Module:
    """A copy of the network with SyncBatchNorm in place of each BatchNorm1d, 2d and 3d; parameters and statistics are copied, too.

    Equals nn.SyncBatchNorm.convert_sync_batchnorm, which changes the network itself.
    """
    network = copy.deepcopy(network)
    if isinstance(network, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return _synchronized(network)
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, name, _synchronized(child))
    return network


def _synchronized(norm: nn.Module) -> SyncBatchNorm:
    """A layer with the parameters, buffers and mode of `norm`."""
    made = SyncBatchNorm(
        norm.num_features, norm.eps, norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
    )
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(made, name, getattr(norm, name))
    return made.train(norm.training)
