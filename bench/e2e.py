"""Access for benchmarks to the end-to-end tests' `harness`, which starts the real programs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def use(*programs: str) -> None:
    """Make `harness` importable; exits if one of these programs is missing."""
    missing = [name for name in programs if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if missing:
        sys.exit(f"{', '.join(missing)} is not installed; make real-servers installs it")
    sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "support")]
