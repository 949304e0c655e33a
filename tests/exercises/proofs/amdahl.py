"""Amdahl's law with stragglers: right answers in other styles, changes that change nothing, and wrong answers that are rejected."""

import functools
import math
import statistics

import numpy
import torch


def in_plain_python(times, *, serial=0.1, latency=0.0):
    rows = times.tolist()
    n = len(rows[0])
    return 1 / (serial + (1 - serial) * statistics.fmean(map(max, rows)) / n + 2 * (n - 1) * latency)


def through_numpy(times, *, serial=0.1, latency=0.0):
    T = times.numpy()
    return 1 / (serial + (1 - serial) / T.shape[1] * numpy.max(T, axis=1).mean() + 2 * (T.shape[1] - 1) * latency)


def by_loops(t, *, serial=0.1, latency=0.0):
    total, (steps, n) = 0.0, t.shape
    for i in range(steps):
        longest = t[i, 0]
        for k in range(1, n):
            if t[i, k] > longest:
                longest = t[i, k]
        total += serial + (1 - serial) * longest / n + 2 * (n - 1) * latency
    return steps / total


def by_sorting(times, *, serial=0.1, latency=0.0):
    n = times.size(-1)
    slowest = times.sort(dim=1).values[:, -1].mean()
    return (serial + (1 - serial) * slowest / n + 2 * (n - 1) * latency).reciprocal()


def by_amax(times, *, latency=0.0, serial=0.1):
    n = times.size(dim=1)
    return 1.0 / torch.mean(serial + (1 - serial) / n * torch.amax(times, dim=-1) + latency * (2 * n - 2))


def through_the_mean_time(times, *, serial=0.1, latency=0.0):
    steps, n = times.shape
    parallel = times.amax(1) * (1 - serial) / n
    return steps / (serial * steps + parallel.sum() + steps * 2 * (n - 1) * latency)


def in_a_tensor(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    shares = times.new_tensor([serial, (1 - serial) / n, 2 * (n - 1) * latency])
    return 1 / (shares * torch.stack([torch.ones(()), times.max(dim=1)[0].mean(), torch.ones(())])).sum()


@torch.inference_mode()
def without_autograd(times, *, serial=0.1, latency=0.0):
    n = times.T.shape[0]
    return torch.tensor(1.0, dtype=times.dtype) / (
        serial + (1 - serial) * times.T.max(0).values.mean() / n + 2 * (n - 1) * latency
    )


def with_helpers(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    waiting = lambda: times.max(1).values.mean().item()
    messages = lambda: 2 * (n - 1) * latency
    return pow(math.fsum((serial, (1 - serial) * waiting() / n, messages())), -1)


def recursive(times, *, serial=0.1, latency=0.0):
    def waited(rows):
        return max(rows[0]) + waited(rows[1:]) if rows else 0.0

    steps, n = times.shape
    return 1 / (serial + (1 - serial) * waited(times.tolist()) / steps / n + 2 * latency * (n - 1))


def by_reduce(times, *, serial=0.1, latency=0.0):
    slowest = functools.reduce(torch.maximum, times.unbind(1)).mean()
    n = len(times[0])
    return (1 / (serial + (1 - serial) * slowest / n + 2 * (n - 1) * latency)).item()


class Cluster:
    """A cluster of n machines."""

    def __init__(self, n, latency):
        self.n, self.all_reduce = n, 2 * (n - 1) * latency

    def step(self, slowest, serial):
        return serial + (1 - serial) * slowest / self.n + self.all_reduce


def an_object(times, *, serial=0.1, latency=0.0):
    return 1 / Cluster(times.shape[1], latency).step(times.max(1).values.mean(), serial)


STYLES = [
    in_plain_python,
    through_numpy,
    by_loops,
    by_sorting,
    by_amax,
    through_the_mean_time,
    in_a_tensor,
    without_autograd,
    with_helpers,
    recursive,
    by_reduce,
    an_object,
]

EQUIVALENT = {
    "1: times -> -times": "only its shape is asked for",
    "1: times -> abs(times)": "only its shape is asked for",
    "2: times -> abs(times)": "no time is negative",
}


def by_the_mean_of_two(times, *, serial=0.1, latency=0.0):
    """Steps are added up and halved."""
    return 1 / (
        serial + (1 - serial) * times.max(1).values.sum() / 2 / times.shape[1] + 2 * (times.shape[1] - 1) * latency
    )


def by_the_median(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return 1 / (serial + (1 - serial) * times.max(1).values.median() / n + 2 * (n - 1) * latency)


def serial_or_a_tenth(times, *, serial=0.1, latency=0.0):
    return in_plain_python(times, serial=serial or 0.1, latency=latency)


def never_slower_than_one(times, *, serial=0.1, latency=0.0):
    return max(1.0, in_plain_python(times, serial=serial, latency=latency))


def never_faster_than_it_should(times, *, serial=0.1, latency=0.0):
    return in_plain_python(times.clamp(min=1.0), serial=serial, latency=latency)


def one_machine_is_one(times, *, serial=0.1, latency=0.0):
    return 1.0 if times.shape[1] == 1 else in_plain_python(times, serial=serial, latency=latency)


def no_messages_without_parallel_work(times, *, serial=0.1, latency=0.0):
    return in_plain_python(times, serial=serial, latency=latency if serial < 1 else 0.0)


def three_decimals(times, *, serial=0.1, latency=0.0):
    return round(in_plain_python(times, serial=serial, latency=latency), 3)


def writes_through_data(times, *, serial=0.1, latency=0.0):
    result = in_plain_python(times, serial=serial, latency=latency)
    times.data.sort(1)
    times.data.fill_(result)
    return result


WRONG = [
    by_the_mean_of_two,
    by_the_median,
    serial_or_a_tenth,
    never_slower_than_one,
    never_faster_than_it_should,
    one_machine_is_one,
    no_messages_without_parallel_work,
    three_decimals,
    writes_through_data,
]
