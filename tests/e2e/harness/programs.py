"""Finds the real programs. A missing one skips the test by its name, or fails it where the environment demands so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / ".tools" / "bin"
REQUIRED = "TOKENSERVER_REQUIRE_REAL"

# The released tool is called `registry`, which says too little in a message and in a test's name.
_FILES = {"distribution3": "registry"}
# What takes minutes to build, so that only the night has it.
_NIGHTLY = frozenset(
    {
        "buildctl",
        "buildkitd",
        "caddy",
        "containerd2",
        "cosign",
        "ctr2",
        "docker28",
        "etcd",
        "helm4",
        "jib",
        "keycloak",
        "kube-apiserver",
        "kubectl",
        "oci-client",
        "otel-collector",
        "renovate",
    }
)
# Debian's programs stand here, also when a PATH leaves them out or shows another build first.
_FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def find(program: str) -> Path | None:
    """The program's file: out of `.tools/bin`, else Debian's, else the first on PATH; None where there is none."""
    name = _FILES.get(program, program)
    for folders in (str(TOOLS), os.pathsep.join(_FOLDERS), os.environ.get("PATH", os.defpath)):
        found = shutil.which(name, path=folders)
        if found is not None:
            return Path(found)
    return None


def need(program: str) -> Path:
    """The program's file. Skips the test where there is none, and fails it if TOKENSERVER_REQUIRE_REAL=1."""
    found = find(program)
    if found is None:
        target = "real-servers-nightly" if program in _NIGHTLY else "real-servers"
        refuse(f"{program} is not installed; make {target} installs it")
    return found


def need_root(program: str) -> None:
    """Some programs mount; without root they cannot, and no installation would mend that."""
    if os.geteuid() != 0:
        refuse(f"{program} needs root here")


def refuse(reason: str) -> NoReturn:
    """Skip the running test for this reason, or fail it if TOKENSERVER_REQUIRE_REAL=1."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason} ({REQUIRED}=1)", pytrace=False)
    pytest.skip(reason)
