"""What an all-reduce takes on real processes: ours, written with send and receive, and PyTorch's."""

import torch
from matplotlib.axes import Axes

from course_lib.experiments.plots import bands
from course_lib.experiments.records import Record, experiment
from course_lib.parallel import launch
from course_lib.parallel.all_reduce_times import TORCH, all_reduce_bytes, all_reduce_times
from course_lib.parallel.collectives import ALL_REDUCE


@experiment(seeds=5, share={"sizes": (1024, 16384), "times": False})
def all_reduce_by_size(seed, *, sizes=(1024, 16384, 262144, 4194304), processes=4, repeats=15, times=True):
    """Milliseconds of an all-reduce by each way, for arrays of so many bytes: (sizes,), the median of the repeats.

    `sent NAME` are the bytes that the busiest rank sends, (sizes,). Without `times`, which are this machine's, these alone. The
    seed changes nothing: each is one more launch.
    """
    ranks = launch(all_reduce_bytes, sizes, processes=processes, check=False)
    sent = {f"sent {way}": torch.tensor([rank[way] for rank in ranks]).amax(0) for way in ALL_REDUCE}
    if not times:
        return sent
    seconds = launch(all_reduce_times, sizes, repeats, processes=processes, check=False)[0]
    return sent | {way: 1000 * x for way, x in seconds.items()}


def draw_all_reduce(result: Record) -> Axes:
    """The milliseconds over the kilobytes, a curve for each way."""
    curves = {way: result[way] for way in (*ALL_REDUCE, TORCH)}
    kilobytes = [size / 1024 for size in result.settings["sizes"]]
    return bands(kilobytes, curves, x_label="KB", y_label="ms for an all-reduce by 4 processes", log="xy")
