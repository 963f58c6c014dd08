"""``lord tune``: search for the best settings of methods."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from lord.cli.console import command_line, continues, say, show
from lord.cli.flags import Execution, Flags, checked
from lord.cli.study import seeds_in, variants_in
from lord.config.types import Natural

if TYPE_CHECKING:
    from optuna import Study

    from lord.studies.tune import Tuning

EXAMPLES = """
lord tune --methods er --space lr=0.01..0.3:log --trials 20
lord tune --space lr=0.01..0.3:log --space lord.rho=0.5,1 --flops 3e13
lord tune --space lr=0.01..0.3:log --stop-after 3 --trials 40
"""
SHOWN = 5
"""Best trials of a method in the table."""


def tune(
    flags: Flags | None = None,
    execution: Execution | None = None,
    *,
    methods: str = "er,lord",
    space: Annotated[list[str] | None, Parameter(negative=())] = None,
    trials: Annotated[int | None, checked(int)] = None,
    flops: float | None = None,
    on: Literal["held-out", "test-stream"] = "held-out",
    seed: Annotated[int, checked(Natural)] = 0,
    seeds: str | None = None,
    out: Path | None = None,
) -> None:
    """Search for the best settings of methods, with the same effort for each.

    Trials learn only the first task, unless --stop-after K says the first K tasks. With several
    tasks, a trial is stopped when it is below the median at the end of a task. Trials are scored on
    held-out training images, whose share --validation sets.

    The search writes trials.csv, tuning.json, and best.yaml for 'lord compare --config'. If it is
    stopped, the same command continues it.

    Parameters
    ----------
    methods
        Methods, separated by commas.
    space
        A setting and its values: lr=0.01..0.3:log, epochs=1..5 or replay=16,32. lord.rho=0.25..1
        is for one method only. Give it once for each setting.
    trials
        Number of trials, shared equally among the methods.
    flops
        Training FLOPs, shared equally among the methods. The first trial of each method shows what
        one costs; no later one begins that would exceed the limit.
    on
        held-out: score training images that are not trained on. test-stream: score the test images,
        after which no result on them is independent.
    seed
        Random seed of the search, and of every run without --seeds.
    seeds
        Seeds of the runs of each trial, such as 7,8,9, or their number, from 0 on. The mean of
        their accuracies is the trial's.
    out
        Folder for the results; by default runs/tune-PRESET.
    """
    import lord.studies.tune as search

    execution, arguments = execution or Execution(), (flags or Flags()).read()
    plan = search.make_plan(
        variants_in(methods),
        arguments.given,
        search.parse_space(space or []),
        preset=arguments.preset,
        seed=seed,
        seeds=seeds_in(seeds) if seeds else (),
        trials=trials,
        flops=flops,
        on=on,
    )
    out = out or Path("runs") / f"tune-{plan.preset}"
    with continues(f"trials are in {out}; the same command continues"):
        studies = search.tune(
            plan,
            out,
            jobs=execution.jobs,
            engine=execution.engine,
            address=execution.address,
            plugin=arguments.plugin,
            report=say,
        )
    _show(search.write_tuning(plan, studies, out, command_line()), studies)
    say(f"The best settings are in {out / 'best.yaml'}. Beside it: trials.csv, tuning.json.")


def _show(tuning: "Tuning", studies: "Mapping[str, Study]") -> None:
    """Print the best trials of each method, and what all of them cost."""
    table = Table("method", "trial", "accuracy", "FLOPs", "settings")
    for found in tuning.methods:
        trials = [each for each in studies[found.method].trials if each.state.name == "COMPLETE"]
        for trial in sorted(trials, key=lambda each: -(each.value or 0.0))[:SHOWN]:
            settings = ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
            flops = f"{trial.user_attrs['flops']:.3g}"
            table.add_row(found.method, str(trial.number), f"{trial.value:.1f}", flops, settings)
        table.add_section()
    show(table)
    for found in tuning.methods:
        ends = f"{found.trials} trials ({found.stopped} stopped, {found.failed} failed)"
        say(f"{found.method}: {ends}, {found.flops:.3g} training FLOPs")
    seeds = f"{len(tuning.seeds)} seeds" if len(tuning.seeds) > 1 else "one seed"
    say(f"scored on {tuning.images}; with {seeds}, small differences may be chance")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
