"""A record of pictures that a learner forgot on request, without the pictures."""

from collections.abc import Iterable

import msgspec


class Forgotten(msgspec.Struct):
    """What was forgotten at one time.

    Attributes:
        date: day and time in UTC, in ISO format.
        images: number of images.
        classes: number of images by the name of their class at that time.
        exact: whether the learner is as if it had never learned them, up to rounding. Trained
            weights are not.
        digests: a digest of each image in hexadecimal, so that it is not learned again by mistake.
            See ``digest_of``.
    """

    date: str
    images: int
    classes: dict[str, int]
    exact: bool
    digests: list[str]


def forgotten_digests(records: Iterable[Forgotten]) -> set[bytes]:
    """Return the digests of all images that were forgotten."""
    return {bytes.fromhex(digest) for record in records for digest in record.digests}
