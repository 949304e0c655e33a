"""Operations, bytes and the roofline, against PyTorch's counter, against tensors' own sizes and against min and max."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from course_lib.formulas import roofline, training_costs

SIZES = st.integers(1, 9)
POSITIVE = st.floats(1e-3, 1e15)


def counted(work) -> int:
    """What PyTorch's counter finds in a piece of work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def nbytes(*tensors: torch.Tensor) -> int:
    """The bytes of tensors."""
    return sum(x.untyped_storage().nbytes() for x in tensors)


@settings(deadline=None)  # other work may share the machine
@given(SIZES, SIZES, SIZES, st.sampled_from([torch.float32, torch.bfloat16, torch.float64]))
def test_a_product(m, k, n, dtype):
    a, b = torch.zeros(m, k, dtype=dtype), torch.zeros(k, n, dtype=dtype)
    assert roofline.product_operations(m, k, n) == counted(lambda: a @ b)
    assert roofline.product_bytes(m, k, n, each=dtype.itemsize) == nbytes(a, b, a @ b)


@settings(deadline=None)  # other work may share the machine
@given(SIZES, SIZES, SIZES, st.sampled_from([1, 3, 5]), SIZES, SIZES, st.sampled_from([1, 2]), st.sampled_from([1, 2]))
def test_a_convolution(batch, inputs, outputs, kernel, height, width, stride, groups):
    x = torch.zeros(batch, inputs * groups, height * stride, width * stride)
    w = torch.zeros(outputs * groups, inputs, kernel, kernel)
    work = lambda: conv2d(x, w, padding=kernel // 2, stride=stride, groups=groups)
    y = work()
    sizes = batch, inputs * groups, outputs * groups, kernel, *y.shape[2:]
    assert roofline.convolution_operations(*sizes, groups=groups) == counted(work)
    assert roofline.convolution_bytes(*sizes, groups=groups, stride=stride) == nbytes(x, w, y)


def test_adam_moves_seven_numbers_a_weight():
    w, g, m, v = (torch.zeros(10) for _ in range(4))
    assert roofline.elementwise_bytes(10, reads=4, writes=3) == nbytes(w, g, m, v) + nbytes(w, m, v)


@settings(deadline=None)  # other work may share the machine
@given(POSITIVE, POSITIVE)
def test_the_roofline_is_a_minimum(intensity, peak):
    bandwidth = 1e9
    expected = min(peak, intensity * bandwidth)
    rounding = 1e-15 * max(peak, intensity * bandwidth)  # least and greatest are exact at the size of the larger one
    assert roofline.attainable(intensity, peak=peak, bandwidth=bandwidth) == pytest.approx(expected, abs=rounding)
    limit = roofline.balance(peak=peak, bandwidth=bandwidth)
    assert roofline.attainable(limit, peak=peak, bandwidth=bandwidth) == pytest.approx(peak)


@settings(deadline=None)  # other work may share the machine
@given(POSITIVE, POSITIVE, st.floats(0, 1))
def test_a_layer_takes_what_takes_longer(operations, moved, launch):
    speeds = {"peak": 1e12, "bandwidth": 1e9}
    seconds = roofline.layer_seconds(operations, moved, **speeds, launch=launch)
    assert seconds == pytest.approx(launch + max(operations / 1e12, moved / 1e9))
    rate = min(1e12, operations / moved * 1e9)
    assert seconds - launch == pytest.approx(operations / rate, rel=1e-9, abs=1e-15 * (1 + seconds))


def test_tensors_element_by_element():
    x = torch.logspace(-1, 4, 20, dtype=torch.float64)
    roof = roofline.attainable(x, peak=1e12, bandwidth=1e10)
    torch.testing.assert_close(roof, (x * 1e10).clamp(max=1e12), rtol=1e-12, atol=0)


def test_a_cpu_and_a_gpu_by_cores_and_clock():
    assert roofline.peak_rate(12, 2.4e9, each=16) == pytest.approx(461e9, rel=1e-3)
    assert roofline.peak_rate(2688, 0.876e9) == pytest.approx(4.71e12, rel=1e-3)


# Training


def test_a_step_is_three_forward_passes():
    """Counted on two layers: all but the gradient of the network's inputs."""
    first, second = torch.zeros(16, 16, requires_grad=True), torch.zeros(16, 16, requires_grad=True)
    x = torch.zeros(8, 16, requires_grad=True)
    step = counted(lambda: (x @ first @ second).sum().backward())
    assert step == training_costs.step_operations(2 * roofline.product_operations(8, 16, 16))


def test_days():
    days = training_costs.training_days(1e9, images=1e6, epochs=10, rate=3e16 / 86400)
    assert days == pytest.approx(1)
    share = training_costs.reached_share(1e9, images=1e6, epochs=10, days=4, peak=3e16 / 86400)
    assert share == pytest.approx(1 / 4)


@pytest.mark.parametrize(("make", "states"), [(torch.optim.SGD, 0), (torch.optim.Adam, 2)], ids=["SGD", "Adam"])
def test_the_memory_of_training_is_that_of_its_tensors(make, states):
    network = torch.nn.Linear(30, 20)
    optimizer = make(network.parameters())
    network(torch.zeros(4, 30)).sum().backward()
    optimizer.step()
    tensors = [*network.parameters(), *(p.grad for p in network.parameters())]
    tensors += [x for state in optimizer.state.values() for x in state.values() if x.numel() > 1]
    count = sum(p.numel() for p in network.parameters())
    assert training_costs.training_bytes(count, 0, 4, states=states) == sum(x.nbytes for x in tensors)


def test_the_largest_batch_fits_and_one_more_does_not():
    batch = training_costs.largest_batch(1e9, 1e7, 3e7, states=2)
    need = [training_costs.training_bytes(1e7, 3e7, b, states=2) for b in (math.floor(batch), math.floor(batch) + 1)]
    assert need[0] <= 1e9 < need[1]
