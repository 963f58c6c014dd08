"""The search for one method's settings, and its trials."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from lord.config import UserError, Value
from lord.studies.tune.journal import JOURNAL
from lord.studies.tune.plan import Plan
from lord.studies.tune.space import Dimension, combinations, suggest, trials_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as OptunaTrial

GIVE_UP_AFTER = 10
"""Failed trials of a method after which its search ends, if no trial has succeeded."""


@dataclass
class Trial:
    """A run with suggested settings."""

    search: "Search"
    asked: "OptunaTrial"
    values: dict[str, Value]
    flops: float = 0.0
    """Training FLOPs up to its last checkpoint."""
    checkpoint_time: int | None = None
    """When the last checkpoint that was looked at was written."""
    reported: set[int] = field(default_factory=set)
    """Tasks whose accuracy Optuna has been told."""
    accuracies: list[float] = field(default_factory=list)
    """Accuracy of each run that ended, in the order of the seeds."""
    spent: float = 0.0
    """Training FLOPs of the runs that ended."""

    def __str__(self) -> str:
        return f"{self.search.label} trial {self.asked.number}"

    @property
    def seed(self) -> int | None:
        """The seed of the run to make now; None if all have ended."""
        seeds = self.search.plan.seeds or (self.search.plan.seed,)
        return seeds[len(self.accuracies)] if len(self.accuracies) < len(seeds) else None

    @property
    def folder(self) -> Path:
        """The folder of the run to make now."""
        name = f"trial-{self.asked.number:04}"
        return self.search.out / (f"{name}-seed{self.seed}" if self.search.plan.seeds else name)

    @property
    def settings(self) -> str:
        """The suggested settings as text."""
        return ", ".join(f"{name}={_short(value)}" for name, value in self.values.items())

    def report(self, task: int, row: list[float]) -> None:
        """Tell Optuna the mean accuracy over the tasks seen, once for each task.

        If a trial has runs of several seeds, it is that of the first one.
        """
        if task not in self.reported and not self.accuracies:
            self.reported.add(task)
            self.asked.report(sum(row) / len(row), task)


class Search:
    """The search for one method's settings.

    Args:
        label: the method as it was named.
        out: folder of the whole search. Its journal holds earlier trials.
        source: hashes of the plug-in's source and of the images.

    Raises:
        UserError: if the journal holds another search.
    """

    def __init__(
        self,
        optuna: ModuleType,
        plan: Plan,
        label: str,
        out: Path,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self.optuna, self.plan, self.label, self.source = optuna, plan, label, dict(source or {})
        self.space = plan.spaces[label]
        self.out = out / label.replace(":", ",")
        self.running = 0
        self.study = self._open(out / JOURNAL)
        trials = trials_of(self.study)
        done = [trial for trial in trials if trial.state.is_finished()]
        self.tried = [trial.params for trial in done]
        self.unfinished = [trial for trial in trials if not trial.state.is_finished()]
        self.begun = len(done)
        self.good = sum(
            "flops" in trial.user_attrs and "failed" not in trial.user_attrs for trial in done
        )
        costs = [trial.user_attrs.get("flops", 0.0) for trial in done]
        self.spent, self.dearest = sum(costs), max(costs, default=0.0)

    def affordable(self) -> bool:
        """Whether another trial is within the method's budget.

        A trial is assumed to cost as much as the most expensive one so far. Until the first trial
        has ended, its cost is unknown, and only one trial runs.
        """
        if self.begun - self.running >= GIVE_UP_AFTER and not self.good:
            return False
        if not self.unfinished and self.exhausted():
            return False
        if self.plan.trials is not None:
            return self.begun < self.plan.trials
        assert self.plan.flops is not None
        if not self.good:
            return self.running == 0
        if not self.dearest:
            raise UserError(
                "the trials cost no FLOPs, so a budget of FLOPs does not end",
                field="flops",
                given=self.plan.flops,
                hint="give a number of `trials` instead",
            )
        return self.spent + (self.running + 1) * self.dearest <= self.plan.flops

    def exhausted(self) -> bool:
        """Whether all possible settings were tried."""
        return (left := self._left()) is not None and next(left, None) is None

    def ask(self) -> Trial:
        """Begin a trial: an unfinished one, or else one with new settings."""
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

    def _left(self) -> Iterator[dict[str, Value]] | None:
        """The settings that were not tried yet; None if they cannot be listed."""
        every = combinations(self.space)
        return every and (values for values in every if values not in self.tried)

    def tell(self, trial: Trial, accuracy: float | None, error: str | None) -> None:
        """Record how a trial ended.

        Args:
            accuracy: None if it failed or was stopped.
            error: None if it succeeded or was stopped.
        """
        self.running -= 1
        if error:
            trial.asked.set_user_attr("failed", error)
            trial.flops = max(trial.flops, self.dearest)  # its own cost is unknown
        trial.asked.set_user_attr("flops", trial.flops)
        self.spent += trial.flops
        self.dearest = max(self.dearest, trial.flops)
        self.good += not error
        if accuracy is None:  # failed trials count as stopped, so that the sampler avoids them
            self.study.tell(trial.asked, state=self.optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial.asked, accuracy)

    def _open(self, file: Path) -> "Study":
        """Open the study in a journal, or begin one."""
        optuna, plan = self.optuna, self.plan
        journal = optuna.storages.journal.JournalFileBackend(str(file))
        storage = optuna.storages.JournalStorage(journal)
        if others := set(optuna.get_all_study_names(storage)) - plan.spaces.keys():
            raise UserError(
                f"'{file.parent}' also holds a search of {', '.join(sorted(others))}",
                field="methods",
                hint="name all methods of that search, or choose another `out`",
            )
        study: Study = optuna.create_study(
            storage=storage, study_name=self.label, direction="maximize", load_if_exists=True
        )
        # Another seed, so that a search that continues does not suggest the same settings again.
        study.sampler = optuna.samplers.TPESampler(seed=plan.seed + 1000 * len(study.trials))
        study.pruner = optuna.pruners.MedianPruner()
        self._check_same(study, file.parent)
        self._check_source(study, file.parent)
        return study

    def _check_same(self, study: "Study", folder: Path) -> None:
        """Check that a study was made with the same space and settings, and note them."""
        what = {
            "space": msgspec.to_builtins(self.space),
            "given": msgspec.to_builtins(self.plan.given),
            "preset": self.plan.preset,
            "seed": self.plan.seed,
        }
        if self.plan.seeds:  # searches of earlier versions have no such entry
            what["seeds"] = list(self.plan.seeds)
        text = json.dumps(what, sort_keys=True)
        before = study.user_attrs.get("what", text)
        if before != text:
            then, now = json.loads(before), json.loads(text)
            old, new = _settings(then), _settings(now)
            name = min(name for name in old | new if old.get(name) != new.get(name))
            if name in then["space"] | now["space"]:
                has, given = (_searched(each["space"], name) for each in (then, now))
                raise UserError(
                    f"'{folder}' holds a search of {self.label} with {has}, not with {given}",
                    field="space",
                    hint="choose another `out`",
                )
            raise UserError(
                f"'{folder}' holds a search with {old.get(name)}",
                field=name,
                given=new.get(name),
                hint="choose another `out`",
            )
        study.set_user_attr("what", text)

    def _check_source(self, study: "Study", folder: Path) -> None:
        """Check that a study was made with the same plug-in and images, and note their hashes."""
        before = study.user_attrs.get("source", self.source)  # earlier versions noted none
        for name, words in (("plugin", "another source of the plug-in"), ("data", "other images")):
            if before.get(name) != self.source.get(name):
                raise UserError(
                    f"'{folder}' holds a search with {words}",
                    field=name,
                    hint="choose another `out`",
                )
        study.set_user_attr("source", self.source)


def _settings(what: dict[str, Any]) -> dict[str, Any]:
    """Put the searched and the given settings of a search side by side, by name."""
    return {**what, **what["given"], **what["space"], "given": None, "space": None}


def _searched(space: dict[str, Any], name: str) -> str:
    """Return a setting and its values as the user types them."""
    return msgspec.convert(space[name], Dimension).text if name in space else f"no {name}"


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
