"""The search for settings. No torch here until it runs: help must be quick."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lord.cli.flags import Flags, Where, Whole


def tune(
    flags: Flags | None = None,
    where: Where | None = None,
    *,
    methods: str = "er,lord",
    space: Annotated[list[str] | None, Parameter(negative=())] = None,
    trials: Whole | None = None,
    flops: float | None = None,
    on: Literal["held-out", "test-stream"] = "held-out",
    seed: Whole = 0,
    out: Path | None = None,
) -> None:
    """Search for the best settings of methods, with the same effort for each.

    By default on the first task only (--stop-after K for the first K; then trials below the median
    at a task's end are stopped), scored on training images held out: --validation says how many.
    Leaves trials.csv, best.yaml for 'lord compare --config', and tuning.json. A search that was
    stopped goes on when the same command is given again.

    lord tune --preset s-cifar10 --data cifar10/ --width 16 --subset 0.2 --epochs 1 --buffer 500
    --methods er,lord --space lr=0.01..0.3:log --stop-after 3 --space lord.rho=0.5,1 --flops 3e13

    Parameters
    ----------
    methods
        Names, separated by commas.
    space
        A setting and its values: lr=0.01..0.3:log, epochs=1..5, replay=16,32, or lord.rho=0.25..1
        for one method; once for each setting.
    trials
        Runs in all, shared equally among the methods.
    flops
        Training FLOPs in all, shared equally among the methods: a first trial of each tells what
        one costs; after that none is begun that would exceed them.
    on
        held-out: training images that are not trained on; test-stream: the test images, after
        which no figure on them is independent any more.
    seed
        Of the search and of every run.
    out
        Folder for the results; by default runs/tune-PRESET.
    """
    from lord.cli import tuned

    tuned.tune(
        flags or Flags(), where or Where(), methods, space or [], trials, flops, on, seed, out
    )
