"""What the commands do. Imported when one runs, since torch takes a second."""

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import lord.studies as studies
import lord.training as training
from lord.cli.flags import TYPED, Flags, Where
from lord.config import UserError, as_variant, build, choose, load_plugin
from lord.data import DataConfig, load_images, measure_normalisation
from lord.methods import METHODS
from lord.reporting import (
    CONVENTION,
    find_records,
    find_studies,
    missing,
    summarise,
    terminal,
    write_report,
)
from lord.reporting.html import watch as serve
from lord.reporting.html import write_page
from lord.streams import PRESETS
from lord.training.ranks import here

console = Console(markup=False)


def given_by(flags: Flags) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings from file and flags; apart, method, preset and seed, which a file may name too."""
    if flags.plugin:
        load_plugin(flags.plugin)
    values = training.read_yaml(flags.config) if flags.config else {}
    apart = ("method", "preset", "seed")
    chosen: dict[str, Any] = {name: values.pop(name) for name in apart if name in values}
    if flags.preset:
        chosen["preset"] = flags.preset
    typed = flags.given()
    if values.get("split") and "split" not in typed and {"tasks", "order"} & typed.keys():
        raise UserError(
            f"split: '{flags.config}' spells the tasks out; leave --tasks and --order out"
        )
    if "method" in chosen:  # of a variant in the file, what is typed comes first too
        chosen["method"] = as_variant("method", chosen["method"]).without(typed)
    # What is typed for all methods outdoes what the file says of one of them.
    values = {n: v for n, v in values.items() if n.rpartition(".")[2] not in typed}
    return values | typed, chosen


def run(
    flags: Flags,
    method: str | None,
    seed: int | None,
    out: Path | None,
    *,
    overwrite: bool,
    resume: bool,
    track: str | None,
    quiet: bool,
) -> None:
    given, chosen = given_by(flags)
    method = method or chosen.get("method", "lord")
    seed = chosen.get("seed", 0) if seed is None else seed
    config = training.compose(method, given, preset=chosen.get("preset"), seed=seed)
    out = out or Path("runs") / f"{config.preset}-{training.folder_name(config)}"
    quiet = quiet or not here().first
    try:
        shown = None if quiet else console
        record = training.run(
            config, out, overwrite=overwrite, resume=resume, track=track, console=shown
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: partial results are in {out}; --resume goes on from there"
        ) from None
    if not quiet:
        _table([record])
        console.print(f"results are in {out}")


def compare(
    flags: Flags,
    methods: str,
    seeds: int,
    out: Path | None,
    where: Where,
    *,
    overwrite: bool,
) -> None:
    given, chosen = given_by(flags)
    names = named(methods)
    preset = training.compose(names[0], given, preset=chosen.get("preset"), beside=names).preset
    out = out or Path("runs") / f"compare-{preset}"
    _study(names, seeds, given, chosen.get("preset"), flags.plugin, out, where, overwrite)


def ablate(
    flags: Flags,
    method: str,
    study: str,
    seeds: int,
    out: Path | None,
    where: Where,
    *,
    overwrite: bool,
) -> None:
    given, chosen = given_by(flags)
    choose("method", method, studies.ABLATIONS)
    choose("study", study, studies.ABLATIONS[method])
    whole = training.compose(method, given, preset=chosen.get("preset"))
    names = studies.variants(method, study, whole.training.epochs)
    out = out or Path("runs") / f"ablate-{method}-{study}-{whole.preset}"
    preset, against = chosen.get("preset"), names[0]
    _study(names, seeds, given, preset, flags.plugin, out, where, overwrite, against)


def _study(
    names: list[str],
    seeds: int,
    given: dict[str, Any],
    preset: str | None,
    plugin: Path | None,
    out: Path,
    where: Where,
    overwrite: bool,
    against: str | None = None,
) -> None:
    """Run all variants over all seeds, and report."""
    if seeds < 1:
        raise UserError(f"seeds: expected a number >= 1, got {seeds}")
    where.check()
    configs = [
        training.compose(name, given, preset=preset, seed=seed, beside=names)
        for seed in range(seeds)
        for name in names
    ]
    try:
        records = studies.compare(
            configs,
            out,
            jobs=where.jobs,
            engine=where.engine,
            address=where.address,
            overwrite=overwrite,
            plugin=plugin,
            say=say,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: finished runs are in {out}; the same command goes on"
        ) from None
    command = shlex.join(["lord", *TYPED]).encode(errors="replace").decode()
    studies.describe(out, configs, command, against)
    _show(out, records)
    if more := len(find_records(out)) - len(records):
        say(f"{more} more finished runs are in {out}, not on this page: 'lord report' takes all")


def named(methods: str) -> list[str]:
    """Method names from one flag."""
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if not names:
        raise UserError(f"methods: expected names separated by commas, got '{methods}'")
    return names


def watch(folder: Path, port: int) -> None:
    serve(folder, port, say)


def report(folder: Path, *, html: bool) -> None:
    if html:
        say(f"written: {write_page(folder)}")
        return
    studies = find_studies(folder)
    for study, records in studies.items():
        if len(studies) > 1:
            say(f"{study}: {len(records)} runs")
            write_report(study, records)
        else:
            _show(study, records)


def methods(name: str | None, plugin: Path | None) -> None:
    if plugin:
        load_plugin(plugin)
    if name is not None:
        recipe = METHODS[choose("method", name, METHODS)]
        paragraphs = recipe.about.strip().split("\n\n")
        about = "\n\n".join(" ".join(each.split()) for each in paragraphs)
        console.print(f"{name}: {about}\n", highlight=False)
        table = Table("setting", "default")
        for field in recipe.settings:
            table.add_row(field, str(getattr(recipe.config({}), field)))
        console.print(table)
        return
    table = Table("method", "what it is")
    for name, recipe in METHODS.items():
        about = recipe.about.strip().partition("\n\n")[0]
        table.add_row(name, " ".join(about.split()))
    console.print(table)
    presets = Table("preset", "stream")
    for name, protocol in PRESETS.items():
        presets.add_row(name, protocol.about)
    console.print(presets)


def data(path: str, holdout: float | None, resize: int | None) -> None:
    given = {"data": path, "holdout": holdout, "resize": resize}
    images = load_images(build(DataConfig, given))
    channels, height, width = images.shape
    mean, std = measure_normalisation(images.train_images)
    table = Table(show_header=False)
    table.add_row("layout", images.kind)
    table.add_row("images", f"{height} x {width}, {'grey' if channels == 1 else 'colour'}")
    for split in ("train", "test"):
        labels = getattr(images, f"{split}_labels")
        counts = labels.bincount(minlength=len(images.classes))
        table.add_row(split, f"{len(labels)} images, {counts.min()} to {counts.max()} a class")
    names = ", ".join(images.classes[:20]) + (" ..." if len(images.classes) > 20 else "")
    table.add_row("classes", f"{len(images.classes)}: {names}")
    table.add_row(
        "mean / std",
        " ".join(f"{m:.4f}/{s:.4f}" for m, s in zip(mean, std, strict=True)),
    )
    known = {image.tobytes() for image in images.train_images.numpy()}
    twice = len(images.train_images) - len(known)
    leaked = sum(image.tobytes() in known for image in images.test_images.numpy())
    table.add_row("sound", "every image could be read")
    table.add_row("twice in train", str(twice))
    table.add_row("test images also in train", str(leaked))
    console.print(table)


def _show(out: Path, records: list[Any]) -> None:
    written = write_report(out, records)
    _table(records)
    console.print(CONVENTION, highlight=False)
    console.print("written: " + ", ".join(str(file) for file in written), soft_wrap=True)


def _table(records: list[Any]) -> None:
    rows = summarise(records)
    console.print(terminal(rows))
    if said := missing(rows):
        say(said)


def say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
