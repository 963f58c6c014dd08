"""The files that a search writes: all trials, the best settings, and how they were found."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml

from lord.config import UserError, Value
from lord.storage import write_json, write_text
from lord.studies.tune.plan import Plan
from lord.studies.tune.space import trials_of
from lord.training.folder import environment

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ENDS = {"COMPLETE": "finished", "PRUNED": "stopped"}
"""Optuna's states of trials, in our words."""


class MethodTuning(msgspec.Struct, frozen=True, kw_only=True):
    """The search for one method's settings."""

    method: str
    space: dict[str, object]
    trials: int
    stopped: int
    """Trials that were stopped at the end of a task."""
    failed: int
    flops: float
    """Training FLOPs of all trials; those of a stopped trial up to its last checkpoint."""
    accuracy: float | None
    """Accuracy of the best trial in percent."""
    best: dict[str, Value]


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """A whole search, as tuning.json holds it."""

    command: str
    """The command that ended the search."""
    commands: list[str]
    """All commands of the search, if it was continued with other arguments."""
    images: str
    """The scored images, in words."""
    preset: str
    seed: int
    seeds: list[int] = []
    """Seeds of the runs of each trial; empty if they all have ``seed``."""
    settings: dict[str, Value]
    """Settings of all runs."""
    methods: list[MethodTuning]
    environment: dict[str, object]


def write_tuning(plan: Plan, studies: "Mapping[str, Study]", out: Path, command: str) -> Tuning:
    """Write ``trials.csv``, ``best.yaml`` and ``tuning.json``.

    ``best.yaml`` is a configuration file for runs and comparisons.

    Raises:
        UserError: if no trial of a method succeeded. The other two files are written before.
    """
    commands = _commands(studies, command)
    methods = [_summarize(plan, label, study) for label, study in studies.items()]
    tuning = Tuning(
        command=command,
        commands=commands,
        images=plan.images,
        preset=plan.preset,
        seed=plan.seed,
        seeds=list(plan.seeds),
        settings=plan.given,
        methods=methods,
        environment=environment(),
    )
    write_text(out / "trials.csv", _trials_table(studies))
    if all(each.best for each in methods):
        write_text(out / "best.yaml", _best_settings(plan, methods, commands))
    else:
        (out / "best.yaml").unlink(missing_ok=True)
    write_json(out / "tuning.json", tuning)
    for each in methods:
        if each.accuracy is None:
            errors = [trial.user_attrs.get("failed") for trial in studies[each.method].trials]
            first = next((error for error in errors if error), "none ran to its end")
            raise UserError(f"no trial of {each.method} succeeded, the first: {first}")
    return tuning


def _commands(studies: "Mapping[str, Study]", command: str) -> list[str]:
    """Add a command to those that the journal holds, and return all of them."""
    found: list[str] = []
    for study in studies.values():
        before = study.user_attrs.get("commands", [])
        if command not in before:
            study.set_user_attr("commands", [*before, command])
        found += [each for each in before if each not in found]
    return [*(each for each in found if each != command), command]


def _summarize(plan: Plan, label: str, study: "Study") -> MethodTuning:
    done = [trial for trial in trials_of(study) if trial.state.is_finished()]
    ended = [trial for trial in done if trial.state.name == "COMPLETE"]
    best = max(ended, key=lambda trial: trial.value or 0.0, default=None)
    failed = sum("failed" in trial.user_attrs for trial in done)
    return MethodTuning(
        method=label,
        space=msgspec.to_builtins(plan.spaces[label]),
        trials=len(done),
        stopped=len(done) - len(ended) - failed,
        failed=failed,
        flops=sum(trial.user_attrs.get("flops", 0.0) for trial in done),
        accuracy=best.value if best else None,
        best=dict(best.params) if best else {},
    )


def _best_settings(plan: Plan, methods: list[MethodTuning], commands: list[str]) -> str:
    """The given settings, then the best ones of each method as ``METHOD.SETTING``, as YAML."""
    values: dict[str, Value] = {"preset": plan.preset, **plan.lasting}
    if len(methods) == 1:
        values["method"] = plan.variants[methods[0].method].method
    for each in methods:
        variant = plan.variants[each.method]
        typed = {
            name: yaml.safe_load(value) if isinstance(value, str) else value
            for name, value in variant.settings.items()
        }
        settings = {**typed, **each.best}
        values |= {f"{variant.method}.{name}": value for name, value in settings.items()}
    head = "".join(f"# {command}\n" for command in commands) + f"# Scored on {plan.images}.\n"
    return head + yaml.safe_dump(values, sort_keys=False)


def _trials_table(studies: "Mapping[str, Study]") -> str:
    """All trials as CSV, a row each."""
    names = sorted({name for study in studies.values() for t in study.trials for name in t.params})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["method", "trial", "end", "accuracy", "flops", *names, "tasks", "failed"])
    for label, study in studies.items():
        table.writerows([label, *_row(trial, names)] for trial in trials_of(study))
    return text.getvalue()


def _row(trial: "FrozenTrial", names: list[str]) -> list[object]:
    error = trial.user_attrs.get("failed", "")
    end = "failed" if error else ENDS.get(trial.state.name, "unfinished")
    accuracies = [round(value, 2) for _, value in sorted(trial.intermediate_values.items())]
    return [
        trial.number,
        end,
        trial.value if end == "finished" else "",
        trial.user_attrs.get("flops", ""),
        *(trial.params.get(name, "") for name in names),
        json.dumps(accuracies),
        error,
    ]
