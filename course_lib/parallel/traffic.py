"""Counts what send and the collectives send, whoever calls them: ours, our layers, torch's DTensor, its pipelines."""

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What one of n ranks sends of a tensor of so many bytes, by rings and direct sends; so do Gloo and NCCL with large tensors.
SENT = {
    "allreduce_": lambda size, n: 2 * size * (n - 1) / n,
    "all_reduce": lambda size, n: 2 * size * (n - 1) / n,
    "allgather_": lambda size, n: size * (n - 1),  # size: of the rank's own part
    "_allgather_base_": lambda size, n: size * (n - 1),
    "all_gather_into_tensor": lambda size, n: size * (n - 1),
    "_reduce_scatter_base_": lambda size, n: size * (n - 1) / n,
    "reduce_scatter_tensor": lambda size, n: size * (n - 1) / n,
    "broadcast_": lambda size, n: size * (n - 1) / n,  # the mean over the ranks
    "send": lambda size, n: size,
}


class Traffic(TorchDispatchMode):
    """Within `with Traffic() as traffic:`, the calls and bytes that this rank sends: `traffic.bytes`, by kind in `traffic.calls`.

    Bytes are those of the ring algorithms: 2 (n - 1)/n of a tensor for an all-reduce, n - 1 times its part for an all-gather.
    Raises ValueError for a collective that it has no count for. What C++ starts by itself, as torch's
    DistributedDataParallel does, is not seen.
    """

    def __init__(self):
        super().__init__()
        self.bytes, self.calls = 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Called for each of PyTorch's operations."""
        space, _, name = func._schema.name.partition("::")
        if space in ("c10d", "_c10d_functional") and not name.startswith(("wait", "_wrap", "barrier", "recv")):
            if name not in SENT:
                raise ValueError(f"Traffic has no count for the collective {name}. Add a line for it to SENT.")
            self.calls[name] = self.calls.get(name, 0) + 1
            self.bytes += SENT[name](_size(name, args), _ranks(args))
        return func(*args, **(kwargs or {}))


def _size(name: str, args) -> int:
    """The bytes that go in: the first argument's, but for those whose first argument is where the result goes."""
    given = args[1] if name in ("allgather_", "_allgather_base_", "_reduce_scatter_base_") else args[0]
    return sum(x.numel() * x.element_size() for x in tree_leaves(given) if isinstance(x, torch.Tensor))


def _ranks(args) -> int:
    """Of the group that is among the arguments: as an object, or by its name."""
    for x in args:
        if isinstance(x, torch.ScriptObject) and "ProcessGroup" in str(x._type()):
            return dist.ProcessGroup.unbox(x).size()
        if isinstance(x, str) and x not in ("sum", "avg"):
            return dist.distributed_c10d._resolve_process_group(x).size()
    raise ValueError("Traffic finds no process group among the arguments of a collective.")
