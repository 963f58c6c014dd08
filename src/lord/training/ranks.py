"""One run on many processes: each passes a share of every batch through the network.

Every process runs the whole method, with the same draws, buffer, growth and search. Only passes
are split. The network splits its input and gathers its output, so that the method sees the logits
of all images on every process. Before an optimizer steps, gradients are averaged.

DistributedDataParallel allows one module and one backward pass only. Here a student is replaced as
it grows, lends its weights to a teacher's module, and has several backward passes per step.

Two things differ from a run on one process. Batch-norm normalises each share separately. Running
statistics are the mean over shares (DistributedDataParallel keeps those of the first process).
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
    """The number of this process, and how many processes there are."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def shares(self, rows: int) -> list[int]:
        """Return the number of a batch's rows for each process.

        A batch too small to split has one entry: each process takes all of it.
        """
        if rows < 2 * self.world:
            return [rows]
        return [(rows + self.world - 1 - rank) // self.world for rank in range(self.world)]

    def agree(self, act: Callable[[], object]) -> None:
        """Let the first process call ``act``, while the others wait.

        Raises:
            UserError: on all processes, if ``act`` raised one on the first.
        """
        failure: list[UserError | None] = [None]
        if self.first:
            try:
                act()
            except UserError as error:
                failure = [error]
        if self.world > 1:
            dist.broadcast_object_list(failure)
        if failure[0] is not None:
            raise failure[0]


SINGLE = Ranks()


def here() -> Ranks:
    """Return the numbers that torchrun gave this process. Without torchrun, it is the only one."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Connect the processes of a run, and average gradients before each optimizer step.

    Raises:
        LostError: if another process is lost, or this one receives SIGTERM. torchrun sends SIGTERM
            to the others when one is lost, perhaps before they notice it.
    """
    ranks = here()
    if ranks.world == 1:
        yield ranks
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # The first optimizer imports torch._dynamo. A process group that existed by then would be kept
    # alive, and its threads could abort the process when the interpreter exits.
    import_module("torch._dynamo")
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: _average_gradients(optimizer))
    before = signal.signal(signal.SIGTERM, partial(_on_sigterm, ranks))
    try:
        yield ranks
    except RuntimeError as error:
        message = first_line(error)
        if "gloo" not in message.lower() and not isinstance(error, dist.DistError):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process is ending
        raise _lost(ranks, "lost another process") from None
    finally:
        handle.remove()
    signal.signal(signal.SIGTERM, before)
    dist.barrier()  # the others would take a process that ends early for lost
    dist.destroy_process_group()


def _on_sigterm(ranks: Ranks, number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise _lost(ranks, "received SIGTERM, or another process is lost")


def _lost(ranks: Ranks, what: str) -> LostError:
    return LostError(
        f"process {ranks.rank} of {ranks.world} {what}",
        hint="repeat the command with `resume` to continue from the last checkpoint",
    )


def spread(network: nn.Module, ranks: Ranks) -> None:
    """Let this process pass only its share of each batch through a network and copies of it."""
    if ranks.world == 1:
        return
    rows: list[int] = []  # sizes of the batches being passed

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
            _average_statistics(module)
        return _Gathered.apply(out, shares, ranks.rank)

    network.register_forward_pre_hook(split)
    network.register_forward_hook(gather)


class _Gathered(torch.autograd.Function):
    """The outputs of all shares.

    Each process computes gradients from all outputs, and these are then averaged. So a share's
    gradient is multiplied by the number of processes.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, shares: list[int], rank: int) -> Tensor:
        ctx.shares, ctx.rank = shares, rank
        padded = output.new_zeros((max(shares), *output.shape[1:]))
        padded[: len(output)] = output
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].split(ctx.shares)[ctx.rank]
        return gradient * len(ctx.shares), None, None


def _average_gradients(optimizer: Optimizer) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    _mean([p.grad for p in parameters if p.grad is not None])


@torch.no_grad()
def _average_statistics(network: nn.Module) -> None:
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    statistics = [(layer.running_mean, layer.running_var) for layer in layers]
    _mean([each for pair in statistics for each in pair if each is not None])


def _mean(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        # Autograd saved the statistics but does not read them, so it need not see the change.
        tensor.data.copy_(part.view_as(tensor))
