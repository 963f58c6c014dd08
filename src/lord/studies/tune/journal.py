"""The journal of a search: Optuna's record of its trials, from which a search continues."""

import json
import os
from pathlib import Path

from lord.config import UserError
from lord.studies.tune.plan import WRITTEN

JOURNAL = "journal.log"
"""Name of the journal. Each of its lines is JSON."""


def check_replaceable(out: Path) -> None:
    """Check that no file that is not from a search would be replaced.

    Raises:
        UserError: names the file.
    """
    for name in WRITTEN:
        if (out / name).exists() and not (out / JOURNAL).exists():
            raise UserError(
                f"'{out / name}' does not belong to a search and would be replaced",
                field="out",
                hint="choose another `out`",
            )


def repair(journal: Path) -> None:
    """Remove the last line if a crash left it incomplete.

    Raises:
        UserError: if the file is not a journal, or cannot be written.
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
        raise UserError(
            f"'{journal}' is not the journal of a search", field="out", hint="choose another `out`"
        ) from None
