"""What a search leaves: all trials, the best settings, and how they were found."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lord.config import UserError, parse_variant
from lord.storage import write_json, write_text
from lord.studies.tune.plan import Plan
from lord.studies.tune.space import trials_of
from lord.training.folder import environment


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The search of one method."""

    method: str
    space: dict[str, Any]
    trials: int
    stopped: int
    """Trials that were stopped at a task's end."""
    failed: int
    flops: float
    """Training FLOPs of all its trials; of those stopped, up to their last checkpoint."""
    accuracy: float | None
    """Of the best trial, in percent."""
    best: dict[str, Any]


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Where tuned settings come from."""

    command: str
    images: str
    """Those that were scored."""
    preset: str
    seed: int
    settings: dict[str, Any]
    """Of all runs."""
    methods: list[Found]
    environment: dict[str, Any]


def write_tuning(plan: Plan, studies: dict[str, Any], out: Path, command: str) -> Tuning:
    """Write ``trials.csv``, ``best.yaml`` and ``tuning.json``.

    ``best.yaml`` is taken by ``lord run`` and ``lord compare`` with ``--config``.

    Raises:
        UserError: if no trial of a method ended well; what is known is written all the same.
    """
    found = [_found(plan, label, study) for label, study in studies.items()]
    tuning = Tuning(
        command=command,
        images=plan.images,
        preset=plan.preset,
        seed=plan.seed,
        settings=plan.given,
        methods=found,
        environment=environment(),
    )
    write_text(out / "trials.csv", _rows(studies))
    if any(own.best for own in found):
        write_text(out / "best.yaml", _best(plan, found, command))
    write_json(out / "tuning.json", tuning)
    for own in found:
        if own.accuracy is None:
            why = [trial.user_attrs.get("failed") for trial in studies[own.method].trials]
            first = next((each for each in why if each), "none was run to its end")
            raise UserError(f"no trial of {own.method} ended well, the first: {first}")
    return tuning


def _found(plan: Plan, label: str, study: Any) -> Found:
    done = [trial for trial in trials_of(study) if trial.state.is_finished()]
    ended = [trial for trial in done if trial.state.name == "COMPLETE"]
    best = max(ended, key=lambda trial: trial.value, default=None)
    failed = sum("failed" in trial.user_attrs for trial in done)
    return Found(
        method=label,
        space=msgspec.to_builtins(plan.spaces[label]),
        trials=len(done),
        stopped=len(done) - len(ended) - failed,
        failed=failed,
        flops=sum(trial.user_attrs.get("flops", 0.0) for trial in done),
        accuracy=best.value if best else None,
        best=dict(best.params) if best else {},
    )


def _best(plan: Plan, found: list[Found], command: str) -> str:
    """Settings given, then each method's own, with its name before them."""
    values: dict[str, Any] = {"preset": plan.preset} | plan.lasting
    if len(found) == 1:
        values["method"] = parse_variant(found[0].method).method
    for own in found:
        variant = parse_variant(own.method)
        typed = {
            name: yaml.safe_load(value) if isinstance(value, str) else value
            for name, value in variant.settings.items()
        }
        values |= {
            f"{variant.method}.{name}": value for name, value in {**typed, **own.best}.items()
        }
    head = f"# {command}\n# Scored on {plan.images}.\n"
    return head + yaml.safe_dump(values, sort_keys=False)


def _rows(studies: dict[str, Any]) -> str:
    names = sorted({name for study in studies.values() for t in study.trials for name in t.params})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["method", "trial", "end", "accuracy", "flops", *names, "tasks", "failed"])
    for label, study in studies.items():
        for trial in trials_of(study):
            ends = {"COMPLETE": "finished", "PRUNED": "stopped"}
            end = ends.get(trial.state.name, "unfinished")
            if "failed" in trial.user_attrs:
                end = "failed"
            values = [trial.params.get(name, "") for name in names]
            seen = json.dumps([round(v, 2) for _, v in sorted(trial.intermediate_values.items())])
            accuracy = trial.value if end == "finished" else ""
            flops = trial.user_attrs.get("flops", "")
            why = trial.user_attrs.get("failed", "")
            table.writerow([label, trial.number, end, accuracy, flops, *values, seen, why])
    return text.getvalue()
