"""Comparisons: many runs, each in a separate process. Finished runs are not repeated."""

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from lord.config import UserError, Value, as_path, choose, expect, read_plugin, read_yaml
from lord.data import LOADERS, DataConfig, ImageData, keep, load_images
from lord.evaluation import (
    RunRecord,
    Study,
    finished,
    read_environment,
    read_record,
    read_study,
    write_failure,
)
from lord.evaluation.record import Value as Written
from lord.methods import BUILT_IN
from lord.networks import LIBRARIES, OUR_NETWORKS
from lord.reporting import check_replaceable, write_report
from lord.storage import has_state, locked, remove_state, write_json
from lord.streams import BUILT_IN_PRESETS
from lord.studies.engines import ENGINES, Job
from lord.training.config import RunConfig, difference, flat, folder_name
from lord.training.folder import CHECKPOINT, CONFIG, check_apart, is_ours
from lord.training.given import with_images
from lord.training.setup import stream_of

Images = dict[DataConfig, ImageData]
"""Configuration of images -> loaded images."""
ENVIRONMENT = {"commit", "lord", "torch", "python", "processor", "cores", "device", "date"}
"""Entries of a run's environment.json that the description of a study needs."""


def compare(
    configs: Sequence[RunConfig],
    out: str | Path,
    *,
    jobs: int = 0,
    overwrite: bool = False,
    plugin: str | Path | None = None,
    engine: str = "local",
    address: str | None = None,
    report: Callable[[str], None] = print,
    images: ImageData | None = None,
    stream: object = None,
) -> list[RunRecord]:
    """Run all configurations, several at a time, and return their records in the same order.

    The page of the comparison, its pictures and study.json are written to ``out``.

    Args:
        configs: made by ``lord.compose``. Each run gets the folder ``out/<label>-seed<seed>``.
        out: folder for the page and the runs' folders. Finished runs in it are not repeated.
        jobs: number of processes at a time; 0 for one per core. They share the cores equally.
        overwrite: repeat finished runs.
        plugin: Python file that each run loads.
        engine: ``local``, or ``ray`` for a Ray cluster.
        address: address of the cluster; None to start a cluster on this machine.
        report: called with one line for each run that ends or is finished already.
        images, stream: images or tasks in memory, as in ``lord.run``. The processes of the runs
            read them from the cache.

    Raises:
        UserError: if a finished run in ``out`` had another configuration, or a run failed. Also if
            ``out`` has a page that was not made by a report.
    """
    records = run_all(
        configs,
        out,
        jobs=jobs,
        overwrite=overwrite,
        plugin=plugin,
        engine=engine,
        address=address,
        report=report,
        images=images,
        stream=stream,
    )
    out = as_path("out", out)
    if records:
        write_study(out, configs, f"lord.compare in {Path(sys.argv[0]).name or 'Python'}")
        write_report(out, records)
    return records


def run_all(
    configs: Sequence[RunConfig],
    out: str | Path,
    *,
    jobs: int = 0,
    overwrite: bool = False,
    plugin: str | Path | None = None,
    engine: str = "local",
    address: str | None = None,
    report: Callable[[str], None] = print,
    images: ImageData | None = None,
    stream: object = None,
) -> list[RunRecord]:
    """Run all configurations and return their records, as ``compare``, but write no page."""
    out, plugin = as_path("out", out), None if plugin is None else as_path("plugin", plugin)
    _check_arguments(configs, out, jobs)
    configs = with_images([with_source(config, plugin) for config in configs], images, stream)
    run_jobs = ENGINES[choose("engine", engine, ENGINES)]
    with locked(out, "comparing"):
        check_replaceable(out)
        folders = _folders(out, configs)
        kept = [] if overwrite else _finished(folders, report)
        pending = {folder: config for folder, config in folders.items() if folder not in kept}
        if pending:
            loaded = load_all(list(pending.values()))
            for folder in kept:
                _check_images(folder, folders[folder], loaded)
            for folder in pending if overwrite else ():
                remove_state(folder / CHECKPOINT)
            todo = [Job(config, folder, loaded[config.data]) for folder, config in pending.items()]
            _report_all(
                run_jobs(todo, slots=jobs, plugin=plugin, address=address), len(todo), report
            )
        return [read_record(folder) for folder in folders]


def _check_arguments(configs: Sequence[RunConfig], out: Path, jobs: int) -> None:
    if not isinstance(jobs, int) or jobs < 0:
        raise UserError(field="jobs", given=jobs, allowed="an integer, at least 0")
    allowed = "a list of configurations from lord.compose"
    expect("configs", configs, Sequence, allowed)
    for config in configs:
        expect("configs", config, RunConfig, allowed)
        check_apart(out, config.data.data)
    if is_ours(out):
        raise UserError(
            "is the folder of a run", field="out", given=out, hint="choose another `out`"
        )
    read_study(out)  # refuses a study.json that is not ours


def with_source(config: RunConfig, plugin: Path | None) -> RunConfig:
    """Return the configuration of a run that loads a plug-in, with the plug-in's source.

    Args:
        plugin: the study's plug-in, which this process need not have loaded.

    Raises:
        UserError: for a name that only this program registered, because the run's process lacks it.
    """
    if config.plugin:
        return config
    for field, name, known in (
        ("network", config.network.network, (*OUR_NETWORKS, *LIBRARIES)),
        ("method", config.method, BUILT_IN),
        ("preset", config.preset, BUILT_IN_PRESETS),
    ):
        if name.partition(":")[0] in known:
            continue
        if plugin is not None:
            return replace(config, plugin=read_plugin(plugin).hashes)
        raise UserError(
            "is registered in this program only, and the runs are other processes",
            field=field,
            given=name,
            hint="put it into a Python file, and set `plugin` to that file",
        )
    return config


def _folders(out: Path, configs: Sequence[RunConfig]) -> dict[Path, RunConfig]:
    """Return the folder of each run.

    Raises:
        UserError: if two different runs would have the same folder, or a run is given twice.
    """
    folders: dict[Path, RunConfig] = {}
    for config in configs:
        if (folder := out / folder_name(config)) in folders:
            if config == folders[folder]:
                raise UserError(
                    f"'{config.label}' with seed {config.seed} is given twice",
                    field="configs",
                    hint="give each run another seed or other settings",
                )
            raise UserError(
                f"two different variants are called '{config.label}'",
                field="configs",
                hint="give them different names",
            )
        folders[folder] = config
    return folders


def _finished(folders: Mapping[Path, RunConfig], report: Callable[[str], None]) -> list[Path]:
    """Find the finished runs. Check that these and interrupted ones were configured as now."""
    found = [folder for folder in folders if finished(folder)]
    begun = [folder for folder in folders if is_ours(folder) and has_state(folder / CHECKPOINT)]
    for folder in [*found, *begun]:
        difference(read_yaml(folder / CONFIG), flat(folders[folder]), folder)
    for folder in found:
        report(f"{folder.name}: finished before, kept")
    return found


def _check_images(folder: Path, config: RunConfig, images: Images) -> None:
    """Check that a finished run used the same images as the runs to come."""
    key = read_environment(folder).get("data_key")
    if config.data in images and key not in (None, images[config.data].key):
        raise UserError(
            f"has changed since the run in '{folder}'",
            field="data",
            given=config.data.data,
            hint="choose another `out`, or set `overwrite`",
        )


def load_all(configs: Sequence[RunConfig]) -> Images:
    """Load the images of all runs, each data set once, and check that they fit the streams.

    Raises:
        UserError: if images cannot be read, or a stream cannot be made of them.
    """
    loaded: Images = {}
    for config in configs:
        if config.data not in loaded:
            loaded[config.data] = load_images(config.data)
            if config.data.data in LOADERS:
                with suppress(UserError):  # without the cache, the runs' processes load them again
                    keep(loaded[config.data])
        stream_of(config, loaded[config.data])
    return loaded


def _report_all(
    outcomes: Generator[tuple[Job, str | None]], number: int, report: Callable[[str], None]
) -> None:
    """Report each run that ends. Raise an error at the end if any failed."""
    failed: list[str] = []
    with closing(outcomes):
        for done, (job, error) in enumerate(outcomes, 1):
            place = f"[{done}/{number}] "
            if error is None:
                report(place + summary_line(read_record(job.folder)))
            else:
                write_failure(job.folder, error)
                failed.append(f"{job.folder.name}: {error}")
                report(f"{place}failed: {failed[-1]}")
    if failed:
        raise UserError(f"{len(failed)} of {number} runs failed, the first: {failed[0]}")


def summary_line(record: RunRecord) -> str:
    """Summarize a finished run in one line."""
    class_il, task_il = record.headline
    return (
        f"{record.label}-seed{record.seed}: Class-IL {class_il:.1f}, Task-IL {task_il:.1f}, "
        f"{record.training_flops:.3g} FLOPs, {record.wall_s:.0f} s"
    )


def write_study(
    out: Path,
    configs: Sequence[RunConfig],
    command: str,
    *,
    given: Mapping[str, Value] | None = None,
    against: str | None = None,
) -> None:
    """Write study.json: the command of a comparison, and the versions and machines of its runs.

    Args:
        out: folder of the comparison.
        configs: configurations of the runs.
        command: the command line.
        given: settings that the command gave to all runs.
        against: label of the variant that the others are compared with.
    """
    environments = [read_environment(out / folder_name(config)) for config in configs]
    made = [each for each in environments if each.keys() >= ENVIRONMENT]
    dates = [str(each["date"]) for each in made]
    study = Study(
        command=command,
        given=msgspec.convert(given, dict[str, Written] | None),
        commits=sorted({str(each["commit"]) for each in made}),
        versions=sorted(
            {
                ", ".join(f"{name} {each[name]}" for name in ("lord", "torch", "python"))
                for each in made
            }
        ),
        machines=sorted(
            {f"{each['processor']}, {each['cores']} cores, {each['device']}" for each in made}
        ),
        dates=[min(dates), max(dates)] if dates else [],
        against=against,
        labels=list(dict.fromkeys(config.label for config in configs)),
    )
    write_json(out / "study.json", study)
