"""``lord compare``: several methods, several seeds, one table."""

from pathlib import Path

from lord.cli.console import say
from lord.cli.flags import Execution, Flags, Switch
from lord.cli.study import run_study, seeds_in, variants_in

EXAMPLES = """
lord compare
lord compare --methods sgd,er,lord+ --seeds 5 --data photos/
lord compare --methods er,er:epochs=5,tuned=der++:lr=0.05:momentum=0.9
lord compare --preset s-cifar10 --data cifar10/ --width 16 --epochs 5
lord compare --config runs/tune-digits/best.yaml --methods er,lord
"""


def compare(
    flags: Flags | None = None,
    execution: Execution | None = None,
    *,
    methods: str = "sgd,er,der++,lord",
    seeds: str = "3",
    out: Path | None = None,
    overwrite: Switch = False,
) -> None:
    """Run several methods with several seeds, and put them in one table.

    If a comparison is stopped, the same command continues it. Finished runs are not repeated.

    Parameters
    ----------
    methods
        Methods, separated by commas. METHOD:SETTING=VALUE:... is a variant with settings of its
        own, and NAME=METHOD:SETTING=VALUE:... gives it a name in tables and folders.
    seeds
        Number of seeds, from 0 on; or the seeds, such as 7,8,9. A single one has a comma: 7,
    out
        Folder for the results; by default runs/compare-PRESET.
    overwrite
        Repeat finished runs.
    """
    from lord.reporting.conclusion import conclusion
    from lord.training import compose

    arguments, variants = (flags or Flags()).read(), variants_in(methods)
    first = compose(variants[0], arguments.given, preset=arguments.preset, beside=variants)
    out = out or Path("runs") / f"compare-{first.preset}"
    execution = execution or Execution()
    records = run_study(variants, seeds_in(seeds), out, arguments, execution, overwrite=overwrite)
    say(conclusion(records))
