"""docs/compatibility.md says what the tests hold, no more and no less."""

from __future__ import annotations

import re
import subprocess
import sys

from harness.compatibility import HELMS, PAGE, VERSIONS, page
from harness.every_client import CLIENTS
from harness.libraries import LIBRARIES
from harness.programs import ROOT


def test_the_page_is_current() -> None:
    """Whoever changes a table prints the page anew."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run: .venv/bin/python scripts/compatibility"


def test_the_versions_are_those_that_are_installed() -> None:
    """Of the released tools, whose versions the script of installation pins."""
    script = (ROOT / "scripts" / "real-servers").read_text()
    pinned = dict(re.findall(r"/(\w+)@v([0-9.]+)$", script, re.MULTILINE))
    helms = re.findall(r"/cmd/helm@v([0-9.]+)$", script, re.MULTILINE)
    for name in ("crane", "oras", "regctl", "gcrane", "regsync", "imgpkg", "ko"):
        assert VERSIONS[name] == f"{name} {pinned[name]}"
    assert VERSIONS["ctr2"] == f"ctr (containerd {pinned['containerd']})"
    assert VERSIONS["buildkit"] == f"BuildKit {pinned['buildctl']}"
    assert pinned["buildctl"] == pinned["buildkitd"]
    assert [f"helm {version}" for version in helms] == list(HELMS.values())
    assert all(f"| {label} |" in page() for label in HELMS.values())
    assert f"zot {pinned['zot']}" in page()
    assert set(VERSIONS) == {client.name for client in CLIENTS}


def test_every_client_has_cases_at_both_registries() -> None:
    """`scripts/e2e-cases` counts them; a client without a case would be one that nobody tries."""
    done = subprocess.run([sys.executable, ROOT / "scripts" / "e2e-cases"], check=True, capture_output=True, text=True)
    rows = dict(re.findall(r"^([\w-]+) +([0-9]+ +[0-9]+) ", done.stdout, re.MULTILINE))
    assert set(rows) == {client.name for client in CLIENTS} | set(HELMS) | {kind.name for kind in LIBRARIES} | {
        "all"
    }, done.stdout
    assert all(int(number) > 0 for numbers in rows.values() for number in numbers.split())
