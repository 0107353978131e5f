"""What stands in deploy/: as far as it can be run without an engine for containers and without systemd, it is run."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment, run, running
from harness.programs import need

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CONTAINER = (DEPLOY / "Containerfile").read_text()
UNIT = (DEPLOY / "tokenserver.service").read_text()


def environment_of(service: str) -> dict[str, str]:
    """What a service of the compose file is given."""
    return {name: str(value) for name, value in COMPOSE["services"][service]["environment"].items()}


def set_in_container() -> dict[str, str]:
    """The variables that the image sets."""
    line = next(line for line in CONTAINER.splitlines() if line.startswith("ENV "))
    return dict(pair.split("=", 1) for pair in shlex.split(line)[1:])


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    """What pyproject.toml packs is copied, and exists."""
    copied = [
        word
        for line in CONTAINER.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = built["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        built["project"]["readme"],
        *built["project"]["license-files"],
    }
    assert needed <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_health_check_of_the_image() -> None:
    """It runs and fails where nobody listens."""
    line = next(line for line in CONTAINER.splitlines() if line.startswith("HEALTHCHECK "))
    code = yaml.safe_load(line.removeprefix("HEALTHCHECK CMD "))[-1].replace("5001", str(free_port()))
    output = run([sys.executable, "-c", code], environment={}, folder=ROOT)
    assert (output.code, "refused" in output.text) == (1, True)


@pytest.mark.real("distribution3")
def test_compose_as_its_first_lines_say(tmp_path: Path) -> None:
    """The server made by that command, with the image's variables, and a registry with those of the compose file."""
    (tmp_path / "tmp").mkdir()
    ours, theirs = free_port(), free_port()

    def here(text: str) -> str:
        """The same outside of containers: other ports and folders."""
        replaced = text.replace(":5001", f":{ours}").replace(":5000", f":{theirs}").replace("0.0.0.0:", "127.0.0.1:")
        return replaced.replace("/etc/tokenserver", str(tmp_path / "etc")).replace("/trust/", f"{tmp_path}/")

    found = re.search(r"run --rm tokenserver (init .*)", (DEPLOY / "compose.yaml").read_text())
    assert found is not None
    environment = plain_environment(tmp_path) | {name: here(value) for name, value in set_in_container().items()}
    command = [sys.executable, "-m", "tokenserver"]
    made = run([*command, *shlex.split(here(found[1]))], environment=environment, folder=tmp_path)
    assert made.ok, made
    password = re.search(r"password +(\S+)", made.text)
    assert password is not None
    (serve,) = yaml.safe_load(CONTAINER.rpartition("\nCMD ")[2])
    server = Daemon("tokenserver", [*command, serve], environment=environment, folder=tmp_path)
    config = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/images}}}}"
    config.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: 127.0.0.1:{theirs}}}\n")
    settings = plain_environment(tmp_path) | {name: here(value) for name, value in environment_of("registry").items()}
    registry = Daemon("registry", [need("distribution3"), "serve", config], environment=settings, folder=tmp_path)
    with running(server, lambda: answers(ours)):
        fetch = COMPOSE["services"]["ca"]["command"][0].replace("tokenserver:5001", f"127.0.0.1:{ours}")
        assert run([sys.executable, "-c", here(fetch)], environment={}, folder=tmp_path).ok
        with running(registry, lambda: answers(theirs)):
            refused = web.request(theirs, "GET", "/v2/")
            assert refused.status == 401
            realm, service = re.findall(r'(?:realm|service)="([^"]*)"', refused.header("www-authenticate") or "")
            assert (realm, service) == (f"http://localhost:{ours}/token", f"localhost:{theirs}")
            basic = web.basic("admin", password[1])
            token = web.request(ours, "GET", web.token_target(service), headers=basic).json()["token"]
            granted = web.request(theirs, "GET", "/v2/", headers={"Authorization": f"Bearer {token}"})
            assert granted.status == 200


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
