"""What to take away, or to do otherwise, to see what it was worth: settings of LoRD's variants."""

LORD = {
    "redundancies": {
        "": 1.0,
        "growth=none": 1.0,
        "growth=preserving": 1.0,
        "pruned=false": 1.0,
        "distill=0": 1.0,
        "distill_every=8": 1.0,
        "admission=0": 1.0,
        "rho=0.25": 1.0,
        "growth=none:distill=0": 1.0,
        "growth=none:admission=0": 1.0,
        "distill=0:admission=0": 1.0,
        "growth=none:distill=0:admission=0": 1.0,
        "growth=preserving:distill_every=8": 1.0,
    },
    "rehearsal": {
        "distill=0": 1.0,
        "distill=0:rho=0.25": 2.0,
        "distill=0:every=4": 2.0,
        "distill=0:draws=1": 1.5,
        "distill=0:draws=1:replay=16": 2.0,
        "distill=0:start=1": 1.25,
        "distill=0:late=0.75": 2.0,
        "distill=0:tau=1": 1.0,
        "distill=0:rho=0.25:tau=1": 2.0,
        "distill=0:draws=1:tau=1": 1.5,
        "distill=0:admission=0": 1.0,
        "distill=0:admission=0:keep=balanced": 1.0,
        "distill=0:admission=0:keep=losses": 1.0,
    },
}
PLUS = {
    "redundancies": {
        "": 1.0,
        "growth=none": 1.0,
        "growth=plain": 1.0,
        "pace=4": 1.0,
        "distill=0.05": 1.0,
        "distill=0.05:distill_every=8": 1.0,
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
        "every=2": 4 / 3,
        "start=1": 1.0,
        "late=0.5": 4 / 3,
        "admission=0": 1.0,
        "admission=0:keep=balanced": 1.0,
        "admission=0:keep=losses": 1.0,
    },
}
ABLATIONS: dict[str, dict[str, dict[str, float]]] = {"lord": LORD, "lord+": PLUS}
"""Method -> study -> settings -> times as many epochs as the first variant, with which the
others are compared: so variants that replay less spend what they save on longer training."""


def variants(method: str, study: str, epochs: int) -> list[str]:
    """Labels of a study's variants; the first is what the others are compared with.

    >>> variants("lord+", "rehearsal", 3)[:2]
    ['lord+', 'lord+:replay=16:epochs=4']
    """
    labels = []
    for settings, times in ABLATIONS[method][study].items():
        longer = f"epochs={round(times * epochs)}" if round(times * epochs) != epochs else ""
        labels.append(":".join(part for part in (method, settings, longer) if part))
    return labels
