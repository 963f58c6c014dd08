"""The search for settings: suggest settings, run them, and stop runs that fall behind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lord.config import UserError, Value, choose
from lord.data import DataConfig, ImageData
from lord.evaluation import finished, read_record
from lord.storage import load_state, locked, remove_state
from lord.studies.compare import load_all, with_source
from lord.studies.engines import ENGINES, STOPPED, Job
from lord.studies.tune.journal import JOURNAL, check_replaceable, repair
from lord.studies.tune.plan import Plan
from lord.studies.tune.study import Search, Trial
from lord.training.config import RunConfig, compose
from lord.training.folder import CHECKPOINT
from lord.training.loop import TRAINING

if TYPE_CHECKING:
    from optuna import Study


def tune(
    plan: Plan,
    out: Path,
    *,
    jobs: int = 0,
    engine: str = "local",
    address: str | None = None,
    plugin: Path | None = None,
    report: Callable[[str], None] = print,
) -> "dict[str, Study]":
    """Search as planned, and return Optuna's study of each method.

    A search that was stopped continues when it is called again. With one run at a time, the search
    is repeatable. With several, the suggested settings depend on which run ends first.

    Args:
        plan: from ``make_plan``.
        out: folder for ``journal.log`` and the folders of the runs.
        jobs: runs at a time; 0 for one per core.
        engine, address, plugin, report: as in ``compare``.

    Raises:
        UserError: if Optuna is not installed, or ``out`` is in use or holds another search.
    """
    optuna = import_optuna()
    run_all = ENGINES[choose("engine", engine, ENGINES)]
    configs = [with_source(_config(plan, label, {}), plugin) for label in plan.spaces]
    images = load_all(configs)
    with locked(out, "tuning"):
        check_replaceable(out)
        repair(out / JOURNAL)
        sources = [{"plugin": c.plugin, "data": images[c.data].key} for c in configs]
        searches = [
            Search(optuna, plan, label, out, source)
            for label, source in zip(plan.spaces, sources, strict=True)
        ]
        scheduler = Scheduler(searches, images, report)
        outcomes = run_all(
            scheduler.jobs(),
            slots=jobs,
            plugin=plugin,
            should_stop=scheduler.falls_behind,
            address=address,
        )
        with closing(outcomes):
            for job, error in outcomes:
                scheduler.end(job, error)
    for search in searches:
        if search.exhausted():
            report(f"{search.label}: all {len(search.tried)} possible settings were tried")
    return {search.label: search.study for search in searches}


class Scheduler:
    """Share the runs out among the searches of all methods.

    Args:
        images: of the runs, loaded.
        report: called with one line for each trial that ended.
    """

    def __init__(
        self,
        searches: list[Search],
        images: dict[DataConfig, ImageData],
        report: Callable[[str], None],
    ) -> None:
        self.searches, self.images, self.report = searches, images, report
        self.running: dict[Job, Trial] = {}
        self.waiting: list[Trial] = []  # those with a run of another seed to come

    def jobs(self) -> Iterator[Job | None]:
        """Yield jobs, from the method that has begun the fewest; None while all must wait."""
        while True:
            able = [search for search in self.searches if search.affordable()]
            if self.waiting or able:
                if self.waiting:
                    job = self._next_run(self.waiting.pop(0))
                else:
                    job = self._next_job(min(able, key=lambda search: search.begun))
                if job is not None:
                    yield job
            elif self.running:
                yield None
            else:
                return

    def _next_job(self, search: Search) -> Job | None:
        """Make a job of a search's next trial; None if it needs no run now."""
        return self._next_run(search.ask())

    def _next_run(self, trial: Trial) -> Job | None:
        """Make a job of the next seed of a trial; None if its run has ended already."""
        search = trial.search
        try:
            config = _config(search.plan, search.label, trial.values, trial.seed)
        except UserError as error:  # settings that exclude each other
            self._give_up(trial, str(error))
            return None
        job = Job(config, trial.folder, self.images[config.data])
        self.running[job] = trial
        if finished(job.folder):  # the search was stopped before it took the result in
            self.end(job, None)
            return None
        return job

    def falls_behind(self, job: Job) -> bool:
        """Whether a running trial is behind the median of earlier trials after the same task."""
        trial = self.running[job]
        if (state := _new_checkpoint(job, trial)) is None:
            return False
        trial.flops = trial.spent + _training_flops(state["flops"])
        if trial.accuracies:  # the run of the first seed has decided whether the trial goes on
            return False
        last = (job.config.stream.stop_after or 0) - 1
        for task, (trained, recomputed) in enumerate(state["scores"]):
            headline = recomputed if job.config.settings.statistics == "recomputed" else trained
            trial.report(task, (headline or trained)["class_il"])
        return 0 < len(trial.reported) <= last and trial.asked.should_prune()

    def end(self, job: Job, error: str | None) -> None:
        """Take in the result of a job that ended."""
        trial = self.running.pop(job)
        if error is None:
            record = read_record(job.folder)
            trial.spent = trial.flops = trial.spent + float(record.training_flops)
            for task, row in enumerate(record.headline_matrix):
                trial.report(task, row)
            trial.accuracies.append(record.headline[0])
            if trial.seed is not None:
                self.waiting.append(trial)
                return
            accuracy = fmean(trial.accuracies)
            trial.search.tell(trial, accuracy, None)
            self.report(f"{trial}: {accuracy:.1f} with {trial.settings}")
            return
        self._give_up(trial, None if error == STOPPED else error)
        remove_state(job.folder / CHECKPOINT)

    def _give_up(self, trial: Trial, error: str | None) -> None:
        """Record a trial without a result.

        Args:
            error: None if the trial was stopped.
        """
        trial.search.tell(trial, None, error)
        self.report(f"{trial}: {error or 'stopped, behind the median'}: {trial.settings}")


def _config(
    plan: Plan, label: str, values: Mapping[str, Value], seed: int | None = None
) -> RunConfig:
    given = {**plan.given, **values}
    variant, beside = plan.variants[label], list(plan.variants.values())
    seed = plan.seed if seed is None else seed
    return compose(variant, given, preset=plan.preset, seed=seed, beside=beside)


def _new_checkpoint(job: Job, trial: Trial) -> dict[str, Any] | None:
    """Return the state of a run's last checkpoint if it was not looked at yet."""
    file = job.folder / CHECKPOINT
    try:
        written = file.stat().st_mtime_ns
        if written == trial.checkpoint_time:
            return None
        state, _ = load_state(file)
    except (OSError, UserError):  # it is being replaced, or was removed at the end
        return None
    trial.checkpoint_time = written
    return state["loop"]


def _training_flops(flops: dict[str, int]) -> float:
    return float(sum(flops.get(phase, 0) for phase in TRAINING))


def import_optuna() -> ModuleType:
    """Import Optuna, and silence what it logs.

    Raises:
        UserError: if it is not installed.
    """
    try:
        optuna = import_module("optuna")
    except ImportError:
        raise UserError(
            "tuning needs Optuna, which is not installed", hint="pip install 'lord-cl[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
