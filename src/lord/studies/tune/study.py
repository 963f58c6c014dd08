"""The search of one method, and its trials."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError
from lord.studies.tune.journal import JOURNAL
from lord.studies.tune.plan import Plan
from lord.studies.tune.space import Dimension, combinations, suggest, trials_of

HOPELESS = 10
"""Failed trials of a method without a single good one, after which it is given up."""


@dataclass
class Trial:
    """One that runs."""

    search: "Search"
    asked: Any
    """Optuna's."""
    values: dict[str, Any]
    flops: float = 0.0
    """Spent by its last checkpoint."""
    seen: int | None = None
    """Its last checkpoint looked at, by its time."""
    reported: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.search.label} trial {self.asked.number}"

    @property
    def shown(self) -> str:
        return ", ".join(f"{name}={_short(value)}" for name, value in self.values.items())

    def report(self, task: int, row: list[float]) -> None:
        """Accuracy on each task seen, at a task's end."""
        if task not in self.reported:
            self.reported.add(task)
            self.asked.report(sum(row) / len(row), task)


class Search:
    """Of one method."""

    def __init__(self, optuna: Any, plan: Plan, label: str, out: Path) -> None:
        self.optuna, self.plan, self.label = optuna, plan, label
        self.space: dict[str, Dimension] = plan.spaces[label]
        self.out = out / label.replace(":", ",")
        self.running = 0
        self.study = self._open(out / JOURNAL)
        done = [own for own in trials_of(self.study) if own.state.is_finished()]
        self.tried = [own.params for own in done]
        self.unfinished = [own for own in trials_of(self.study) if not own.state.is_finished()]
        self.begun = len(done)
        self.good = sum(
            "flops" in own.user_attrs and "failed" not in own.user_attrs for own in done
        )
        costs = [own.user_attrs.get("flops", 0.0) for own in done]
        self.spent, self.dearest = sum(costs), max(costs, default=0.0)

    def affordable(self) -> bool:
        """Whether another trial is within what this method may spend. What one costs is known
        when the first has ended: the dearest so far."""
        if self.begun - self.running >= HOPELESS and not self.good:
            return False
        if not self.unfinished and self.exhausted():
            return False
        if self.plan.trials is not None:
            return self.begun < self.plan.trials
        assert self.plan.flops is not None
        if not self.good:
            return self.running == 0
        return self.spent + (self.running + 1) * self.dearest <= self.plan.flops

    def exhausted(self) -> bool:
        """Whether all settings there are were tried."""
        return (left := self._left()) is not None and next(left, None) is None

    def ask(self) -> Trial:
        if self.unfinished:
            asked = self.optuna.trial.Trial(self.study, self.unfinished.pop(0)._trial_id)
            values = suggest(asked, self.space)
        else:
            asked = self.study.ask()
            values = suggest(asked, self.space)
            if (left := self._left()) is not None and values in self.tried:
                self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)
                self.study.enqueue_trial(next(left))
                asked = self.study.ask()
                values = suggest(asked, self.space)
        self.tried.append(values)
        self.begun, self.running = self.begun + 1, self.running + 1
        return Trial(self, asked, values)

    def _left(self) -> Iterator[dict[str, Any]] | None:
        """Settings not tried yet, where there are only so many."""
        every = combinations(self.space)
        return every and (own for own in every if own not in self.tried)

    def tell(self, trial: Trial, value: float | None, failed: str | None) -> None:
        """Take in how a trial ended: its accuracy; or what went wrong; or neither, if stopped."""
        self.running -= 1
        if failed:
            trial.asked.set_user_attr("failed", failed)
            trial.flops = max(trial.flops, self.dearest)  # no more is known of it
        trial.asked.set_user_attr("flops", trial.flops)
        self.spent += trial.flops
        self.dearest = max(self.dearest, trial.flops)
        self.good += not failed
        if value is None:  # what fails is told as stopped too: the sampler then avoids it
            self.study.tell(trial.asked, state=self.optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial.asked, value)

    def _open(self, file: Path) -> Any:
        optuna, plan = self.optuna, self.plan
        journal = optuna.storages.journal.JournalFileBackend(str(file))
        storage = optuna.storages.JournalStorage(journal)
        if others := set(optuna.get_all_study_names(storage)) - plan.spaces.keys():
            raise UserError(
                f"'{file.parent}' holds a search of {', '.join(sorted(others))} too: name all its "
                "methods, or give another --out"
            )
        study = optuna.create_study(
            storage=storage, study_name=self.label, direction="maximize", load_if_exists=True
        )
        # Going on, the sampler must not come up with the same settings again.
        study.sampler = optuna.samplers.TPESampler(seed=plan.seed + 1000 * len(study.trials))
        study.pruner = optuna.pruners.MedianPruner()
        what = {
            "space": msgspec.to_builtins(self.space),
            "given": msgspec.to_builtins(plan.given),
            "preset": plan.preset,
            "seed": plan.seed,
        }
        text = json.dumps(what, sort_keys=True)
        before = study.user_attrs.get("what", text)
        if before != text:
            old, new = _settings(json.loads(before)), _settings(json.loads(text))
            name = min(own for own in old | new if old.get(own) != new.get(own))
            raise UserError(
                f"'{file.parent}' was tuned with {name} {old.get(name)}, now {new.get(name)}: "
                "give another --out"
            )
        study.set_user_attr("what", text)
        return study


def _settings(what: dict[str, Any]) -> dict[str, Any]:
    """What a search was made with, by name, those searched and those given side by side."""
    return {**what, **what["given"], **what["space"], "given": None, "space": None}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
