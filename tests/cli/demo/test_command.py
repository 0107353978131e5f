"""`tokenserver demo`: what it creates, what ends it before anything is started; tests/e2e/test_demo.py runs it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from site_commands import Run

from tokenserver.cli.demo import command
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """The demos that would have been started."""
    found: list[SimpleNamespace] = []

    def run_none(demo: object) -> int:
        found.append(SimpleNamespace(demo=demo))
        return 0

    monkeypatch.setattr(command, "_run", run_none)
    return found


def _settings(folder: Path) -> Settings:
    return load_settings(folder / "tokenserver.yaml", {})


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A program that could be Distribution."""
    path = tmp_path / "registry"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_demo_is_made_once(run: Run, tmp_path: Path, started: list[SimpleNamespace], registry: str) -> None:
    """The first start says what it creates and has a password; the second one uses what is there."""
    first = run("demo", "demo", "--registry", registry)
    assert (first.exit_code, "Creating demo/tokenserver.yaml, keys and a user …\n" in first.stderr) == (0, True)
    before = {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*") if path.is_file()}
    second = run("demo", "demo", "--registry", registry)
    assert (second.exit_code, second.stderr) == (0, "")
    assert before == {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*") if path.is_file()}
    assert [bool(one.demo.password) for one in started] == [True, False]


def test_ports_that_are_taken_are_left_to_others(
    run: Run, tmp_path: Path, started: list[SimpleNamespace], registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's package starts a registry on port 5000 when it is installed."""
    taken = {5000, 5001, 5002}
    refused = OSError(98, "Address already in use")
    monkeypatch.setattr(command, "listening_refused", lambda address: refused if address[1] in taken else None)
    assert run("demo", "demo", "--registry", registry).exit_code == 0
    settings = _settings(tmp_path / "demo")
    assert settings.server.listen == "127.0.0.1:5003"
    assert settings.server.url == "http://localhost:5003"
    assert settings.registries[0].service == "localhost:5004"


def test_a_server_alone_speaks_for_the_usual_registry(run: Run, tmp_path: Path, started: list[SimpleNamespace]) -> None:
    """Which the README starts by hand."""
    assert run("demo", "demo", "--no-registry").exit_code == 0
    assert _settings(tmp_path / "demo").registries[0].service == "localhost:5000"
    assert started[0].demo.registry is None


def test_an_address_in_use_ends_it(run: Run, tmp_path: Path) -> None:
    """Before anything is started, with the exit code of `serve`."""
    assert run("init", "demo").exit_code == 0
    config = tmp_path / "demo" / "tokenserver.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config.write_text(config.read_text().replace("127.0.0.1:5001", f"127.0.0.1:{port}"))
        result = run("demo", "demo", "--no-registry")
    assert result.exit_code == 1
    assert result.stderr == (
        f"demo/tokenserver.yaml: server.listen: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )


def test_faulty_files_end_it(run: Run, tmp_path: Path) -> None:
    """As every command, with the faults and code 2."""
    assert run("init", "demo").exit_code == 0
    config = tmp_path / "demo" / "tokenserver.yaml"
    config.write_text(config.read_text().replace("issuer:", "isuer:"))
    result = run("demo", "demo", "--no-registry")
    assert result.exit_code == 2
    assert "did you mean 'issuer'?" in result.stderr


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        pytest.param("/FOLDER/bin/tokenserver", "bin/tokenserver", id="below-here"),
        pytest.param("/FOLDER/on path/tokenserver", "tokenserver", id="on-the-path"),
        pytest.param("/opt/my tools/tokenserver", "'/opt/my tools/tokenserver'", id="elsewhere"),
        pytest.param("/FOLDER/tokenserver/__main__.py", f"{sys.executable} -m tokenserver", id="as-a-module"),
    ],
)
def test_commands_name_the_program_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str, expected: str
) -> None:
    """So that they work when they are pasted."""
    monkeypatch.chdir(tmp_path)
    for name in ("bin", "on path"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenserver").write_text("#!/bin/sh\n")
        (tmp_path / name / "tokenserver").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "on path"))
    monkeypatch.setattr(sys, "argv", [called.replace("/FOLDER", str(tmp_path))])
    assert command._own_command() == expected
