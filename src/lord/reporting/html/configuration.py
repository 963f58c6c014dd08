"""Read the configuration files of runs. They are read again only after a change."""

from functools import lru_cache
from pathlib import Path

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_config(folder: Path) -> dict[str, object]:
    """Return the configuration of the run in a folder; empty without a file."""
    file = folder / "config.yaml"
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, yaml.YAMLError):
        return {}


@lru_cache(maxsize=4096)  # a served page reads all files every two seconds
def _parsed(file: Path, _changed: int) -> dict[str, object]:
    read = yaml.load(file.read_text(), LOADER)
    ours = isinstance(read, dict) and {"method", "preset", "seed"} <= read.keys()
    return {str(name): value for name, value in read.items()} if ours else {}
