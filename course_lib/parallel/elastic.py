"""Elastic training: a run that survives the death of a process, and ends with the weights that it would have had anyway.

    torchrun --standalone --nproc-per-node 2 --max-restarts 1 -m course_lib.parallel.elastic --steps 200 --folder run

torchrun starts the processes, notices when one of them dies, ends the others and starts all of them again. What they had in memory
is gone, so three things are needed: a checkpoint that is whole or not there, batches that are a function of the step, and a
beginning that asks for the checkpoint first. Several machines need a folder that all of them reach.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel.data_parallel import average_gradients

EXAMPLES = 16  # of each rank in a step
FILE = "checkpoint.pt"


def join(backend: str = "gloo") -> None:
    """Meet the other ranks that torchrun has started.

    torchrun keeps one store for all attempts, and after a restart the ranks may read there the addresses of the dead
    (PyTorch's issue 135712). On one machine the attempt's number keeps the attempts apart. On several machines it may differ
    from one to the other: set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun, and each attempt gets a store of its own.
    """
    given = os.environ
    if given.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and given["GROUP_WORLD_SIZE"] == "1":
        shared = dist.TCPStore(given["MASTER_ADDR"], int(given["MASTER_PORT"]), is_master=False)
        store = dist.PrefixStore(f"attempt {given['TORCHELASTIC_RESTART_COUNT']}", shared)
        dist.init_process_group(backend, store=store, rank=int(given["RANK"]), world_size=int(given["WORLD_SIZE"]))
    else:
        dist.init_process_group(backend)


def save(path: Path, state: dict) -> None:
    """Write the state to the disk beside its place, then move it there.

    Whoever dies on the way leaves the file as it was before.
    """
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load(path: Path) -> dict | None:
    """What `save` has written last, or None if there is nothing yet."""
    return torch.load(path, weights_only=True) if path.exists() else None


def agreed(path: Path) -> dict | None:
    """What rank 0 finds, for every rank: no two of them begin at different steps."""
    found = [load(path) if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(found, src=0)
    return found[0]


def batch(seed: int, step: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The examples of a rank in a step, (16, 8) and (16, 1): the same ones whenever the step is made."""
    source = torch.Generator().manual_seed((seed * 1_000_000 + step) * 1000 + rank)
    x = torch.randn(EXAMPLES, 8, generator=source)
    return x, torch.sin(x.sum(1, keepdim=True))


def network(seed: int) -> nn.Module:
    """The same weights on every rank, whatever its random numbers were before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def train(steps: int, folder: str | Path, *, every: int = 10, pause: float = 0.0, seed: int = 0) -> dict:
    """Train a small network to a step of this number, from the folder's checkpoint if there is one: its state_dict.

    Rank 0 saves after each `every` steps and at the end; each rank leaves its process's number in the folder as rank-K.pid.
    `pause` are seconds that each step takes besides. Needs torch.distributed to be initialized.
    """
    folder, rank = Path(folder), dist.get_rank()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"rank-{rank}.pid").write_text(str(os.getpid()))
    model = network(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    done = 0
    if saved := agreed(folder / FILE):
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["step"]
        print(f"rank {rank} goes on after step {done}", flush=True)
    for step in range(done + 1, steps + 1):
        x, y = batch(seed, step, rank)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        average_gradients(model.parameters())
        optimizer.step()
        time.sleep(pause)
        if rank == 0 and (step % every == 0 or step == steps):
            state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save(folder / FILE, state)
    return model.state_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small network that survives the death of a process.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True, help="of the checkpoint; every machine must reach it")
    parser.add_argument("--every", type=int, default=10, help="steps from one checkpoint to the next")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that each step takes besides")
    given = parser.parse_args()
    if "RANK" not in os.environ:
        parser.error("start this with torchrun, which says how many processes there are and who is who")
    torch.set_num_threads(1)
    join()
    train(given.steps, given.folder, every=given.every, pause=given.pause)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
