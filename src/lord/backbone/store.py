"""Features on disk, by the content of their images."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from lord.config import UserError

LIMIT = 1 << 30
"""Most bytes of a store."""
ASKED = 500
"""Keys in one query. SQLite limits them."""


class FeatureStore:
    """A bounded table of features in one SQLite file. Several processes may use it.

    When it is full, the oldest tenth is deleted. A file that cannot be read or written is not
    used: features are then computed again.

    >>> import tempfile
    >>> store = FeatureStore(Path(tempfile.mkdtemp()) / "features.sqlite")
    >>> store.add({b"key": b"value"})
    >>> store.find([b"key", b"other"])
    {b'key': b'value'}

    Args:
        path: the file. It is made if necessary.
        limit: most bytes of the file.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path, self.limit = path, limit

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that are in the store."""
        found: dict[bytes, bytes] = {}
        try:
            if not self.path.exists():
                return found
            with closing(self._open()) as table:
                for start in range(0, len(keys), ASKED):
                    part = keys[start : start + ASKED]
                    marks = ",".join("?" * len(part))
                    query = f"SELECT key, value FROM features WHERE key IN ({marks})"
                    found.update(table.execute(query, part))
        except (sqlite3.Error, OSError):
            return {}
        return found

    def add(self, values: Mapping[bytes, bytes]) -> None:
        """Add values by key."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as table, table:
                insert = "INSERT OR IGNORE INTO features (key, value) VALUES (?, ?)"
                table.executemany(insert, values.items())
                self._shrink(table)
        except (sqlite3.Error, OSError):
            return

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove the values of keys. The file is written again, so that no trace of them stays.

        Raises:
            UserError: if it cannot be written.
        """
        if not self.path.exists():
            return
        try:
            with closing(self._open()) as table:
                with table:
                    delete = "DELETE FROM features WHERE key = ?"
                    table.executemany(delete, [(key,) for key in keys])
                table.execute("VACUUM")
                table.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, OSError) as error:
            hint = "remove that file; it is a cache"
            raise UserError(
                f"cannot remove features from '{self.path}': {error}", hint=hint
            ) from None

    def _open(self) -> sqlite3.Connection:
        table = sqlite3.connect(self.path, timeout=30)
        table.execute("PRAGMA journal_mode=WAL")
        table.execute("PRAGMA synchronous=OFF")  # a lost entry is computed again
        table.execute(
            "CREATE TABLE IF NOT EXISTS features "
            "(number INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)"
        )
        return table

    def _shrink(self, table: sqlite3.Connection) -> None:
        """Delete the oldest tenth if the values need more bytes than allowed."""
        (pages,), (free,), (size,) = (
            table.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self.limit:
            rows, oldest = table.execute("SELECT COUNT(*), MIN(number) FROM features").fetchone()
            table.execute("DELETE FROM features WHERE number < ?", (oldest + rows // 10 + 1,))
