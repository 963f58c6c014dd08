"""See that a release is what it says: tag (GITHUB_REF_NAME), version, changelog and citation."""

import os
import re
import sys
from pathlib import Path

import lord

ROOT = Path(__file__).parents[1]


def check(tag: str, version: str, changelog: str, citation: str) -> str | None:
    """What is wrong, if anything is."""
    if tag != f"v{version}":
        return f"tag '{tag}': expected v{version}, the version in src/lord/__init__.py"
    if not re.search(rf"^## \[?{re.escape(version)}\]? - \d{{4}}-\d\d-\d\d$", changelog, re.M):
        return f"CHANGELOG.md: expected a part '## {version} - YYYY-MM-DD'"
    if f"\nversion: {version}\n" not in citation:
        return f"CITATION.cff: expected 'version: {version}'"
    return None


if __name__ == "__main__":
    texts = [(ROOT / name).read_text() for name in ("CHANGELOG.md", "CITATION.cff")]
    sys.exit(check(os.environ.get("GITHUB_REF_NAME", ""), lord.__version__, *texts))
