"""The routes of the HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

from lord.config import UserError, first_line
from lord.serving.batches import Batches
from lord.serving.guard import RETRY, Guard, refusal
from lord.serving.limits import Limits
from lord.serving.metrics import TYPE, Metrics
from lord.serving.page import page
from lord.serving.reloading import Current
from lord.serving.schema import BODY, Classes, Health, Predictions, Refusal
from lord.serving.served import Answer, Served
from lord.serving.uploads import Upload, read_uploads

LOOK = 1.0
"""Seconds between looks at the state on disk."""
FALSE_ALARMS = 0.05
"""Share of images of known classes that may be called unknown."""


class Service:
    """A learner that answers requests.

    Args:
        current: the learner, which changes when a session ends.
        limits: limits on size, time and number.
        threads: images that are decoded at a time.
    """

    def __init__(self, current: Current, limits: Limits, threads: int) -> None:
        self.current, self.limits = current, limits
        self.metrics, self.batches = Metrics(current), Batches(limits, threads)

    @property
    def served(self) -> Served:
        """The learner that answers.

        Raises:
            HTTPException: 503 before the first session has ended.
        """
        if self.current.served is None:
            raise HTTPException(503, "no session has ended yet", RETRY)
        return self.current.served

    async def predict(
        self, served: Served, uploads: list[Upload], top: int, rate: float | None
    ) -> list[dict[str, Any]]:
        """Return a row for each image: its classes, or why it could not be used."""
        found = await self.batches.answer(served, uploads, top, rate is not None)
        self.metrics.images.inc(sum(isinstance(each, Answer) for each in found))
        self.metrics.refused.inc(sum(isinstance(each, UserError) for each in found))
        return [
            {"name": upload.name, "error": str(each)}
            if isinstance(each, UserError)
            else _row(upload, each, top, rate)
            for upload, each in zip(uploads, found, strict=True)
        ]

    async def follow(self) -> None:
        """Look at the state on disk again and again."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await asyncio.to_thread(self.current.refresh)
            except Exception as error:  # such as a lost mount, or a full disk under the output
                self.current.problem = first_line(error)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Inside, the state on disk is followed."""
        task = asyncio.create_task(self.follow())
        try:
            yield
        finally:
            task.cancel()
            self.batches.stop()


def _row(upload: Upload, answer: Answer, top: int, rate: float | None) -> dict[str, Any]:
    label, confidence = answer.top[0]
    row: dict[str, Any] = {"name": upload.name, "label": label, "confidence": confidence}
    if top > 1:
        row["top"] = [{"label": name, "confidence": value} for name, value in answer.top]
    if rate is not None and answer.unknown is not None:
        # Rounding must not decide on a share that is equal to the rate.
        row |= {"unknown": answer.unknown, "is_unknown": answer.unknown >= 1 - rate - 1e-9}
    return row


def make_app(
    current: Current,
    *,
    limits: Limits,
    token: str | None = None,
    threads: int = 1,
    log: Callable[[str], None] | None = None,
    report: Callable[[str], None] = print,
) -> ASGIApp:
    """Return the application that answers for a learner.

    Args:
        current: the learner.
        limits: limits on size, time and number.
        token: what clients must send; None for no token.
        threads: images that are decoded at a time.
        log: receives a line for each request; None for no log.
        report: receives the traceback of a defect.
    """
    service = Service(current, limits, threads)
    app = FastAPI(
        title="lord serve",
        summary="Classes of images, from a learner that goes on learning.",
        version="1",
        lifespan=service.lifespan,
        docs_url=None,  # these pages load scripts from other servers
        redoc_url=None,
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_predict(app, service)
    _add_others(app, service)
    paths = frozenset(getattr(route, "path", "") for route in app.routes)
    return Guard(app, limits, service.metrics, token, paths, log, report)


def _invalid(_: Request, error: Exception) -> Response:
    """Answer a wrong parameter in one line."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return refusal(422, f"{where}: {first['msg'][:200]}")


def _add_predict(app: FastAPI, service: Service) -> None:
    refusals: dict[int | str, dict[str, Any]] = {
        code: {"model": Refusal} for code in (400, 401, 408, 413, 415, 422, 503)
    }

    @app.post(
        "/predict",
        response_model=Predictions,
        responses=refusals,
        openapi_extra={"requestBody": BODY},
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=1000, description="Classes to tell.")] = 1,
        unknown: Annotated[
            bool, Query(description="Tell whether an image is of no class that was learned.")
        ] = False,
        false_alarms: Annotated[
            float,
            Query(ge=0, lt=1, description="Share of images of known classes called unknown."),
        ] = FALSE_ALARMS,
    ) -> Response:
        """Tell the most likely class of one or several images."""
        served, rate = service.served, false_alarms if unknown else None
        uploads = await read_uploads(request, service.limits)
        if rate is not None:
            try:
                served.check_rate(rate)
            except UserError as error:
                return refusal(422, str(error))
        rows = await service.predict(served, uploads, top, rate)
        status = 200 if any("label" in row for row in rows) else 422
        about = {"session": served.session, "version": served.version}
        if status == 422:
            about["detail"] = rows[0]["error"]
        return JSONResponse({**about, "images": rows}, status)


def _add_others(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=Health, responses={503: {"model": Health}})
    async def health() -> Response:
        """Tell whether a learner answers, and which one."""
        served, problem = service.current.served, service.current.problem
        if served is None:
            return JSONResponse({"status": "waiting", "problem": problem}, 503, RETRY)
        status = "stale" if problem else "ok"
        found = {"status": status, "session": served.session, "version": served.version}
        return JSONResponse(found | ({"problem": problem} if problem else {}))

    @app.get("/classes", response_model=Classes)
    async def classes() -> Response:
        """List the classes that were learned."""
        served = service.served
        names = served.learner.classes
        return JSONResponse(
            {"session": served.session, "version": served.version, "classes": names}
        )

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return counters in the format of Prometheus."""
        return Response(service.metrics.text(), media_type=TYPE)

    @app.get("/", response_class=HTMLResponse)
    async def start() -> Response:
        """Describe the API on a page without scripts."""
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(page(app.openapi()), headers=policy)
