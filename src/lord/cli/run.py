"""``lord run``: train one method on one stream."""

from pathlib import Path
from typing import Annotated, Literal

from lord.cli.console import console, continues, print_table, say
from lord.cli.flags import Flags, Switch, checked
from lord.config import parse_variant
from lord.config.types import Natural

EXAMPLES = """
lord run
lord run --method der++ --seed 3 --epochs 5
lord run --method lord+:pace=4 --data photos/ --out runs/photos
lord run --preset s-cifar10 --data cifar10/ --width 16 --epochs 5
lord run --config runs/digits-lord-seed0/config.yaml --out again
"""


def run(
    flags: Flags | None = None,
    *,
    method: str | None = None,
    seed: Annotated[int | None, checked(Natural)] = None,
    out: Path | None = None,
    overwrite: Switch = False,
    resume: Switch = False,
    track: Literal["tensorboard", "mlflow", "wandb"] | None = None,
    quiet: Switch = False,
) -> None:
    """Train one method on one stream.

    Parameters
    ----------
    method
        A method that 'lord methods' lists; lord by default. lord:rho=0.25 sets one of its settings.
    seed
        Random seed; 0 by default.
    out
        Folder for the results; by default runs/PRESET-METHOD-seedN.
    overwrite
        Replace results in that folder.
    resume
        Continue from the last checkpoint in that folder. The result is that of a run that was
        never stopped.
    track
        Also send figures to this experiment tracker.
    quiet
        Print no progress and no table.
    """
    import lord.training as training
    from lord.training.ranks import here

    arguments = (flags or Flags()).read()
    variant = parse_variant(method) if method else arguments.variant or "lord"
    seed = (arguments.seed or 0) if seed is None else seed
    config = training.compose(variant, arguments.given, preset=arguments.preset, seed=seed)
    out = out or Path("runs") / f"{config.preset}-{training.folder_name(config)}"
    shown = None if quiet or not here().first else console
    with continues(f"partial results are in {out}; the same command with --resume continues"):
        record = training.run(
            config, out, overwrite=overwrite, resume=resume, track=track, console=shown
        )
    if shown:
        print_table([record])
        say(f"results are in {out}")
