"""Answers of a learner, computed in one thread for all requests that wait."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from lord.config import UserError
from lord.serving.limits import Limits
from lord.serving.served import Answer, Served
from lord.serving.uploads import Upload, decode_upload

MOST = 64
"""Images that are answered at a time, unless one request has more."""
Answers = list[Answer | UserError]
"""For each image of a request, the answer, or why it could not be used."""


@dataclass
class Waiting:
    """A request that waits for its answers."""

    served: Served
    uploads: Sequence[Upload]
    top: int
    unknown: bool
    answers: "asyncio.Future[Answers]"


class Batches:
    """Answers requests. Those that arrive while others are answered are answered together.

    Nobody waits for a batch to fill: it is what has come since the batch before it.

    Args:
        limits: limits on size, time and number.
        threads: images that are decoded at a time.
        most: images of a batch; 1 for a batch a request.
    """

    def __init__(self, limits: Limits, threads: int, most: int = MOST) -> None:
        self.limits, self.most = limits, most
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self.decoders = ThreadPoolExecutor(threads, "decode") if threads > 1 else None
        self.waiting: deque[Waiting] = deque()
        self.task: asyncio.Task[None] | None = None

    async def answer(
        self, served: Served, uploads: Sequence[Upload], top: int, unknown: bool
    ) -> Answers:
        """Return the answers for the images of one request."""
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(served, uploads, top, unknown, future))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._work())
        return await future

    def stop(self) -> None:
        """End the threads."""
        for pool in (self.thread, self.decoders):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            try:
                found = await loop.run_in_executor(self.thread, self._answered, batch)
            except Exception as error:
                for each in batch:
                    if not each.answers.done():
                        each.answers.set_exception(error)
                continue
            for each, answers in zip(batch, found, strict=True):
                if not each.answers.done():
                    each.answers.set_result(answers)

    def _next(self) -> list[Waiting]:
        """Return requests that still wait, with one learner and about as many images as allowed."""
        batch: list[Waiting] = []
        images = 0
        while self.waiting:
            first = self.waiting[0]
            full = images + len(first.uploads) > self.most
            if batch and (full or first.served is not batch[0].served):
                break
            self.waiting.popleft()
            if not first.answers.done():  # else its request was given up
                batch.append(first)
                images += len(first.uploads)
        return batch

    def _answered(self, batch: Sequence[Waiting]) -> list[Answers]:
        served = batch[0].served

        def decoded(upload: Upload) -> Tensor | UserError:
            try:
                return decode_upload(upload, served.shape, self.limits)
            except UserError as error:
                return error

        images = list(self._map(decoded, [each for one in batch for each in one.uploads]))
        asked = [each for each in batch for _ in each.uploads]
        good = [row for row, image in enumerate(images) if isinstance(image, Tensor)]
        found: Answers = [each if isinstance(each, UserError) else Answer([]) for each in images]
        if good:
            pixels = torch.cat([each for each in images if isinstance(each, Tensor)])
            top = [asked[row].top for row in good]
            unknown = [asked[row].unknown for row in good]
            for row, answer in zip(good, served.answer(pixels, top, unknown), strict=True):
                found[row] = answer
        rest = iter(found)
        return [[next(rest) for _ in each.uploads] for each in batch]

    def _map(
        self, call: Callable[[Upload], Tensor | UserError], uploads: Sequence[Upload]
    ) -> Sequence[Tensor | UserError]:
        if self.decoders is None or len(uploads) == 1:
            return [call(each) for each in uploads]
        return list(self.decoders.map(call, uploads))
