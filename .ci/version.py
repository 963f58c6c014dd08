"""See that a release is what it says: its tag (GITHUB_REF_NAME), its version and its changelog."""

import os
import re
import sys
from pathlib import Path

import lord

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def check(tag: str, version: str, changelog: str) -> str | None:
    """What is wrong, if anything is."""
    if tag != f"v{version}":
        return f"tag '{tag}': expected v{version}, the version in src/lord/__init__.py"
    if not re.search(rf"^## \[?{re.escape(version)}\]? - \d{{4}}-\d\d-\d\d$", changelog, re.M):
        return f"CHANGELOG.md: expected a part '## {version} - YYYY-MM-DD'"
    return None


if __name__ == "__main__":
    sys.exit(check(os.environ.get("GITHUB_REF_NAME", ""), lord.__version__, CHANGELOG.read_text()))
