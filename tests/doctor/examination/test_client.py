"""Examination of the client's side: where files are looked for, how they are read, and helpers as real programs."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tokenserver.doctor.client.checks import ClientTarget
from tokenserver.doctor.client.stored_logins import ClientKind, HelperOutcome
from tokenserver.doctor.examination.client import (
    MAX_ANSWER,
    MAX_FILE,
    ClientSide,
    ask_helper,
    client_files,
    examine_client,
    read_client_file,
)
from tokenserver.doctor.findings import Finding

DOCKER, PODMAN, HELM = ClientKind.DOCKER, ClientKind.PODMAN, ClientKind.HELM
HOST = "registry.example.com"
SECRET = "canary-4711-secret"
GOOD = {"auth": base64.b64encode(f"ann:{SECRET}".encode()).decode()}


class Home:
    """A home with files of clients, and a folder of helpers on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PATH": f"{self.programs}:/usr/bin:/bin",
        }

    def write(self, name: str, value: object, mode: int = 0o600) -> Path:
        """Write a file of stored logins."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        path.chmod(mode)
        return path

    def docker(self, auths: object = None, **more: Any) -> Path:
        """Write docker's file."""
        return self.write(".docker/config.json", {"auths": auths or {}, **more})

    def helper(self, name: str, script: str) -> None:
        """Write a helper: a script for sh."""
        path = self.programs / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def findings(self, *hosts: str, is_asked: bool = True, **more: str) -> list[Finding]:
        """What the doctor finds about these registries."""
        targets = [ClientTarget(host, f"https://{host}/v2/", host) for host in hosts or (HOST,)]
        side = ClientSide({**self.environment, **more}, targets, "https://auth.example.com/token", is_asked=is_asked)
        return examine_client(side)

    def wrong(self, *hosts: str, is_asked: bool = True, **more: str) -> list[tuple[str, bool | None]]:
        """Those to fix; no secret is in any of them."""
        found = self.findings(*hosts, is_asked=is_asked, **more)
        assert all(text not in repr(found) for text in (SECRET, GOOD["auth"]))
        return [(one.check, one.ok) for one in found if one.is_actionable]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param(
            {"HOME": "/home/ann"},
            [
                "/home/ann/.docker/config.json",
                "/home/ann/.config/helm/registry/config.json",
                f"/run/containers/{os.geteuid()}/auth.json",
                "/home/ann/.config/containers/auth.json",
            ],
            id="nothing set",
        ),
        pytest.param(
            {"HOME": "/h", "DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"},
            ["/d/config.json", "/c/helm/registry/config.json", "/r/containers/auth.json", "/c/containers/auth.json"],
            id="all set",
        ),
        pytest.param(
            {"REGISTRY_AUTH_FILE": "/a.json", "XDG_RUNTIME_DIR": "/r", "HELM_REGISTRY_CONFIG": "/h.json"},
            ["/.docker/config.json", "/h.json", "/a.json"],
            id="files are chosen",
        ),
    ],
)
def test_places(environment: dict[str, str], expected: list[str]) -> None:
    """Where docker and podman look."""
    found = list(client_files(environment))
    assert [str(path) for path, _ in found] == expected
    assert [kind for _, kind in found] == [DOCKER, HELM, *[PODMAN] * (len(found) - 2)]


def test_reading(home: Home) -> None:
    """With date and mode; what cannot be read is a problem, and what is not there is none."""
    path = home.docker({HOST: GOOD})
    os.utime(path, (0, 86_400))
    file = read_client_file(path, DOCKER)
    assert file is not None
    assert (f"{file.written:%Y-%m-%d}", file.mode, file.problem) == ("1970-01-02", 0o100600, None)
    assert read_client_file(path.parent / "no", DOCKER) is None
    problems = []
    for content in (b"{\n\xff", b" " * (MAX_FILE + 1)):
        path.write_bytes(content)
        file = read_client_file(path, DOCKER)
        problems.append(None if file is None else (file.problem, file.line))
    file = read_client_file(path.parent, DOCKER)
    problems.append(None if file is None else (file.problem, file.line))
    file = read_client_file(path / "below", DOCKER)
    problems.append(None if file is None else (file.problem, file.line))
    assert problems == [
        ("is not UTF-8 text", 2),
        (f"is larger than {MAX_FILE} bytes", 0),
        ("is not a regular file", 0),
        ("cannot be read: Not a directory", 0),
    ]


def test_a_good_login(home: Home) -> None:
    """Nothing to fix, in either file, and in both."""
    home.docker({HOST: GOOD})
    assert home.wrong() == []
    home.write("run/containers/auth.json", {"auths": {HOST: GOOD}})
    assert home.wrong() == []
    (home.folder / ".docker/config.json").unlink()
    assert home.wrong() == []


def test_the_variable_with_logins(home: Home) -> None:
    """Docker prefers it to its file, and ignores it where anything else is in it."""
    home.docker({HOST: GOOD})
    stale = base64.b64encode(b"ann:").decode()
    assert home.wrong(DOCKER_AUTH_CONFIG=json.dumps({"auths": {HOST: GOOD}})) == []
    assert home.wrong(DOCKER_AUTH_CONFIG=json.dumps({"auths": {HOST: {"auth": stale}}})) == [("stored login", False)]
    assert home.wrong(DOCKER_AUTH_CONFIG=json.dumps({"auths": {"x": {}}})) == [("client file", False)]
    assert home.wrong(DOCKER_AUTH_CONFIG="{") == [("client file", False)]


def test_nothing_is_stored(home: Home) -> None:
    """A fault for a registry that was asked about, a note otherwise."""
    assert home.wrong() == [("stored login", False)]
    assert home.wrong(is_asked=False) == []


def test_several_registries(home: Home) -> None:
    """Each on its own; a login for one is no login under a wrong name for the other."""
    home.docker({"localhost:5000": GOOD})
    assert home.wrong("localhost:5000", "localhost:5001", is_asked=False) == []
    assert home.wrong("localhost:5001") == [("stored login", False)]


def test_proxies(home: Home) -> None:
    """By the variables of the environment that is handed in."""
    home.docker({HOST: GOOD})
    assert home.wrong(HTTPS_PROXY="http://proxy:1") == [("client proxy", None)] * 2
    assert home.wrong(HTTPS_PROXY="http://proxy:1", NO_PROXY="example.com") == []


# --- helpers ---------------------------------------------------------------------------------------------------------


def test_a_helper_that_works(home: Home) -> None:
    """It gets the host, and its answer is used."""
    home.helper("good", f'test "$(cat)" = {HOST} || exit 1; printf \'{{"Username":"ann","Secret":"x"}}\'')
    home.docker({HOST: {}}, credsStore="good")
    assert home.wrong() == []
    assert [one.theirs for one in home.findings() if one.check == "helper"] == ["ann"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(None, ("helper", False), id="missing"),
        pytest.param("exit 3", ("helper", False), id="fails"),
        pytest.param(f"echo {SECRET}; echo {SECRET} >&2; exit 1", ("helper", False), id="fails, with a secret"),
        pytest.param(f"echo {SECRET}", ("helper", False), id="no JSON"),
        pytest.param("echo credentials not found in native keychain; exit 1", ("helper", False), id="none"),
        pytest.param(
            f'printf \'{{"Username":"<token>","Secret":"{SECRET}"}}\'', ("identity token", False), id="identity token"
        ),
    ],
)
def test_helpers_that_do_not(script: str | None, expected: tuple[str, bool], home: Home) -> None:
    """Each by its name; none of it is printed."""
    if script is not None:
        home.helper("bad", script)
    home.docker({}, credHelpers={HOST: "bad"})
    assert home.wrong() == [expected]


def test_a_helper_for_all_without_this_one(home: Home) -> None:
    """Unless somebody asked, or the file has a login that is not used: no fault."""
    home.helper("none", "echo credentials not found in native keychain; exit 1")
    home.docker({}, credsStore="none")
    assert home.wrong(is_asked=False) == []
    home.docker({HOST: GOOD}, credsStore="none")
    assert home.wrong(is_asked=False) == [("helper", False)]
    home.docker({f"{HOST}:443": {}}, credsStore="none")
    assert home.wrong() == [("stored login", False)]


def test_a_helper_named_by_others(home: Home) -> None:
    """A file that others can change runs nothing."""
    mark = home.folder / "ran"
    home.helper("evil", f"touch {mark}")
    home.write(".docker/config.json", {"credHelpers": {HOST: "evil"}}, 0o666)
    assert home.wrong() == [("helper", False)]
    assert not mark.exists()


def test_a_helper_that_hangs(home: Home) -> None:
    """It is ended after its time, with what it has started."""
    home.helper("slow", f"echo $$ > {home.folder}/pid; sleep 60 & sleep 60")
    start = time.monotonic()
    assert ask_helper("slow", HOST, home.environment, seconds=1).outcome is HelperOutcome.HANGS
    assert time.monotonic() - start < 20
    group = int((home.folder / "pid").read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _is_alive(group):
        time.sleep(0.05)
    assert not _is_alive(group)


def test_a_helper_that_ends_with_its_output_closed(home: Home) -> None:
    """Closing the output is not the end."""
    home.helper("slow", "exec >&-; sleep 60")
    assert ask_helper("slow", HOST, home.environment, seconds=0.3).outcome is HelperOutcome.HANGS


def test_an_interrupt_ends_the_helper(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C reaches only this process."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    home.helper("slow", "exec sleep 60")
    monkeypatch.setattr("tokenserver.doctor.examination.client.select.select", interrupted)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask_helper("slow", HOST, home.environment)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param("exec <&-; echo x; exit 1", HelperOutcome.FAILED, id="does not read"),
        pytest.param(f"head -c {MAX_ANSWER * 4} /dev/zero", HelperOutcome.FAILED, id="prints without end"),
    ],
)
def test_strange_helpers(script: str, outcome: HelperOutcome, home: Home) -> None:
    """They fail, and stop nothing."""
    home.helper("strange", f"set -e; {script}")
    assert ask_helper("strange", HOST, home.environment).outcome is outcome


def test_no_program(home: Home) -> None:
    """A path is no name of a helper, and a script needs its interpreter."""
    home.helper("x", "exit 0")
    (home.programs / "docker-credential-y").write_text("#!/no/such/interpreter\n")
    (home.programs / "docker-credential-y").chmod(0o755)
    assert ask_helper("../x", HOST, home.environment).outcome is HelperOutcome.MISSING
    assert ask_helper("y", HOST, home.environment).code == 126


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
