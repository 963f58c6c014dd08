"""The command that repeats one run."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from lord.config import main_name, typed
from lord.evaluation.record import Value
from lord.reporting.names import Shown

FLAGS = ("preset", "plugin")
"""Settings that are given as flags. All others are given with ``--set``."""


def repeat_from_file(folder: Path, config: Mapping[str, object]) -> str:
    """Return the command that repeats the run in a folder, from its configuration file.

    >>> repeat_from_file(Path("runs/lord-seed2"), {})
    'lord run --config runs/lord-seed2/config.yaml --out again'

    Args:
        folder: folder of the run, with a copy of its plug-in if it had one.
        config: its configuration.
    """
    words = ["lord", "run", "--config", str(folder / "config.yaml")]
    sources = config.get("plugin")
    if isinstance(sources, dict) and sources:
        words += ["--plugin", str(folder / "plugin" / main_name(sources))]
    return shlex.join([*words, "--out", "again"])


def repeat_from_settings(
    variant: Shown, seed: int, given: Mapping[str, Value], known: Collection[str]
) -> str:
    """Return the command that repeats a run of a comparison, from the comparison's settings.

    Args:
        variant: variant of the run.
        seed: seed of the run.
        given: settings of the comparison. ``lord.rho`` is a setting of one method.
        known: names of the run's settings; others are left out. Empty if they are not known.

    >>> given = {"preset": "digits", "width": 16, "rho": 1.0, "lord.lr": 0.1}
    >>> repeat_from_settings(Shown("er", {}), 2, given, known=["width", "lr"])
    'lord run --method er --seed 2 --preset digits --set width=16'
    """
    words = ["lord", "run", "--method", variant.text, "--seed", str(seed)]
    for name in FLAGS:
        if name in given:
            words += [f"--{name}", typed(given[name])]
    for name, value in given.items():
        owner, _, setting = name.rpartition(".")
        if name in FLAGS or owner not in ("", variant.method):
            continue
        if not known or setting in known:
            words += ["--set", f"{name}={typed(value)}"]
    return shlex.join(words)
