"""The command that makes one run again."""

import shlex
from pathlib import Path

NOT_OF_A_RUN = {"--methods", "--method", "--study", "--seeds", "--seed", "--out", "--jobs"}
SWITCHES = {"--overwrite"}


def repeat(study: str, label: str, seed: int, folder: Path | None) -> str:
    """The command of one run of a study, or of a run whose folder holds its configuration.

    Args:
        study: the command of the comparison the run belongs to; empty if there is none.
        folder: of the run, if its configuration is there.

    >>> repeat("lord compare --width 16 --seeds 3 --methods er,lord", "lord", 2, None)
    'lord run --width 16 --method lord --seed 2'
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
    kept, rest = [], iter(words[2:])
    for word in rest:
        name, given, _ = word.partition("=")
        if name in NOT_OF_A_RUN:
            if not given:
                next(rest, None)
        elif name not in SWITCHES:
            kept.append(word)
    return shlex.join(["lord", "run", *kept, "--method", label, "--seed", str(seed)])
