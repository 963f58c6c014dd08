"""Ablations: variants of a method in which a part is left out or replaced."""

import re

from lord.config import UserError, Variant, assigned, choose, parse_variant

LORD = {
    "redundancies": {
        "": 1.0,
        "growth=none": 1.0,
        "growth=preserving": 1.0,
        "candidates=0": 1.0,
        "distill=0": 1.0,
        "admission=0": 1.0,
        "rho=0.25": 1.0,
        "growth=none:distill=0": 1.0,
        "growth=none:admission=0": 1.0,
        "distill=0:admission=0": 1.0,
        "growth=none:distill=0:admission=0": 1.0,
    },
    "rehearsal": {
        "distill=0": 1.0,
        "distill=0:rho=0.25": 2.0,
        "distill=0:draws=1": 1.5,
        "distill=0:draws=1:replay=16": 2.0,
        "distill=0:tau=1": 1.0,
        "distill=0:rho=0.25:tau=1": 2.0,
        "distill=0:draws=1:tau=1": 1.5,
        "distill=0:admission=0": 1.0,
        "distill=0:admission=0:keep=balanced": 1.0,
    },
}
PLUS = {
    "redundancies": {
        "": 1.0,
        "growth=none": 1.0,
        "growth=plain": 1.0,
        "pace=4": 1.0,
        "distill=0.05": 1.0,
        "admission=0": 1.0,
        "alpha=0": 1.0,
        "tau=0": 1.0,
        "merged=false:beta=1": 1.0,
        "optimizer=sgd:lr=0.1:momentum=0:weight_decay=0": 1.0,
        "optimizer=sgd:lr=0.1:momentum=0:weight_decay=0:schedule=constant": 1.0,
    },
    "rehearsal": {
        "": 1.0,
        "replay=16": 4 / 3,
        "rho=0.5": 4 / 3,
        "admission=0": 1.0,
        "admission=0:keep=balanced": 1.0,
    },
}
ABLATIONS: dict[str, dict[str, dict[str, float]]] = {"lord": LORD, "lord+": PLUS}
"""Method -> study -> settings -> epochs as a multiple of the first variant's.

The others are compared with the first variant. Variants that replay less train longer, so that all
cost about the same."""


def variants(method: str, study: str, epochs: int) -> list[Variant]:
    """Return the variants of a study. The others are compared with the first one.

    >>> [variant.text for variant in variants("lord+", "rehearsal", 3)][:2]
    ['lord+', 'lord+:replay=16:epochs=4']

    Args:
        method: name of the method.
        study: name of the study.
        epochs: epochs of the first variant.

    Raises:
        UserError: if the method has no studies, or none of this name.
    """
    if method not in ABLATIONS:
        raise UserError(
            "has no study of its parts",
            field="method",
            given=method,
            allowed=f"one of {', '.join(ABLATIONS)}",
            hint="set `variants` to compare settings of it, such as replay=16",
        )
    choose("study", study, ABLATIONS[method])
    found = []
    for settings, times in ABLATIONS[method][study].items():
        text = ":".join(part for part in (method, settings) if part)
        if (longer := round(times * epochs)) != epochs:
            text += f":epochs={longer}"
        found.append(parse_variant(text))
    return found


def named_variants(method: str, text: str) -> list[Variant]:
    """Return a method as it is, and its variants with other settings.

    >>> [variant.text for variant in named_variants("er", "replay=16,replay=16:epochs=2")]
    ['er', 'er:replay=16', 'er:replay=16:epochs=2']

    Args:
        method: name of the method.
        text: variants, separated by commas. Settings of one are separated by colons.

    Raises:
        UserError: if one has another form or occurs twice, or there is none.
    """
    texts = [each.strip() for each in text.split(",") if each.strip()]
    if not texts or len(set(texts)) < len(texts):
        allowed = "different variants separated by commas, such as replay=16,replay=16:epochs=2"
        raise UserError(field="variants", given=text, allowed=allowed)
    for each in texts:
        for setting in re.split(r":(?=[^:=]+=)", each):
            assigned(setting, field="variants")
    return [Variant(method), *(parse_variant(f"{method}:{each}") for each in texts)]
