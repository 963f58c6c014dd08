"""One run on many processes: each passes a share of every batch through the network.

Every process runs the whole method: the same draws, the same buffer, the same growth and search.
Only passes are shared out. A network splits what comes in and gathers what goes out, so that a
method sees the logits of all its images on every process, whatever its loss makes of them; and
before an optimizer steps, gradients are made one. DistributedDataParallel would tie this to one
module and one backward pass, where a student is replaced as it grows, lends its weights to
others' forms, and goes back through several terms.

What differs from one process: batch-norm normalises each share by itself, and running statistics
are the mean over shares (in DistributedDataParallel, the first process's).
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lord.config import LostError, UserError, first_line


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def shares(self, rows: int) -> list[int]:
        """Rows each process takes of a batch; all of it, each of them, where it is too small."""
        if rows < 2 * self.world:
            return [rows]
        return [(rows + self.world - 1 - rank) // self.world for rank in range(self.world)]

    def agree(self, act: Callable[[], object]) -> None:
        """Let the first process act, and the others wait for it.

        Raises:
            UserError: on all of them, if it did on the first.
        """
        said: list[str | None] = [None]
        if self.first:
            try:
                act()
            except UserError as error:
                said = [str(error)]
        if self.world > 1:
            dist.broadcast_object_list(said)
        if said[0] is not None:
            raise UserError(said[0])


SINGLE = Ranks()


def here() -> Ranks:
    """This process, as torchrun has numbered it; the only one where it was not started so."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Inside, the processes of a run are in touch, and their optimizers step along one gradient.

    Raises:
        LostError: if one of them is lost, or this one is told to stop: torchrun tells the others
            when one is lost, and may be quicker than they are to notice.
    """
    ranks = here()
    if ranks.world == 1:
        yield ranks
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # The first optimizer imports it. Were there a group by then it would be held for good, and its
    # threads could abort the process as the interpreter goes.
    import_module("torch._dynamo")
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: _one_gradient(optimizer))
    before = signal.signal(signal.SIGTERM, partial(_told_to_stop, ranks))
    try:
        yield ranks
    except RuntimeError as error:
        said = first_line(error)
        if "gloo" not in said.lower() and not isinstance(error, dist.DistError):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends already, and is to say why
        raise _lost(ranks, "lost another one") from None
    finally:
        handle.remove()
    signal.signal(signal.SIGTERM, before)
    dist.barrier()  # one that leaves early is lost to those still in touch
    dist.destroy_process_group()


def _told_to_stop(ranks: Ranks, number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise _lost(ranks, "was told to stop, or another one is lost")


def _lost(ranks: Ranks, what: str) -> LostError:
    return LostError(
        f"process {ranks.rank} of {ranks.world} {what}; the same command with --resume goes on "
        "from the last checkpoint"
    )


def spread(network: nn.Module, ranks: Ranks) -> None:
    """Make a network, and every network made from it, pass shares of what it is given."""
    if ranks.world == 1:
        return
    rows: list[int] = []  # of the passes under way

    def split(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rows.append(len(given[0]))
        shares = ranks.shares(rows[-1])
        if len(shares) == 1:
            return given
        return given[0].split(shares)[ranks.rank], *given[1:]

    def gather(module: nn.Module, _: Any, out: Tensor) -> Tensor:
        shares = ranks.shares(rows.pop())
        if len(shares) == 1:
            return out
        if module.training:
            _one_statistic(module)
        return _Gathered.apply(out, shares, ranks.rank)

    network.register_forward_pre_hook(split)
    network.register_forward_hook(gather)


class _Gathered(torch.autograd.Function):
    """Outputs of all shares. Since each process goes back from all of them and gradients are then
    averaged, a share's gradient counts as often as there are processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, shares: list[int], rank: int) -> Tensor:
        ctx.shares, ctx.rank = shares, rank
        padded = own.new_zeros((max(shares), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own = gradients[0].split(ctx.shares)[ctx.rank]
        return own * len(ctx.shares), None, None


def _one_gradient(optimizer: Optimizer) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    _mean([p.grad for p in parameters if p.grad is not None])


@torch.no_grad()
def _one_statistic(network: nn.Module) -> None:
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    statistics = [(layer.running_mean, layer.running_var) for layer in layers]
    _mean([each for pair in statistics for each in pair if each is not None])


def _mean(tensors: list[Tensor]) -> None:
    """Make each tensor its mean over all processes."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.data.copy_(part.view_as(tensor))  # autograd keeps statistics, but does not use them
