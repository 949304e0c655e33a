"""Real processes on torch.distributed: launched from a notebook, a script or a test, and what they compute together."""

from course_lib.parallel.data_parallel import DataParallel, mean_over_ranks, shard
from course_lib.parallel.failures import RankError, RankTimeout
from course_lib.parallel.launcher import launch, local_device
from course_lib.parallel.packing import Unsendable

__all__ = [
    "DataParallel",
    "RankError",
    "RankTimeout",
    "Unsendable",
    "launch",
    "local_device",
    "mean_over_ranks",
    "shard",
]
