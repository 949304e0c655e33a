"""Split layers on real processes: forward and backward they are the whole layer, and they send what the formula says."""

import copy
import os
import socket
import struct
import sys
import time

import pytest
import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel import launch
from course_lib.parallel.model_parallel import (
    ColumnLinear,
    RowLinear,
    SplitConv2d,
    copy_to_ranks,
    gather_from_ranks,
    own_part,
    split,
)
from course_lib.parallel.traffic import Traffic

EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64; the ranks' parts are summed in another order
CONV = {"kernel_size": 3, "padding": 1, "stride": 2}


def whole_layers() -> dict[str, nn.Sequential]:
    """Networks by the name of what is split in them, the same in every process."""
    torch.manual_seed(1)
    layers = {
        "column": [nn.Linear(6, 8)],
        "column, own": [nn.Linear(6, 8)],
        "no bias": [nn.Linear(6, 8, bias=False)],
        "column and row": [nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)],
        "filters": [nn.Conv2d(3, 8, **CONV)],
        "filters, own": [nn.Conv2d(3, 8, **CONV, bias=False)],
        "filters twice": [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 2), nn.Flatten(), nn.Linear(16, 4)],
    }  # fmt: skip
    return {name: nn.Sequential(*parts).double() for name, parts in layers.items()}


def inputs(name: str) -> torch.Tensor:
    shape = (5, 3, 8, 8) if "filters" in name else (5, 6)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()


def split_as(name: str, whole: nn.Sequential) -> nn.Sequential:
    """The layers of this case, split over all ranks."""
    if name == "column and row":
        return nn.Sequential(ColumnLinear.of(whole[0]), whole[1], RowLinear.of(whole[2]))
    if "own" in name:
        kind = ColumnLinear if "column" in name else SplitConv2d
        return nn.Sequential(kind.of(whole[0], gather=False))
    return split(whole)


def backward(network: nn.Module, x: torch.Tensor, ranks: int = 1):
    """Output, the input's gradient and the parameters', of a loss that weighs each output differently.

    With `ranks` above 1 the output is this rank's part alone.
    """
    y = network(x)
    weights = torch.arange(1.0, 1 + y.shape[1] * ranks, dtype=y.dtype)
    own = own_part(weights) if ranks > 1 else weights
    (y * own.view(1, -1, *[1] * (y.dim() - 2))).square().sum().backward()
    return y.detach(), x.grad, [p.grad for p in network.parameters()]


def split_results() -> dict:
    """What one rank has, for each case, and what it is told of layers that cannot be split."""
    results = {}
    for name, whole in whole_layers().items():
        if dist.get_rank():
            nn.init.zeros_(whole[0].weight)  # only the first rank's layer counts
        ranks = dist.get_world_size() if "own" in name else 1
        with Traffic() as traffic:
            network = split_as(name, copy.deepcopy(whole))
            start = traffic.bytes
            results[name] = *backward(network, inputs(name), ranks), traffic.bytes - start
    return results | {"torch": with_dtensor(), "refused": refusals()}


def with_dtensor():
    """The case "column and row" by PyTorch's tensor parallelism."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    network, mesh = whole_layers()["column and row"], init_device_mesh("cpu", (dist.get_world_size(),))
    network = parallelize_module(network, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    with Traffic() as traffic:
        y, g_x, gradients = backward(network, inputs("column and row"))
    return y, g_x, [g.to_local() for g in gradients], traffic.bytes


def refusals() -> list[str]:
    """What layers say that cannot be split."""
    says = []
    for make in (
        lambda: SplitConv2d.of(nn.Conv2d(3, 5, 3)),
        lambda: ColumnLinear.of(nn.Linear(4, 7)),
        lambda: RowLinear.of(nn.Linear(3, 4)),
        lambda: SplitConv2d.of(nn.Conv2d(4, 4, 3, groups=2)),
        lambda: RowLinear.of(nn.Conv2d(4, 4, 3)),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            make()
        says.append(str(caught.value))
    return says


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request) -> list[dict]:
    return launch(split_results, processes=request.param)


@pytest.mark.parametrize("name", whole_layers())
def test_forward_and_backward_are_those_of_the_whole_layer(ranks, name):
    y, g_x, g_parameters = backward(network := whole_layers()[name], inputs(name))
    for k, mine in enumerate(ranks):
        chunk = lambda whole, dim: whole.chunk(len(ranks), dim)[k]
        torch.testing.assert_close(mine[name][0], chunk(y, 1) if "own" in name else y, **EXACT)
        torch.testing.assert_close(mine[name][1], g_x, **EXACT)
        for (key, _), part, whole in zip(network.named_parameters(), mine[name][2], g_parameters, strict=True):
            row = name == "column and row" and key.startswith("2")
            dim = (1 if key.endswith("weight") else None) if row else 0
            torch.testing.assert_close(part, whole if dim is None else chunk(whole, dim), **EXACT)


@pytest.mark.parametrize(
    ("name", "values"),
    [  # forward: the gathered output; backward: the input's gradient, twice, as it is summed and handed out
        ("column", 5 * (8 + 2 * 6)),
        ("column, own", 5 * 2 * 6),
        ("column and row", 5 * (2 * 3 + 2 * 6)),
        ("filters", 5 * (8 * 4 * 4 + 2 * 3 * 8 * 8)),
        ("filters twice", 5 * (8 * 6 * 6 + 4 * 2 * 2 + 4 + 2 * (3 * 8 * 8 + 8 * 3 * 3 + 16))),
    ],
)
def test_each_layer_sends_what_the_formula_says(ranks, name, values):
    n = len(ranks)
    assert [mine[name][3] for mine in ranks] == pytest.approx([8 * values * (n - 1) / n] * n)


def test_pytorchs_tensor_parallelism_does_and_sends_the_same(ranks):
    for mine in ranks:
        for ours, theirs in zip(mine["column and row"], mine["torch"], strict=True):
            torch.testing.assert_close(ours, theirs, **EXACT)


def test_what_cannot_be_split_is_told(ranks):
    filters, outputs, inputs, groups, kind = ranks[1]["refused"]
    n = len(ranks)
    assert filters.startswith(f"5 filters or features can't be split evenly over {n} ranks: take a multiple of {n}")
    assert outputs.startswith("7 filters") and inputs.startswith("3 filters")
    assert "got groups=2" in groups and kind == "This splits an nn.Linear, got Conv2d."


# The count of bytes against what the kernel says that the sockets have sent


def bytes_of_sockets() -> int:
    """What this process has sent through TCP so far: tcpi_bytes_sent of Linux's struct tcp_info, over all its sockets."""
    total = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(descriptor))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    total += struct.unpack_from("Q", one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 200)[0]
        except OSError:
            pass  # no socket, or one that has listened only
    return total


def counted_and_sent() -> list[tuple[float, float]]:
    """For an all-reduce and an all-gather of 100,000 values: bytes by Traffic, and by the kernel."""
    x, results = torch.ones(100_000, requires_grad=True), []
    for call in (lambda: copy_to_ranks(x).sum().backward(), lambda: gather_from_ranks(x, 0)):
        call()  # connections are opened by the first
        dist.barrier()
        time.sleep(0.1)  # the barrier's last bytes
        before = bytes_of_sockets()
        with Traffic() as traffic:
            call()
        time.sleep(0.1)
        results.append((traffic.bytes, bytes_of_sockets() - before))
        dist.barrier()
    return results


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's count of a socket's bytes")
def test_the_count_is_that_of_the_sockets():
    for rank in launch(counted_and_sent, processes=4, backend="gloo", check=False):
        for counted, sent in rank:  # headers come on top, and on a busy machine a packet may go twice
            assert counted <= sent < 1.1 * counted
