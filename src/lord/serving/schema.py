"""The answers of the API, as its OpenAPI page describes them."""

from typing import Any, Literal

from pydantic import BaseModel

IMAGE = {"schema": {"type": "string", "format": "binary"}}
BODY: dict[str, Any] = {
    "required": True,
    "description": "An image, or a form with one or several image files under any names.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "image": {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
            }
        },
        "image/*": IMAGE,
        "application/octet-stream": IMAGE,
    },
}


class Ranked(BaseModel):
    """A class with its probability."""

    label: str
    confidence: float


class ImageAnswer(BaseModel):
    """What the learner says of one image, or why it could not be used."""

    name: str
    label: str | None = None
    confidence: float | None = None
    top: list[Ranked] | None = None
    unknown: float | None = None
    is_unknown: bool | None = None
    error: str | None = None


class Predictions(BaseModel):
    """The answer for the images of a request, by one version of the learner."""

    session: int
    version: str
    images: list[ImageAnswer]


class Health(BaseModel):
    """Whether a learner answers: ok, stale if a newer one cannot be read, or waiting."""

    status: Literal["ok", "stale", "waiting"]
    session: int | None = None
    version: str | None = None
    problem: str | None = None


class Classes(BaseModel):
    """The classes that were learned, in the order in which they came."""

    session: int
    version: str
    classes: list[str]


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: str
