"""Hooks of a server, from settings and files: what is checked at the start, and what follows a change of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hook_programs import LINES, LOGINS, hook_program

from tokenserver.authn.hooks.source import HookSource
from tokenserver.config.sources.hooks import HttpHookSettings, ProgramHookSettings
from tokenserver.errors import LoadError
from tokenserver.server.sources.hook_sources import files_of_hook, hook_source


def http(folder: Path, **more: Any) -> HttpHookSettings:
    """An HTTP hook, whose secret is in this folder."""
    values = {"url": "https://login.example.com", "secret_file": str(folder / "secret"), **more}
    return HttpHookSettings.model_validate(values)


def program(path: Path, **more: Any) -> ProgramHookSettings:
    """A program."""
    return ProgramHookSettings.model_validate({"command": [str(path)], **more})


def faults(settings: HttpHookSettings | ProgramHookSettings) -> str:
    """What is wrong with the files of a hook."""
    with pytest.raises(LoadError) as caught:
        hook_source(settings)
    return str(caught.value)


def test_hooks(tmp_path: Path) -> None:
    """Each kind, with its name and whether it can be asked about users; nothing is started."""
    (tmp_path / "secret").write_text("x" * 32 + "\n")
    (tmp_path / "secret").chmod(0o600)
    path = hook_program(tmp_path, LINES["good"])
    made = [hook_source(one) for one in (http(tmp_path), program(path), program(path, protocol="docker_auth"))]
    assert all(isinstance(one, HookSource) for one in made)
    assert [(one.name, one.is_searchable) for one in made] == [("http", True), ("program", True), ("program", False)]


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        pytest.param("x" * 31, 0o600, "at least 32 printable characters; fix: openssl rand -hex 32", id="short"),
        pytest.param("x" * 32 + "\ny", 0o600, "one line", id="two lines"),
        pytest.param("x" * 32, 0o644, "can be read by others", id="readable by others"),
        pytest.param(None, 0, "No such file", id="missing"),
    ],
)
def test_secrets(tmp_path: Path, content: str | None, mode: int, problem: str) -> None:
    """A weak secret would let others ask the hook; its text is in no message."""
    if content is not None:
        (tmp_path / "secret").write_text(content)
        (tmp_path / "secret").chmod(mode)
    found = faults(http(tmp_path))
    assert problem in found
    assert "xxxx" not in found


def test_both_files_are_reported(tmp_path: Path) -> None:
    """Not only the first."""
    found = faults(http(tmp_path, ca_file=str(tmp_path / "ca.pem")))
    assert "ca.pem" in found
    assert "secret" in found


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        pytest.param(0o644, "is not executable; fix: chmod +x", id="not executable"),
        pytest.param(0o757, "can be changed by others (mode 0757)", id="others can change it"),
        pytest.param(None, "No such file", id="missing"),
    ],
)
def test_programs(tmp_path: Path, mode: int | None, problem: str) -> None:
    """Somebody who can change the program sees every password (docs/design/threats.md#threat-209)."""
    path = hook_program(tmp_path, LOGINS["good"])
    if mode is None:
        path.unlink()
    else:
        path.chmod(mode)
    assert problem in faults(program(path))


@pytest.mark.parametrize(("mode", "is_refused"), [(0o777, True), (0o1777, False), (0o775, False)])
def test_the_folder_of_a_program(tmp_path: Path, mode: int, *, is_refused: bool) -> None:
    """Others could replace the program there, unless the folder is sticky as `/tmp` is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = hook_program(folder, LOGINS["good"])
    folder.chmod(mode)
    if is_refused:
        assert "others can replace it; fix: chmod o-w" in faults(program(path))
    else:
        assert hook_source(program(path)).name == "program"


def test_a_folder_is_no_program(tmp_path: Path) -> None:
    """Nor is anything else that is no regular file."""
    assert "regular file" in faults(program(tmp_path))


def test_files(tmp_path: Path) -> None:
    """A program that changes is started again, a secret is read again."""
    assert files_of_hook(http(tmp_path)) == (tmp_path / "secret",)
    assert files_of_hook(http(tmp_path, ca_file="/ca.pem")) == (Path("/ca.pem"), tmp_path / "secret")
    assert files_of_hook(program(tmp_path / "x")) == (tmp_path / "x",)
