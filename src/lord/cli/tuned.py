"""What 'lord tune' does."""

import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

from lord.cli.commands import console, given_by, named, say
from lord.cli.flags import TYPED, Flags, Where
from lord.studies.tune import On, Tuning, make_plan, parse_space, write_tuning
from lord.studies.tune import tune as search

SHOWN = 5
"""Best trials of a method in the table."""


def tune(
    flags: Flags,
    where: Where,
    methods: str,
    space: list[str],
    trials: int | None,
    flops: float | None,
    on: On,
    seed: int,
    out: Path | None,
) -> None:
    where.check()
    given, chosen = given_by(flags)
    plan = make_plan(
        named(methods),
        given,
        parse_space(space),
        preset=chosen.get("preset"),
        seed=seed,
        trials=trials,
        flops=flops,
        on=on,
    )
    out = out or Path("runs") / f"tune-{plan.preset}"
    try:
        studies = search(
            plan,
            out,
            jobs=where.jobs,
            engine=where.engine,
            address=where.address,
            plugin=flags.plugin,
            say=say,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: trials are in {out}; the same command goes on"
        ) from None
    tuning = write_tuning(plan, studies, out, shlex.join(["lord", *TYPED]))
    _show(tuning, studies)
    files = ", ".join(str(out / name) for name in ("trials.csv", "best.yaml", "tuning.json"))
    console.print(f"written: {files}", soft_wrap=True)


def _show(tuning: Tuning, studies: dict[str, Any]) -> None:
    """The best trials of each method, and what all of them cost."""
    table = Table("method", "trial", "accuracy", "FLOPs", "settings")
    for own in tuning.methods:
        ended = [trial for trial in studies[own.method].trials if trial.state.name == "COMPLETE"]
        for trial in sorted(ended, key=lambda trial: -trial.value)[:SHOWN]:
            settings = ", ".join(
                f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
                for name, value in trial.params.items()
            )
            flops = f"{trial.user_attrs['flops']:.3g}"
            table.add_row(own.method, str(trial.number), f"{trial.value:.1f}", flops, settings)
        table.add_section()
    console.print(table)
    for own in tuning.methods:
        ends = f"{own.trials} trials ({own.stopped} stopped, {own.failed} failed)"
        say(f"{own.method}: {ends}, {own.flops:.3g} training FLOPs")
    say(f"scored on {tuning.images}; one seed: near the top, differences may be chance")
