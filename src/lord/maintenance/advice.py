"""What to do next with a learner, by rules."""

import shlex
from collections.abc import Iterator

from msgspec import structs

from lord.evaluation.inspection import Advice, Inspection

FEW = 10
"""Images of a class below which none of them is held out."""
MISSED, MEASURED = 60.0, 5
"""A class is weak below this recall in percent, if it is measured on so many images at least."""
FORGOTTEN = 5.0
"""Points of forgetting from which on something should be done."""
CONFUSED = 0.3
"""Share of a class's held-out images predicted as one other class that is worth a look."""
DRIFTED = 0.05
"""p-value of drift below which it is mentioned."""
SHORT = 20
"""Steps of a session below which it is too short to learn from."""
NAMED = 5
"""Classes that are named in one piece of advice, at most."""


def advised(found: Inspection) -> Inspection:
    """Return what was found with advice, the most urgent first."""
    return structs.replace(found, advice=list(_rules(found)))


def _rules(found: Inspection) -> Iterator[Advice]:
    yield from _unfinished(found)
    if not found.sessions:
        return
    yield from _data(found)
    yield from _accuracy(found)
    if found.drift and found.drift.p < DRIFTED:
        yield Advice(
            text=f"The last session's images differ from earlier ones (shift "
            f"{found.drift.shift:.2f}, p = {found.drift.p:.3g}). If new images will look like "
            "them, learn more of them; if not, look for a cause, such as a changed camera."
        )


def _unfinished(found: Inspection) -> Iterator[Advice]:
    opened, state = found.unfinished, shlex.quote(found.state)
    if opened is None or opened.running:
        return
    source = shlex.quote(opened.source) if opened.source else "FOLDER"
    where = f"of '{opened.source}' " if opened.source else ""
    yield Advice(
        text=f"The session {where}was interrupted after {opened.steps} steps. The same command "
        "continues it; 'lord learn --abandon' drops it.",
        command=f"lord learn {source} --state {state}",
    )


def _data(found: Inspection) -> Iterator[Advice]:
    few = [
        f"{name} ({number})"
        for name, number in zip(found.classes, found.given, strict=False)
        if number < FEW
    ]
    if few:
        yield Advice(
            text=f"Few images: {_listed(few)}. With fewer than {FEW} in a session, none is held "
            "out, so accuracy on the class is not known. Add more."
        )
    elif found.held_out is None:
        yield Advice(
            text=f"No image is held out, so accuracy is not known. A class needs {FEW} images in "
            "one session."
        )


def _accuracy(found: Inspection) -> Iterator[Advice]:
    last = found.sessions[-1]
    if found.forgetting is not None and found.forgetting >= FORGOTTEN and not found.network:
        yield Advice(
            text=f"Held-out accuracy of earlier sessions fell by {found.forgetting:.1f} points on "
            f"average, because more classes can be confused. {found.method} forgets nothing, so "
            "learning again does not help. A new learner with larger images ('lord learn "
            "--resize') may do better."
        )
    elif found.forgetting is not None and found.forgetting >= FORGOTTEN:
        what = "Earlier sessions were forgotten"
        if 0 < last.steps < SHORT:
            what += f", and the last session had only {last.steps} steps"
        yield Advice(
            text=f"{what}: their held-out accuracy fell by {found.forgetting:.1f} points on "
            "average. A larger buffer or more epochs help. The method slda does not forget."
        )
    held = found.held_out
    if held is None:
        return
    weak = [each for each in held.classes if each.images >= MEASURED]
    weak = sorted((e for e in weak if (e.recall or 0) < MISSED), key=lambda e: e.recall or 0)
    if weak:
        names = _listed([f"{each.name} ({each.right} of {each.images})" for each in weak])
        yield Advice(
            text=f"Held-out images that are recognised least: {names}. Learn more images of them; "
            "'lord suggest' chooses which ones to label.",
            command=f"lord suggest {shlex.quote(found.state)} FOLDER",
        )
    sizes = {each.name: each.images for each in held.classes}
    for pair in held.confusions:
        whole = sizes[pair.label]
        if whole >= MEASURED and pair.images >= CONFUSED * whole:
            yield Advice(
                text=f"{pair.images} of {whole} held-out images of {pair.label} are predicted as "
                f"{pair.predicted}. Look at their labels, and whether the two classes should be "
                "one."
            )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
