"""Ask for settings, run them, tell what they were worth; stop what falls behind."""

from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from lord.config import UserError, choose
from lord.data import DataConfig, ImageData
from lord.evaluation import finished, read_record
from lord.storage import load_state, locked, remove_state
from lord.studies.compare import load_all
from lord.studies.engines import ENGINES, STOPPED, Job
from lord.studies.tune.journal import JOURNAL, mend, see_nothing_else
from lord.studies.tune.plan import Plan
from lord.studies.tune.study import Search, Trial
from lord.training.config import RunConfig, compose
from lord.training.folder import CHECKPOINT
from lord.training.loop import TRAINING


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
                folder = search.out / f"trial-{trial.asked.number:04}"
                try:
                    config = _config(search.plan, search.label, trial.values)
                except UserError as error:  # settings that do not go together
                    self._tell(trial, str(error))
                    continue
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
        if error is None:
            record = read_record(job.folder)
            trial.flops = float(record.training_flops)
            for task, row in enumerate(record.headline_matrix):
                trial.report(task, row)
            trial.search.tell(trial, record.headline[0], None)
            self.say(f"{trial}: {record.headline[0]:.1f} with {trial.shown}")
            return
        self._tell(trial, None if error == STOPPED else error)
        remove_state(job.folder / CHECKPOINT)

    def _tell(self, trial: Trial, failed: str | None) -> None:
        trial.search.tell(trial, None, failed)
        self.say(f"{trial}: {failed or 'stopped, behind the median'}: {trial.shown}")


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


def _library() -> Any:
    try:
        optuna = import_module("optuna")
    except ImportError:
        raise UserError("tune: optuna is not installed: pip install 'lord-cl[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
