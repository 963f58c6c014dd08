"""The command that makes one run again."""

import shlex
from collections.abc import Collection
from pathlib import Path

NOT_OF_A_RUN = {"--methods", "--method", "--study", "--seeds", "--seed", "--out", "--jobs"}
NOT_OF_A_RUN |= {"--engine", "--address", "--overwrite"}
OF_SOME_METHODS = ("--buffer", "--replay", "--statistics")


def repeat(
    study: str, label: str, seed: int, folder: Path | None, settings: Collection[str] = ()
) -> str:
    """The command of one run of a study, or of a run whose folder holds its configuration.

    Args:
        study: the command of the comparison the run belongs to; empty if there is none.
        folder: of the run, if its configuration is there.
        settings: names of all its settings, where known: others are left out of the command.

    >>> repeat("lord compare --width 16 --seeds 3 --methods er,lord", "lord", 2, None)
    'lord run --width 16 --method lord --seed 2'
    >>> repeat("lord compare --buffer 9 --set rho=1 --methods er,sgd", "sgd", 0, None, ["lr"])
    'lord run --method sgd --seed 0'
    >>> repeat("", "lord", 2, Path("runs/lord-seed2"))
    'lord run --config runs/lord-seed2/config.yaml --out again'
    """
    try:
        words = shlex.split(study)
    except ValueError:
        words = []
    if words[:2] not in (["lord", "compare"], ["lord", "ablate"]):
        if folder is None:
            return ""
        return shlex.join(
            ["lord", "run", "--config", str(folder / "config.yaml"), "--out", "again"]
        )
    groups: list[list[str]] = []  # a flag and its values
    for word in words[2:]:
        if word.startswith("--") or not groups:
            groups.append([word])
        else:
            groups[-1].append(word)
    kept = []
    for flag, *values in groups:
        name, _, value = flag.partition("=")
        if name == "--set" and settings:
            own = [value] if value else values
            known = [v for v in own if v.partition("=")[0].rpartition(".")[2] in settings]
            kept += ["--set", *known] if known else []
        elif name not in NOT_OF_A_RUN and (
            not settings or name not in OF_SOME_METHODS or name.removeprefix("--") in settings
        ):
            kept += [flag, *values]
    return shlex.join(["lord", "run", *kept, "--method", label, "--seed", str(seed)])
