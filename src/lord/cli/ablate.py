"""``lord ablate``: what each part of a method contributes."""

from pathlib import Path

from lord.cli.flags import Execution, Flags, Switch
from lord.cli.study import run_study, seeds_in
from lord.config import UserError, choose

EXAMPLES = """
lord ablate
lord ablate --method lord+ --study rehearsal --seeds 5
lord ablate --method er --variants replay=16,replay=16:epochs=2
lord ablate --preset s-cifar10 --data cifar10/ --width 16 --epochs 5
"""
FIRST = "redundancies"
"""The study where none is named."""


def ablate(
    flags: Flags | None = None,
    execution: Execution | None = None,
    *,
    method: str = "lord",
    study: str | None = None,
    variants: str | None = None,
    seeds: str = "3",
    out: Path | None = None,
    overwrite: Switch = False,
) -> None:
    """Run a method without some of its parts, and show what each costs and contributes.

    If an ablation is stopped, the same command continues it. Finished runs are not repeated.

    Parameters
    ----------
    method
        A method. lord and lord+ have studies; any other needs variants.
    study
        redundancies, the default: leave out parts of LoRD, one by one and together. rehearsal:
        other ways to spend the same FLOPs on rehearsal; variants that replay less train longer.
    variants
        Settings to compare with the method as it is, in place of a study. alpha=0,beta=0:rho=0.5
        are two variants; the second has two settings.
    seeds
        Number of seeds, from 0 on; or the seeds, such as 7,8,9. A single one has a comma: 7,
    out
        Folder for the results; by default runs/ablate-METHOD-STUDY-PRESET, or
        runs/ablate-METHOD-PRESET for variants.
    overwrite
        Repeat finished runs.
    """
    import lord.studies as studies
    from lord.methods import METHODS
    from lord.training import compose

    arguments = (flags or Flags()).read()
    choose("method", method, METHODS)
    whole = compose(method, arguments.given, preset=arguments.preset)
    if variants is None:
        compared = studies.variants(method, study or FIRST, whole.training.epochs)
        name = f"ablate-{method}-{study or FIRST}-{whole.preset}"
    elif study is None:
        compared, name = studies.named_variants(method, variants), f"ablate-{method}-{whole.preset}"
    else:
        raise UserError("cannot be combined with `study`", field="variants", given=variants)
    run_study(
        compared,
        seeds_in(seeds),
        out or Path("runs") / name,
        arguments,
        execution or Execution(),
        overwrite=overwrite,
        against=compared[0],
    )
