"""Settings of hooks: URLs that may get passwords, commands, and combinations that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.config.settings import Settings
from tokenserver.config.sources.hooks import HttpHookSettings, ProgramHookSettings

HTTP = {"url": "https://login.example.com/check", "secret_file": "secret"}
PROGRAM = {"command": ["/usr/bin/check"]}


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.com",
        "http://localhost:8080/x",
        "http://127.0.0.1:1",
        "http://[::1]:8080/check",
        "https://10.0.0.1",
    ],
)
def test_urls(url: str) -> None:
    """https anywhere, http on this machine."""
    assert HttpHookSettings.model_validate({**HTTP, "url": url}).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://login.example.com/check", "http://10.0.0.1", "http://localhost.example.com", "ftp://localhost", "x"),
        *("http://127.0.0.1@login.example.com/", "https://user:password@login.example.com/", "https://a/?next=b"),
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """A password never leaves this machine in clear text (docs/design/threats.md#threat-207)."""
    with pytest.raises(ValidationError, match="url"):
        HttpHookSettings.model_validate({**HTTP, "url": url})


@pytest.mark.parametrize(
    ("command", "found"),
    [
        pytest.param(["/usr/bin/check"], ("/usr/bin/check",), id="absolute"),
        pytest.param(["./check", "a b", "$HOME"], ("/base/check", "a b", "$HOME"), id="relative, with arguments"),
    ],
)
def test_commands(command: list[str], found: tuple[str, ...]) -> None:
    """The path is relative to the file of the configuration; arguments stay as they are."""
    settings = ProgramHookSettings.model_validate({"command": command}, context={"base": Path("/base")})
    assert settings.command == found


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        pytest.param("/usr/bin/check --fast", "must be a list", id="text"),
        pytest.param([], "must be a list", id="empty"),
        pytest.param(["check"], "must begin with the path", id="name"),
        pytest.param([7], "must begin with the path", id="number"),
        pytest.param(["/check", 7], "command", id="number as argument"),
        pytest.param(["/check", "a\0"], "NUL", id="NUL"),
        pytest.param(["/check", *["x"] * 64], "command", id="too many"),
    ],
)
def test_commands_that_are_refused(command: Any, problem: str) -> None:
    """No search in PATH and no shell."""
    with pytest.raises(ValidationError, match=problem):
        ProgramHookSettings.model_validate({"command": command})


@pytest.mark.parametrize(
    ("kind", "values", "problem"),
    [
        pytest.param(HttpHookSettings, {**HTTP, "cache": 0, "stale_grace": 60}, "needs cache", id="http grace"),
        pytest.param(ProgramHookSettings, {**PROGRAM, "cache": 0, "stale_grace": 60}, "needs cache", id="grace"),
        pytest.param(HttpHookSettings, {**HTTP, "url": "http://localhost", "ca_file": "x"}, "ca_file", id="no TLS"),
        pytest.param(HttpHookSettings, {**HTTP, "deadline": "11s"}, "deadline", id="long deadline"),
        pytest.param(ProgramHookSettings, {**PROGRAM, "workers": 0}, "workers", id="no workers"),
        pytest.param(ProgramHookSettings, {**PROGRAM, "protocol": "text"}, "protocol", id="unknown protocol"),
        pytest.param(ProgramHookSettings, {**PROGRAM, "group_labels": ["x"]}, "has no effect", id="labels of json"),
        pytest.param(ProgramHookSettings, {**PROGRAM, "groups": {"allow": []}}, "allow", id="no groups"),
    ],
)
def test_combinations_that_are_refused(kind: type[HttpHookSettings], values: dict[str, Any], problem: str) -> None:
    """Each with its key."""
    with pytest.raises(ValidationError, match=problem):
        kind.model_validate(values)


def test_terms() -> None:
    """What the answers mean; by default all groups as they are."""
    found = HttpHookSettings.model_validate({**HTTP, "groups": {"allow": ["reg-*"], "prefix": "x/"}})
    assert found.terms == HookTerms("http", ("reg-*",), "x/")
    assert ProgramHookSettings.model_validate(PROGRAM).terms == HookTerms("program")


@pytest.mark.parametrize(
    ("protocol", "names", "is_possible"),
    [
        ("json", {"namespace": "lower"}, True),
        ("docker_auth", {"namespace": "lower"}, False),
        ("docker_auth", None, True),
    ],
)
def test_namespaces(tmp_path: Path, protocol: str, names: dict[str, str] | None, *, is_possible: bool) -> None:
    """A program that cannot be asked about users cannot stand beside a source that maps names."""
    values = {
        "issuer": "auth.example.com",
        "server": {"listen": "127.0.0.1:5001", "url": "https://auth.example.com"},
        "registries": [{"service": "registry.example.com"}],
        "authentication": [
            {"htpasswd": {"file": "users", "names": names}},
            {"program": {**PROGRAM, "protocol": protocol}},
        ],
        "policies": "policies",
        "keys": {"folder": "keys"},
    }
    if is_possible:
        assert len(Settings.model_validate(values, context={"base": tmp_path}).user_sources) == 2
        return
    with pytest.raises(ValidationError, match="who has a namespace"):
        Settings.model_validate(values, context={"base": tmp_path})
