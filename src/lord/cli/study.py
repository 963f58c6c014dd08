"""What ``lord compare`` and ``lord ablate`` share: run all variants with all seeds, and report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lord.cli.console import command_line, continues, report_on, say
from lord.cli.flags import Arguments, Execution
from lord.cli.naming import as_flags
from lord.config import UserError, Variant, convert, parse_variant
from lord.config.types import Count, Natural

if TYPE_CHECKING:
    from lord.evaluation import RunRecord


def variants_in(methods: str) -> list[Variant]:
    """Read variants that are separated by commas.

    Raises:
        UserError: if there is none, one has another form, or two have the same name. Also if one
            is given twice.
    """
    texts = [text.strip() for text in methods.split(",") if text.strip()]
    if not texts:
        raise UserError(field="methods", given=methods, allowed="names separated by commas")
    variants = [parse_variant(text) for text in texts]
    by_label = {variant.label: variant for variant in variants}
    for variant in variants:
        if by_label[variant.label] != variant:
            raise UserError(
                f"two different variants are called '{variant.label}'",
                field="methods",
                hint="give each another name",
            )
    if len(by_label) < len(variants):
        labels = [variant.label for variant in variants]
        twice = next(label for label in labels if labels.count(label) > 1)
        raise UserError(
            f"names {twice} twice",
            field="methods",
            given=methods,
            hint="name it once; `seeds` sets how often each runs",
        )
    return variants


def seeds_in(text: str) -> list[int]:
    """Read a number of seeds, or seeds that are separated by commas.

    >>> seeds_in("3"), seeds_in("7,8,9"), seeds_in("7,")
    ([0, 1, 2], [7, 8, 9], [7])

    Raises:
        UserError: if there is none, or one is not an integer or occurs twice.
    """
    if "," not in text:
        return list(range(convert("seeds", text, Count)))
    words = [word.strip() for word in text.removesuffix(",").split(",")]
    seeds = [convert("seeds", word, Natural) for word in words]
    if len(set(seeds)) < len(seeds):
        raise UserError(field="seeds", given=text, allowed="no seed twice")
    return seeds


def run_study(
    variants: Sequence[Variant],
    seeds: Sequence[int],
    out: Path,
    arguments: Arguments,
    execution: Execution,
    *,
    overwrite: bool,
    against: Variant | None = None,
) -> "list[RunRecord]":
    """Run all variants with all seeds, write study.json and the report, and print the table.

    Args:
        against: the variant that the others are compared with.
    """
    import lord.studies as studies
    from lord.reporting import find_records
    from lord.training import compose

    configs = [
        compose(variant, arguments.given, preset=arguments.preset, seed=seed, beside=variants)
        for seed in seeds
        for variant in variants
    ]
    with continues(f"finished runs are in {out}; the same command continues"):
        records = studies.run_all(
            configs,
            out,
            jobs=execution.jobs,
            engine=execution.engine,
            address=execution.address,
            overwrite=overwrite,
            plugin=arguments.plugin,
            report=lambda text: say(as_flags(text)),
        )
    studies.write_study(
        out,
        configs,
        command_line(),
        given=arguments.recorded,
        against=against.label if against else None,
    )
    report_on(out, records, against.label if against else None)
    if more := len(find_records(out)) - len(records):
        say(f"{more} more finished runs are in {out}; 'lord report {out}' includes them.")
    return records
