"""Many runs, each a process of its own; what is finished is never run again."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from lord.config import UserError, as_path, choose, expect, read_yaml
from lord.data import DataConfig, ImageData, load_images
from lord.evaluation import RunRecord, Study, finished, read_environment, read_record, read_study
from lord.methods import BUILT_IN
from lord.networks import LIBRARIES, OUR_NETWORKS
from lord.storage import locked, remove_state, write_json
from lord.studies.engines import ENGINES, Job
from lord.training.config import (
    RunConfig,
    difference,
    flat,
    folder_name,
    stream_of,
)
from lord.training.folder import CHECKPOINT, CONFIG, check_apart, is_ours


def compare(
    configs: Sequence[RunConfig],
    out: str | Path,
    *,
    jobs: int = 0,
    overwrite: bool = False,
    plugin: str | Path | None = None,
    engine: str = "local",
    address: str | None = None,
    say: Callable[[str], None] = print,
) -> list[RunRecord]:
    """Run all configurations, several at a time, and return their records in that order.

    Args:
        configs: each gets the folder ``out/<label>-seed<seed>``.
        out: holds the folders; finished runs found in it are not repeated.
        jobs: processes at a time; 0 for one a core. Cores are shared out among them.
        overwrite: repeat finished runs.
        plugin: Python file each run is told of.
        engine: local, or ray for a Ray cluster.
        address: of the cluster; None to start one on this machine.
        say: told in one line of each run that was found or has finished.

    Raises:
        UserError: if a finished run in ``out`` had another configuration, or a run failed.
    """
    if not isinstance(jobs, int) or jobs < 0:
        raise UserError(f"jobs: expected a number >= 0, got {jobs!r}")
    expect("configs", configs, Sequence, "a list of what lord.compose gives")
    for config in configs:
        expect("configs", config, RunConfig, "what lord.compose gives")
        check_apart(as_path("out", out), config.data.data)
        if plugin is None:
            _check_known(config)
    out, plugin = as_path("out", out), None if plugin is None else as_path("plugin", plugin)
    if is_ours(out):
        raise UserError(f"out: '{out}' is the folder of a run: give another --out")
    run_all = ENGINES[choose("engine", engine, ENGINES)]
    read_study(out)  # nothing else is written over
    with locked(out, "comparing"):
        folders = {out / folder_name(config): config for config in configs}
        kept = [] if overwrite else [folder for folder in folders if finished(folder)]
        for folder in kept:
            difference(read_yaml(folder / CONFIG), flat(folders[folder]), folder)
        for folder in kept:
            say(f"{folder.name}: finished before, kept")
        pending = [folder for folder in folders if folder not in kept]
        if pending:
            images = load_all([folders[folder] for folder in pending])
            for folder in kept:
                _check_images(folder, folders[folder], images)
            for folder in pending if overwrite else ():
                remove_state(folder / CHECKPOINT)
            todo = [Job(folders[own], own, images[folders[own].data]) for own in pending]
            _report(run_all(todo, slots=jobs, plugin=plugin, address=address), len(todo), say)
        return [read_record(folder) for folder in folders]


def describe(
    out: Path, configs: Sequence[RunConfig], command: str, against: str | None = None
) -> None:
    """Write study.json: the command behind a comparison, and what its runs were made by and on.

    Args:
        against: label of what the others are compared with.
    """
    seen: dict[str, set[str]] = {"commits": set(), "versions": set(), "machines": set()}
    dates = []
    for config in configs:
        made = read_environment(out / folder_name(config))
        if not {"commit", "lord", "processor", "device", "date"} <= made.keys():
            continue
        seen["commits"].add(str(made["commit"]))
        names = ("lord", "torch", "python")
        seen["versions"].add(", ".join(f"{name} {made[name]}" for name in names))
        seen["machines"].add(f"{made['processor']}, {made['cores']} cores, {made['device']}")
        dates.append(made["date"])
    found = {name: sorted(values) for name, values in seen.items()}
    span = [min(dates), max(dates)] if dates else []
    labels = list(dict.fromkeys(config.label for config in configs))
    study = Study(command=command, dates=span, against=against, labels=labels, **found)
    write_json(out / "study.json", study)


def line(record: RunRecord) -> str:
    """A finished run in one line."""
    class_il, task_il = record.headline
    return (
        f"{record.label}-seed{record.seed}: Class-IL {class_il:.1f}, Task-IL {task_il:.1f}, "
        f"{record.training_flops:.3g} FLOPs, {record.wall_s:.0f} s"
    )


def load_all(configs: Sequence[RunConfig]) -> dict[DataConfig, ImageData]:
    """The images of all runs, decoded once; what does not fit is complained of early."""
    loaded: dict[DataConfig, ImageData] = {}
    for config in configs:
        if config.data not in loaded:
            loaded[config.data] = load_images(config.data)
            stream_of(config, loaded[config.data])
    return loaded


def _check_known(config: RunConfig) -> None:
    """See that the processes of the runs know what this one does."""
    for kind, name, ours in (
        ("network", config.network.network, (*OUR_NETWORKS, *LIBRARIES)),
        ("method", config.method, BUILT_IN),
    ):
        if name.partition(":")[0] not in ours:
            raise UserError(
                f"{kind} '{name}' is known to this program, not to the processes of the runs: give "
                "plugin, a file that registers it"
            )


def _check_images(folder: Path, config: RunConfig, images: dict[DataConfig, ImageData]) -> None:
    """See that a run that is kept saw the images that the others will see."""
    made = read_environment(folder)
    if config.data in images and made.get("data_key") not in (None, images[config.data].key):
        raise UserError(
            f"'{folder}' was run on other images than there are at '{config.data.data}' now: "
            "give another --out, or --overwrite"
        )


def _report(
    outcomes: Generator[tuple[Job, str | None]], number: int, say: Callable[[str], None]
) -> None:
    failed: list[str] = []
    with closing(outcomes):
        for job, error in outcomes:
            if error is None:
                say(line(read_record(job.folder)))
            else:
                failed.append(f"{job.folder.name}: {error}")
                say(f"failed: {failed[-1]}")
    if failed:
        raise UserError(f"{len(failed)} of {number} runs failed, the first: {failed[0]}")
