"""``lord ablate``: what each part of LoRD contributes."""

from pathlib import Path

from lord.cli.flags import Execution, Flags, Switch
from lord.cli.study import run_study, seeds_in
from lord.config import choose

EXAMPLES = """
lord ablate
lord ablate --method lord+ --study rehearsal --seeds 5
lord ablate --preset s-cifar10 --data cifar10/ --width 16 --epochs 5
"""


def ablate(
    flags: Flags | None = None,
    execution: Execution | None = None,
    *,
    method: str = "lord",
    study: str = "redundancies",
    seeds: str = "3",
    out: Path | None = None,
    overwrite: Switch = False,
) -> None:
    """Run LoRD without some of its parts, and show what each costs and contributes.

    If an ablation is stopped, the same command continues it. Finished runs are not repeated.

    Parameters
    ----------
    method
        lord or lord+.
    study
        redundancies: leave out parts of LoRD, one by one and together. rehearsal: other ways to
        spend the same FLOPs on rehearsal; variants that replay less train longer.
    seeds
        Number of seeds, from 0 on; or the seeds, such as 7,8,9. A single one has a comma: 7,
    out
        Folder for the results; by default runs/ablate-METHOD-STUDY-PRESET.
    overwrite
        Repeat finished runs.
    """
    import lord.studies as studies
    from lord.training import compose

    arguments = (flags or Flags()).read()
    choose("method", method, studies.ABLATIONS)
    choose("study", study, studies.ABLATIONS[method])
    whole = compose(method, arguments.given, preset=arguments.preset)
    variants = studies.variants(method, study, whole.training.epochs)
    run_study(
        variants,
        seeds_in(seeds),
        out or Path("runs") / f"ablate-{method}-{study}-{whole.preset}",
        arguments,
        execution or Execution(),
        overwrite=overwrite,
        against=variants[0],
    )
