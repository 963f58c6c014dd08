"""List the studies in results/: what each answers, its cost, and the command that repeats it.

    python benchmarks/evidence.py

It runs nothing. Command and machine are those in the JSON files of a study. The cost is in CPU
hours of that machine: seconds times threads, over all runs. The answer is the line of the study in
results/README.md.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parents[1] / "results"
SECONDS = ("wall_s", "wall", "cpu_s", "cpu_seconds")
"""Names of a run's seconds in the files of studies."""


class Study(NamedTuple):
    """A measurement with a command.

    Attributes:
        name: its folder or, for one file of several, that file; relative to results/.
        answers: what it answers.
        hours: its cost in CPU hours; None if it was not recorded.
        machine: where it was measured; empty if it was not recorded.
        command: the command that repeats it.
    """

    name: str
    answers: str
    hours: float | None
    machine: str
    command: str

    def __str__(self) -> str:
        cost = "not recorded" if self.hours is None else f"{self.hours:.2f} h"
        return " | ".join([self.name, cost, self.machine or "-", self.answers, self.command])


def studies(results: Path) -> Iterator[Study]:
    """Return each study of a folder, in alphabetical order."""
    answers = answers_of((results / "README.md").read_text())
    for file in sorted(results.rglob("*.json")):
        found = json.loads(file.read_text())
        if not isinstance(found, dict) or "command" not in found:
            continue
        place = file.parent.relative_to(results)
        # study.json describes its folder, as does a file that is named like its folder.
        whole = file.stem in ("study", file.parent.name)
        yield Study(
            name=str(place if whole else place / file.stem),
            answers=answers.get(place.parts[0], ""),
            hours=hours_of(file, found),
            machine="; ".join(machines_of(found)),
            command=found["command"],
        )


def answers_of(page: str) -> dict[str, str]:
    """Return what each folder answers, from the table of studies on the page of results.

    >>> answers_of("| [a](a/README.md), b | [how](#how) fast |\\n| c: [d](c/d/README.md) | why |")
    {'a': 'how fast', 'b': 'how fast', 'c': 'why', 'd': 'why'}
    """
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page)
    rows = re.findall(r"^\| ([\w:, -]+) \| ([^|]+) \|$", plain, re.M)
    return {name: answer for names, answer in rows for name in re.split("[:,] ", names)}


def hours_of(file: Path, found: dict[str, Any]) -> float | None:
    """Return the CPU hours of the runs that a file describes; None if they were not recorded."""
    table = file.parent / "runs.jsonl"
    if file.stem != "study":
        data = [found]
    elif table.is_file():
        data = [json.loads(line) for line in table.read_text().splitlines()]
    else:
        data = [json.loads(each.read_text()) for each in file.parent.glob("*.json")]
    runs = list(seconds_in(data))
    threads = (found.get("given") or {}).get("threads", 1)
    return sum(runs) * threads / 3600 if runs else None


def seconds_in(value: Any) -> Iterator[float]:
    """Return the seconds of all runs in the data of a file."""
    if isinstance(value, dict):
        yield from (seconds for name, seconds in value.items() if name in SECONDS)
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from seconds_in(each)


def machines_of(found: dict[str, Any]) -> list[str]:
    """Return the machines on which a file's figures were measured."""
    made = found.get("environment")
    if made:
        return [f"{made['processor']}, {made['cores']} cores"]
    return found.get("machines", [])


if __name__ == "__main__":
    for study in studies(RESULTS):
        print(study)
