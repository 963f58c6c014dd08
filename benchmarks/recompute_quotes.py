"""Look for each quoted mean, deviation and interval in the raw records, without this package.

    python benchmarks/recompute_quotes.py

It reads the pages that say what to use: README.md, choose.md, evidence.md and those in results/.
Each "mean ± deviation" of a section must be that of a group in a study. The section must name the
study, or link to a section of a page in results/ that does. A group is the runs of a method with
its settings, or their first seeds. In a JSON file, it is the numbers that differ only in seed or
place. Each interval, "difference (low to high)", must be the paired difference of two groups. The
script names what it does not find, and then ends with 1. It uses Python's standard library alone.
"""

import functools
import itertools
import json
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "how-to" / "choose.md",
    ROOT / "docs" / "explanation" / "evidence.md",
    *sorted(RESULTS.glob("*.md")),
)
NOT_KEPT = {"How was `lord+` found?": None, "What a learner keeps": "50.9 ± 0.5"}
"""Section -> the figure whose runs were not kept; None for all, as the section then says."""
QUOTE = re.compile(r"(?<![-+.\d])\d+\.\d ± \d*\.\d")
INTERVAL = re.compile(r"(\d+\.\d)[^\d()|]{0,60}\(([-+]?\d+\.\d) to ([-+]?\d+\.\d)")
STUDENT = {1: 12.706205, 2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582}
"""Degrees of freedom -> 97.5 % quantile of Student's t distribution."""
MEASURES = ("class_il", "task_il", "class_il_recomputed")
LINK = re.compile(r"results/([\w-]+\.md)#([\w-]+)")
Place = tuple[str, ...]


def printed(values: list[float]) -> set[str]:
    """Return mean and deviation of the values, and of the first of them, as pages print them."""
    firsts = [values[:count] for count in range(2, len(values) + 1)]
    return {f"{statistics.fmean(each):.1f} ± {statistics.stdev(each):.1f}" for each in firsts}


def numbers(value: object, place: Place = ()) -> Iterator[tuple[Place, float]]:
    """Return each number of a JSON value, with the keys that lead to it but for those of seeds."""
    if isinstance(value, dict):
        for key, each in value.items():
            name = re.sub(r", (choice|seed) \d+$|^\d+$", "", key)
            yield from numbers(each, (*place, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from numbers(each, place)
            yield from numbers(each, (*place, str(index)))
    elif isinstance(value, int | float):
        yield place, value


@functools.cache
def groups(folder: Path) -> dict[Place, dict[int, float]]:
    """Return the values of a study's groups by seed. The last key of a place is the measure."""
    found: dict[Place, dict[int, float]] = {}
    for file in folder.rglob("runs.jsonl"):
        for line in file.read_text().splitlines():
            run = json.loads(line)
            for measure, value in run.items():
                if isinstance(value, int | float):
                    group = found.setdefault((str(file), run["method"], run["label"], measure), {})
                    group[run["seed"]] = value
    for file in folder.rglob("*.json"):
        for place, value in numbers(json.loads(file.read_text())):
            group = found.setdefault((str(file), *place), {})
            group[len(group)] = value
    return found


def means(folders: list[Path]) -> set[str]:
    """Return all means and deviations of the studies, as pages print them."""
    values = [each for folder in folders for each in groups(folder).values()]
    return set().union(*(printed([each[seed] for seed in sorted(each)]) for each in values))


def differences(folders: list[Path]) -> set[tuple[float, ...]]:
    """Return the sizes of paired differences between groups, with their 95 % intervals.

    Groups are compared that have the same measure, or stand in the same place of a JSON file.
    """
    found: set[tuple[float, ...]] = set()
    alike: dict[Place, list[dict[int, float]]] = {}
    for folder in folders:
        for place, values in groups(folder).items():
            if place[-1] in MEASURES:
                alike.setdefault((place[-1],), []).append(values)
            elif place[0].endswith(".json"):
                alike.setdefault(place[:-1], []).append(values)
    pairs = [pair for each in alike.values() for pair in itertools.combinations(each, 2)]
    for one, other in pairs:
        common = sorted(one.keys() & other.keys())[: len(STUDENT) + 1]
        for count in range(2, len(common) + 1):
            gaps = [one[seed] - other[seed] for seed in common[:count]]
            mean = statistics.fmean(gaps)
            reach = STUDENT[count - 1] * statistics.stdev(gaps) / count**0.5
            ends = round(mean - reach, 1), round(mean + reach, 1)
            found |= {(abs(round(mean, 1)), *ends), (abs(round(mean, 1)), -ends[1], -ends[0])}
    return found


def sections(page: Path) -> dict[str, str]:
    """Return the text of each section of a page by its title."""
    parts = re.split(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchor(title: str) -> str:
    """Return the name by which links find a section."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def main() -> None:
    studies = {folder.name: folder for folder in RESULTS.iterdir() if folder.is_dir()}
    linked = {
        (page.name, anchor(title)): text
        for page in RESULTS.glob("*.md")
        for title, text in sections(page).items()
    }
    missing, count = [], 0
    for page in PAGES:
        for title, text in sections(page).items():
            reach = "\n".join([text, *(linked[place] for place in LINK.findall(text))])
            named = [f for name, f in studies.items() if re.search(rf"\b{name}\b", reach)]
            quotes, intervals = QUOTE.findall(text), INTERVAL.findall(text)
            count += len(quotes) + len(intervals)
            known = means(named) if quotes else set()
            wrong = [each for each in quotes if each not in known]
            if title in NOT_KEPT:
                wrong = [each for each in wrong if NOT_KEPT[title] not in (None, each)]
            pairs = differences(named) if intervals else set()
            for given in intervals:
                if tuple(map(float, given)) not in pairs:
                    wrong.append("{} ({} to {})".format(*given))
            missing += [f"{page.name}, {title}: {x} is in no study named there" for x in wrong]
    print("\n".join(missing) or f"All {count} figures come out as quoted, or say why not.")
    sys.exit(bool(missing) or not count)


if __name__ == "__main__":
    main()
