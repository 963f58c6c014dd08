"""Whether rows are trained alike: optimizer, learning rate, schedule, epochs and batch size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lord.evaluation import RunRecord
from lord.reporting.names import as_text
from lord.reporting.rows import Row, variant_of

TRAINED = (
    *("optimizer", "lr", "momentum", "dampening", "nesterov", "beta1", "beta2", "eps", "amsgrad"),
    *("weight_decay", "schedule", "epochs", "flops_per_task", "realtime", "batch"),
)
"""Settings that say how a network is trained."""
EXPECTED = ("optimizer", "lr", "schedule", "epochs")
"""Settings that are shown whether or not they differ."""
PROPER = {
    **{"sgd": "SGD", "muon": "Muon", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam"},
    **{"radam": "RAdam", "adamax": "Adamax", "rmsprop": "RMSprop", "adagrad": "Adagrad"},
}
CLOSED = "closed form"
"""Optimizer of a head that is computed from sums."""
PLAIN = ("none", "false", "0")
"""Values that are not shown."""
FEW = 6
"""Most groups of rows that a warning lists."""


@dataclass(frozen=True)
class Trained:
    """How the variants of a comparison are trained.

    Attributes:
        differ: names of the settings that differ between rows.
        each: by name of a row, these settings in words. Empty if none differs.
        shared: the settings that all rows have in common, in words.
        warning: which rows differ in what, and how to compare at equal settings. None if they are
            trained alike.
    """

    differ: tuple[str, ...] = ()
    each: dict[str, str] = field(default_factory=dict)
    shared: str = ""
    warning: str | None = None


def training_of(
    settings: Mapping[str, object], variant: Mapping[str, str], epochs: float | None = None
) -> dict[str, str]:
    """Return the settings of a run that say how it is trained, as text.

    >>> training_of({"lr": 0.1, "width": 8}, {"momentum": "0.90"}, epochs=2.0)
    {'lr': '0.1', 'momentum': '0.9', 'epochs': '2'}

    Args:
        settings: settings of the run; records of old versions hold only some.
        variant: settings of the variant, for those that are not among ``settings``.
        epochs: epochs of the run, for records of old versions.
    """
    known = dict(variant) | ({} if epochs is None else {"epochs": f"{epochs}"})
    known |= as_text({name: value for name, value in settings.items() if name in TRAINED})
    if known.get("flops_per_task", "none").lower() != "none":
        known.pop("epochs", None)  # FLOPs decide when a task ends
    return {name: _plain(known[name]) for name in TRAINED if name in known}


def _plain(value: str) -> str:
    """Return a number in its shortest form, and other text in lower case."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value.lower()


def trained(rows: Iterable[Row]) -> Trained:
    """Return how rows are trained. The runs of a row are trained alike."""
    rows = list(rows)
    best = max(rows, key=accuracy_of, default=None)
    return compared(
        {row.name: training_of_record(row.records[0]) for row in rows}, best.name if best else ""
    )


def training_of_record(record: RunRecord) -> dict[str, str]:
    """Return the settings in a record that say how its run was trained, as text."""
    return training_of(record.settings, variant_of(record).settings, record.epochs)


def accuracy_of(row: Row) -> float:
    """Return the mean headline accuracy of a row."""
    return row.mean(lambda record: record.headline[0]) or 0.0


def compared(settings: Mapping[str, Mapping[str, str]], best: str) -> Trained:
    """Compare how variants are trained.

    >>> er, lord = {"optimizer": "sgd", "lr": "0.03"}, {"optimizer": "muon", "lr": "0.03"}
    >>> compared({"er": er, "lord+": lord}, best="lord+").each
    {'er': 'SGD', 'lord+': 'Muon'}

    Args:
        settings: by name of a variant, the settings that say how it is trained.
        best: name of the most accurate variant; the warning suggests its settings.
    """
    heads = {name: CLOSED for name, one in settings.items() if one.get("optimizer") == CLOSED}
    if heads:
        rest = compared({n: one for n, one in settings.items() if n not in heads}, best)
        each = {name: heads.get(name) or rest.each.get(name) or rest.shared for name in settings}
        return replace(rest, each=each, shared="")
    values = {name: {one.get(name) for one in settings.values()} for name in TRAINED}
    apart = [name for name in TRAINED if len(values[name]) > 1]
    alike = [name for name in TRAINED if len(values[name]) == 1 and None not in values[name]]
    first = next(iter(settings.values()), {})
    unequal = [name for name in apart if len(values[name] - {None}) > 1]
    return Trained(
        tuple(apart),
        {name: in_words(one, apart) for name, one in settings.items()} if apart else {},
        in_words(first, alike),
        _warning(settings, unequal, best) if unequal else None,
    )


def in_words(settings: Mapping[str, str], names: Sequence[str]) -> str:
    """Say in words how a run is trained.

    >>> in_words({"optimizer": "sgd", "lr": "0.03", "epochs": "2"}, TRAINED)
    'SGD lr 0.03, 2 epochs'
    """
    told = [name for name in names if name in EXPECTED or settings.get(name) not in PLAIN]
    known = [name for name in told if settings.get(name, "none") != "none"]
    parts = [_in_words(name, settings[name]) for name in known]
    if known[:2] == ["optimizer", "lr"]:
        parts[:2] = [" ".join(parts[:2])]
    return ", ".join(parts)


def _in_words(name: str, value: str) -> str:
    if name == "optimizer":
        return PROPER.get(value, value)
    if name == "epochs":
        return f"{value} epoch{'s' * (value != '1')}"
    if name == "flops_per_task":
        return f"{value} FLOPs per task"
    return value if name == "schedule" else f"{name.replace('_', ' ')} {value}"


def _warning(
    settings: Mapping[str, Mapping[str, str]], unequal: Sequence[str], best: str
) -> str | None:
    """Return which variants differ from the best in what, and how to compare at equal settings."""
    wanted = settings.get(best, {})
    groups: dict[tuple[str, ...], list[str]] = {}
    for variant, own in settings.items():
        known = [name for name in unequal if name in own and name in wanted]
        if differ := tuple(name for name in known if own[name] != wanted[name]):
            groups.setdefault(differ, []).append(variant)
    parts = [
        f"{_listed(names)} ({', '.join(differ).replace('_', ' ')})"
        for differ, names in groups.items()
    ]
    if not parts:
        return None  # no run has ended, or the record of the best is too old to say
    parts[FEW:] = ["and other rows"] if len(parts) > FEW else []
    equal = [f"`{name}` {wanted[name]}" for name in unequal if wanted.get(name, "none") != "none"]
    return (
        f"Not all rows are trained like {best}, which has the highest accuracy. What differs: "
        f"{'; '.join(parts)}. For an equal comparison, run all rows with {_listed(equal)}."
    )


def _listed(words: Sequence[str]) -> str:
    """Join words as in a sentence.

    >>> _listed(["er", "lord", "sgd"])
    'er, lord and sgd'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
