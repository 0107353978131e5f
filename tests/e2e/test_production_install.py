"""docs/run-in-production.md as a stranger follows it: its install commands, from a checkout."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from harness import processes, web
from harness.checkout import clone
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import ROOT, need

PAGE = (ROOT / "docs" / "run-in-production.md").read_text()
INSTALL_SECONDS = 180


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the repository."""
    need("git")
    return clone(tmp_path_factory.mktemp("production"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's environment, with the settings of this machine's pip."""
    pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    path = os.pathsep.join((str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]))
    return {**plain_environment(tmp_path), **pip, "HOME": str(tmp_path), "PATH": path}


def install_commands() -> str:
    """The first block of commands of the page."""
    found = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_install_commands_lead_to_a_running_server(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Every line as the page has it, with /opt and /etc below a temporary folder, and another port."""
    lines = install_commands().replace("/opt/", f"{tmp_path}/opt/").replace("/etc/", f"{tmp_path}/etc/")
    *setup, serve = lines.strip().splitlines()
    assert serve.split()[1] == "serve"
    (tmp_path / "opt").mkdir()
    (tmp_path / "etc").mkdir()
    script = "\n".join(setup)
    output = processes.run(["bash", "-euc", script], environment=environment, folder=checkout, seconds=INSTALL_SECONDS)
    assert output.code == 0, str(output)
    assert output.stdout.rstrip().endswith(serve.removeprefix(f"{tmp_path}/opt/tokenserver/bin/")), str(output)
    port = free_port()
    listen = environment | {"TOKENSERVER_SERVER_LISTEN": f"127.0.0.1:{port}"}
    daemon = Daemon("tokenserver", ["bash", "-euc", f"exec {serve}"], environment=listen, folder=tmp_path)
    with running(daemon, lambda: answers(port)):
        assert web.request(port, "GET", "/readyz").status == 200


def test_a_wheel_for_other_machines(checkout: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The `pip wheel` command of the page, in a checkout, makes one wheel."""
    found = re.search(r"`(pip wheel[^`]*)`", PAGE)
    assert found is not None
    command = f"{sys.executable} -m {found[1].replace(' dist ', f' {tmp_path}/dist ')}"
    output = processes.run(["bash", "-euc", command], environment=environment, folder=checkout, seconds=INSTALL_SECONDS)
    assert output.code == 0, str(output)
    assert [path.name.split("-")[0] for path in (tmp_path / "dist").iterdir()] == ["tokenserver"]
