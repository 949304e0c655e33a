"""StepTimeline without a page: its times add up, its words follow, and what it cannot show is refused."""

import pytest

from course_lib.experiments.layer_costs import NETWORKS, parameters
from course_lib.formulas.parallel_costs import all_reduce_seconds
from course_lib.widgets import StepTimeline


@pytest.mark.parametrize("network", NETWORKS)
def test_every_gradient_travels_once(network):
    fig = StepTimeline(network)
    begin, end, size = fig.schedule
    assert size.sum().item() == 4 * parameters(network)
    used = size > 0
    assert (begin[used][1:] >= end[used][:-1] - 1e-12).all()  # one after the other
    link = {"n": 8, "bandwidth": 1e10, "latency": 2e-5}
    assert (end - begin)[used].sum().item() == pytest.approx(
        sum(all_reduce_seconds(s, **link) for s in size[used].tolist())
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_without_overlap_a_step_is_the_sum_of_its_parts(network):
    fig = StepTimeline(network, n=4, bandwidth=2.0, latency=0.0, overlap="off", slow=1.5)
    forward, backward = fig.seconds
    sending = all_reduce_seconds(4 * parameters(network), n=4, bandwidth=2e9, latency=0.0)
    assert fig.summary["seconds"] == pytest.approx(1.5 * (forward + backward.sum().item()) + sending)
    assert fig.summary["exposed"] == pytest.approx(sending / fig.summary["seconds"])
    fig.overlap = "on"
    assert fig.summary["exposed"] * fig.summary["seconds"] < sending


def test_one_gpu_waits_for_nobody():
    for slow in (1.0, 2.0):
        s = StepTimeline(n=1, slow=slow).summary
        assert (s["exposed"], s["waiting"], s["speed_up"]) == pytest.approx((0, 0, 1))


def test_no_layout_of_buckets_beats_the_computing():
    for bucket in (0.1, 1, 25, 1000):
        s = StepTimeline(n=64, bucket=bucket).summary
        assert s["speed_up"] <= 64 and s["exposed"] >= 0


def test_the_words_follow_the_settings():
    fig = StepTimeline("AlexNet", n=2)
    assert fig.alt.startswith("A training step of AlexNet on 2 GPUs, 32 images each, 10 GB/s, overlap on:")
    assert "for 244 MB of gradients" in fig.alt
    fig.bandwidth = 100.0
    assert "100 GB/s" in fig.alt


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"network": "LeNet"}, "network must be one of AlexNet, ResNet-50, GPT-2 small, got 'LeNet'."),
        ({"n": 0}, "n must be a whole number from 1 to 256, got 0."),
        ({"batch": 1.5}, "batch must be a whole number from 1 to 1024, got 1.5."),
        ({"bandwidth": 0}, "bandwidth must lie between 0.001 and 100000, got 0."),
        ({"latency": -1}, "latency must lie between 0 and"),
        ({"bucket": float("nan")}, "bucket must lie between 0.001 and"),
        ({"overlap": True}, "overlap must be one of on, off, got True."),
        ({"slow": 0.5}, "slow must lie between 1 and 100, got 0.5."),
    ],
)
def test_what_it_cannot_show_is_refused(wrong, words):
    with pytest.raises(ValueError) as refused:
        StepTimeline(**wrong)
    assert words in str(refused.value)
