"""Answers of a learner, computed in one thread for all requests that wait."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from lord.serving.served import Answer, Served

MOST = 64
"""Images that are answered at a time, unless one request has more."""


@dataclass
class Waiting:
    """A request that waits for its answer."""

    served: Served
    images: Tensor
    top: int
    unknown: bool
    answer: "asyncio.Future[list[Answer]]"


class Batches:
    """Answers requests. Those that arrive while others are answered are answered together.

    Nobody waits for a batch to fill: it is what has come since the batch before it.

    Args:
        most: images of a batch; 1 for a batch a request.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self.waiting: deque[Waiting] = deque()
        self.task: asyncio.Task[None] | None = None

    async def answer(self, served: Served, images: Tensor, top: int, unknown: bool) -> list[Answer]:
        """Return the answers for N x C x H x W uint8 images of one request."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(served, images, top, unknown, future))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            batch = self._next()
            try:
                found = await loop.run_in_executor(self.thread, _answered, batch)
            except Exception as error:
                for each in batch:
                    _settle(each, error)
                continue
            for each, answers in zip(batch, found, strict=True):
                _settle(each, answers)

    def _next(self) -> list[Waiting]:
        """Return requests that still wait, with one learner and about as many images as allowed."""
        batch: list[Waiting] = []
        images = 0
        while self.waiting:
            first = self.waiting[0]
            if batch and (
                first.served is not batch[0].served or images + len(first.images) > self.most
            ):
                break
            self.waiting.popleft()
            if not first.answer.done():  # its request was given up
                batch.append(first)
                images += len(first.images)
        return batch


def _answered(batch: Sequence[Waiting]) -> list[list[Answer]]:
    if not batch:
        return []
    counts = [len(each.images) for each in batch]
    images = torch.cat([each.images for each in batch])
    top = [each.top for each in batch for _ in each.images]
    unknown = [each.unknown for each in batch for _ in each.images]
    answers = iter(batch[0].served.answer(images, top, unknown))
    return [[next(answers) for _ in range(count)] for count in counts]


def _settle(waiting: Waiting, found: list[Answer] | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(found, Exception):
        waiting.answer.set_exception(found)
    else:
        waiting.answer.set_result(found)
