"""Ask for settings, run them, tell what they were worth; stop what falls behind."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError, choose
from lord.data import DataConfig, ImageData
from lord.evaluation import finished, read_record
from lord.learner import load_state, locked, remove_state
from lord.training.compare import load_all
from lord.training.config import RunConfig, compose
from lord.training.engines import ENGINES, STOPPED, Job
from lord.training.folder import CHECKPOINT
from lord.training.loop import TRAINING
from lord.training.tune.journal import JOURNAL, mend, see_nothing_else
from lord.training.tune.plan import Plan
from lord.training.tune.space import Dimension, combinations, suggest, trials_of

HOPELESS = 10
"""Failed trials of a method without a single good one, after which it is given up."""


def tune(
    plan: Plan,
    out: Path,
    *,
    jobs: int = 0,
    engine: str = "local",
    address: str | None = None,
    plugin: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Search as planned, and return Optuna's study of each method.

    A search that was stopped goes on when called again. With one run at a time it is repeatable;
    with several, what is asked next depends on which ends first.

    Args:
        plan: from ``make_plan``.
        out: for ``journal.log`` and a run's folder for each trial.
        jobs: runs at a time; 0 for one a core.
        engine, address, plugin, say: as in ``compare``.

    Raises:
        UserError: if Optuna is not installed, ``out`` holds another search or is in use, or no
            trial of a method ended well.
    """
    optuna = _library()
    run_all = ENGINES[choose("engine", engine, ENGINES)]
    sample = [_config(plan, label, {}) for label in plan.spaces]
    images = load_all(sample)
    with locked(out, "tuning"):
        see_nothing_else(out)
        mend(out / JOURNAL)
        searches = [Search(optuna, plan, label, out) for label in plan.spaces]
        board = Board(searches, images, say)
        outcomes = run_all(
            board.ask(), slots=jobs, plugin=plugin, unwanted=board.unwanted, address=address
        )
        with closing(outcomes):
            for job, error in outcomes:
                board.tell(job, error)
    for search in searches:
        if search.exhausted():
            say(f"{search.label}: all {len(search.tried)} settings there are were tried")
    return {search.label: search.study for search in searches}


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
            old, new = json.loads(before), json.loads(text)
            differs = next(part for part in new if old.get(part) != new[part])
            raise UserError(
                f"'{file.parent}' was tuned with {differs} {old.get(differs)}, now {new[differs]}: "
                "give another --out"
            )
        study.set_user_attr("what", text)
        return study


class Board:
    """All searches at once: who is asked next, what runs, what is stopped."""

    def __init__(
        self,
        searches: list[Search],
        images: dict[DataConfig, ImageData],
        say: Callable[[str], None],
    ) -> None:
        self.searches, self.images, self.say = searches, images, say
        self.trials: dict[Job, Trial] = {}

    def ask(self) -> Iterator[Job | None]:
        """Jobs, from the method that has begun the fewest; None while all wait for others."""
        while True:
            able = [search for search in self.searches if search.affordable()]
            if able:
                search = min(able, key=lambda own: own.begun)
                trial = search.ask()
                config = _config(search.plan, search.label, trial.values)
                folder = search.out / f"trial-{trial.asked.number:04}"
                job = Job(config, folder, self.images[config.data])
                self.trials[job] = trial
                if finished(folder):  # stopped before that was told
                    self.tell(job, None)
                else:
                    yield job
            elif self.trials:
                yield None
            else:
                return

    def unwanted(self, job: Job) -> bool:
        """Whether a trial is, at a task's end, behind the median of those before it."""
        trial = self.trials[job]
        if (state := _news(job, trial)) is None:
            return False
        trial.flops = _training_flops(state["flops"])
        last = (job.config.stream.stop_after or 0) - 1
        for task, (trained, recomputed) in enumerate(state["scores"]):
            headline = recomputed if job.config.settings.statistics == "recomputed" else trained
            trial.report(task, (headline or trained)["class_il"])
        return 0 < len(trial.reported) <= last and trial.asked.should_prune()

    def tell(self, job: Job, error: str | None) -> None:
        trial = self.trials.pop(job)
        number = f"{trial.search.label} trial {trial.asked.number}"
        shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.values.items())
        if error is None:
            record = read_record(job.folder)
            trial.flops = float(record.training_flops)
            for task, row in enumerate(record.headline_matrix):
                trial.report(task, row)
            trial.search.tell(trial, record.headline[0], None)
            self.say(f"{number}: {record.headline[0]:.1f} with {shown}")
            return
        failed = None if error == STOPPED else error
        trial.search.tell(trial, None, failed)
        remove_state(job.folder / CHECKPOINT)
        self.say(f"{number}: {failed or 'stopped, behind the median'}: {shown}")


def _config(plan: Plan, label: str, values: dict[str, Any]) -> RunConfig:
    beside = list(plan.spaces)
    given = plan.given | values
    return compose(label, given, preset=plan.preset, seed=plan.seed, beside=beside)


def _news(job: Job, trial: Trial) -> dict[str, Any] | None:
    """The state of a run's last checkpoint, if that is new."""
    file = job.folder / CHECKPOINT
    try:
        stamp = file.stat().st_mtime_ns
        if stamp == trial.seen:
            return None
        state, _ = load_state(file)
    except (OSError, UserError):  # just being replaced, or cleared away at the end
        return None
    trial.seen = stamp
    return state["loop"]


def _training_flops(flops: dict[str, int]) -> float:
    return float(sum(flops.get(phase, 0) for phase in TRAINING))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _library() -> Any:
    try:
        optuna = import_module("optuna")
    except ImportError:
        raise UserError("tune: optuna is not installed: pip install 'lord-cl[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
