"""What stands in deploy/, as far as it can be checked without systemd and without building an image.

test_composition.py and test_image.py run the rest.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.containers import instructions
from harness.processes import plain_environment, run
from harness.programs import need

from tokenserver import __version__

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNIT = (DEPLOY / "tokenserver.service").read_text()


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    """What pyproject.toml packs is copied, and exists."""
    copied = copied_into_the_build()
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = built["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *(pattern.split("/")[1] for pattern in wheel["include"]),
        built["project"]["readme"],
        *built["project"]["license-files"],
    }
    assert needed <= copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def copied_into_the_build() -> set[str]:
    """What the Containerfile takes from the build context."""
    copies = [rest for word, rest in instructions(DEPLOY / "Containerfile") if word == "COPY" and "--from" not in rest]
    return {name for rest in copies for name in rest.split()[:-1]}


def test_the_build_context_is_what_is_copied() -> None:
    """Nothing else reaches the engine: no keys, no run/, no .git. docker reads a copy by its own name."""
    lines = (ROOT / ".containerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied_into_the_build()
    assert (ROOT / ".dockerignore").read_text().splitlines() == lines


def test_the_label_has_the_version() -> None:
    """An image that says which version it is says the right one."""
    labels = " ".join(rest for word, rest in instructions(DEPLOY / "Containerfile") if word == "LABEL")
    assert f'org.opencontainers.image.version="{__version__}"' in labels


@pytest.mark.real("systemd-analyze")
def test_the_unit_is_well_formed_and_hardened(tmp_path: Path) -> None:
    """systemd finds nothing wrong, and little that the server could do to the machine."""
    program = need("systemd-analyze")
    unit = tmp_path / "tokenserver.service"
    unit.write_text(UNIT.replace("/opt/tokenserver/bin/tokenserver", sys.executable))
    environment = plain_environment(tmp_path)
    verified = run([program, "verify", unit], environment=environment, folder=tmp_path)
    assert (verified.ok, verified.text) == (True, ""), verified
    # 20 is an exposure of 2.0, on a scale from 0 to 10.
    secure = run(
        [program, "security", "--offline=true", "--threshold=20", unit], environment=environment, folder=tmp_path
    )
    assert secure.ok, secure


def test_the_unit_gives_time_to_stop() -> None:
    """Longer than the server takes for itself: half a second to drain and twenty to answer."""
    from tokenserver.process.supervisor import DRAIN_SECONDS, GRACE_SECONDS

    seconds = int(re.search(r"TimeoutStopSec=(\d+)s", UNIT)[1])  # type: ignore[index]  # it is there
    assert seconds > GRACE_SECONDS + DRAIN_SECONDS
    assert int(COMPOSE["services"]["tokenserver"]["stop_grace_period"].removesuffix("s")) == seconds
