"""A search's file of what was asked and told."""

import json
import os
from pathlib import Path

from lord.config import UserError
from lord.studies.tune.plan import WRITTEN

JOURNAL = "journal.log"
"""A line of JSON each."""


def see_nothing_else(out: Path) -> None:
    """See that no file that is not a search's is written over.

    Raises:
        UserError: names it.
    """
    for name in WRITTEN:
        if (out / name).exists() and not (out / JOURNAL).exists():
            raise UserError(f"'{out / name}' would be replaced: give another --out")


def mend(journal: Path) -> None:
    """Drop a last line that was not written to its end; refuse what is no journal.

    Raises:
        UserError: if it is none.
    """
    if not journal.exists():
        return
    try:
        lines = journal.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        for line in whole:
            json.loads(line)
        if len(whole) < len(lines):
            os.truncate(journal, sum(map(len, whole)))
    except OSError as error:
        raise UserError(f"cannot write to '{journal}': {error.strerror}") from None
    except ValueError:
        raise UserError(f"'{journal}' is no search's journal: give another --out") from None
