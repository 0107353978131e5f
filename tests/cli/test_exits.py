"""Exit codes that scripts and supervisors rely on, and how every command ends that is interrupted or cannot write.

`COMMANDS` has a line for each command; one that is forgotten fails the first test.
"""

from __future__ import annotations

import errno
import gc
import inspect
import io
import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import click
import pytest
from click.testing import CliRunner
from credential_requests import request
from harness.processes import free_port
from prepared_commands import OWN_TERMINAL, ended, start_command
from users_commands import hashed

from tokenserver.cli import exits, main
from tokenserver.cli import serve as serving
from tokenserver.cli.demo import command as demo
from tokenserver.cli.main import RootGroup
from tokenserver.policy.history.kept_snapshots import keep
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.process import listener

EVENT = (
    '{"time":"2026-06-01T00:00:00Z","event":"exchange","registry":"localhost:5000","subject":"","kind":"anonymous",'
    '"groups":[],"asked":["repository:public/x:pull"],"granted":[],"rules":[],"policy":"%s","outcome":"denied"}\n'
)

POLICY = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/site], cannot: [push public/site]}
"""
"""Each command runs ten times, so this is small."""

DOCKER_AUTH = """\
server: {addr: "127.0.0.1:5001"}
token: {issuer: us, expiration: 900}
users: {"": {}}
acl: [{match: {}, actions: [pull]}]
"""
CONFIG, FILE = "--config site/tokenserver.yaml", "--file users"


EXPORT = (
    '{"projects": [{"project_id": 1, "name": "web", "metadata": {"public": "true"}}], "members": {"1": []},'
    ' "users": [], "usergroups": [], "robots": []}'
)
"""An export of Harbor."""

QUAY_EXPORT = (
    '{"organizations": [], "members": {}, "robots": {}, "prototypes": {}, "repositories": [], "permissions": {},'
    ' "users": [{"username": "ann"}]}'
)
"""An export of Quay."""

COMMANDS = {
    "access-keys create": (f"access-keys create --user admin {CONFIG}", 74),
    "access-keys list": (f"access-keys list --json {CONFIG}", 74),
    "access-keys revoke": (f"access-keys revoke --user admin --json {CONFIG}", 74),
    "access-keys rotate": (f"access-keys rotate 000000000000 {CONFIG}", 1),
    "access-keys show": (f"access-keys show 000000000000 {CONFIG}", 1),
    "audit index": ("audit index audit.jsonl --into audit.db", 74),
    "audit search": ("audit search --json audit.jsonl", 74),
    "audit unused": (f"audit unused --json audit.jsonl {CONFIG}", 74),
    "audit verify": (f"audit verify --json audit.jsonl {CONFIG}", 74),
    "audit who-could": ("audit who-could pull public/x --at 2026-06-02 --snapshots kept audit.jsonl", 74),
    "audit who-did": ("audit who-did pull public/x --denied audit.jsonl", 74),
    "check": (f"check {CONFIG}", 74),
    "credential-provider": ("credential-provider", 74),
    "demo": ("demo --no-registry new", 0),
    "doctor": (f"doctor {CONFIG}", 74),
    "doctor client": (f"doctor client {CONFIG}", 74),
    "health": (f"health {CONFIG}", 1),
    "help": ("help policies", 74),
    "import harbor": ("import harbor export.json new", 74),
    "import docker-auth": ("import docker-auth auth.yml new", 74),
    "import verify": ("import verify --docker-auth auth.yml --with site --random 10", 74),
    "import htpasswd-registry": ("import htpasswd-registry registry.yml new --users users", 74),
    "import quay": ("import quay quay.json new", 74),
    "import zot": ("import zot zot.json new", 74),
    "init": ("init new", 74),
    "keys export": (f"keys export ca {CONFIG}", 74),
    "keys import": (f"keys import key.pem {CONFIG}", 74),
    "keys init": (f"keys init {CONFIG}", 74),
    "keys list": (f"keys list {CONFIG}", 74),
    "keys retire": (f"keys retire unknown {CONFIG}", 1),
    "keys rotate": (f"keys rotate --plan {CONFIG}", 74),
    "ldap test": (f"ldap test ann {CONFIG}", 2),
    "logins list": (f"logins list --json {CONFIG}", 74),
    "logins revoke": (f"logins revoke --user admin --json {CONFIG}", 74),
    "people list": (f"people list --json {CONFIG}", 74),
    "people unpin": (f"people unpin admin --source sso {CONFIG}", 1),
    "policy diff": ("policy diff site/policies site/policies", 74),
    "policy lint": (f"policy lint --json {CONFIG}", 74),
    "policy matrix": (f"policy matrix {CONFIG}", 74),
    "policy replay": (f"policy replay --json audit.jsonl {CONFIG}", 74),
    "policy test": (f"policy test {CONFIG}", 74),
    "policy what-can": (f"policy what-can user:ann {CONFIG}", 74),
    "policy who-can": (f"policy who-can pull public/x {CONFIG}", 74),
    "policy why": (f"policy why pull public/x --user ann {CONFIG}", 74),
    "registries check": (f"registries check {CONFIG}", 74),
    "registries config": (f"registries config --write new {CONFIG}", 74),
    "registries list": (f"registries list {CONFIG}", 74),
    "registry-config": (f"registry-config localhost:5000 --for distribution3 {CONFIG}", 74),
    "robots list": (f"robots list --json {CONFIG}", 74),
    "robots show": (f"robots show ci-web {CONFIG}", 1),
    "robots secret new": ("robots secret new ci-web --for-file", 74),
    "robots secret revoke": (f"robots secret revoke ci-web --json {CONFIG}", 74),
    "robots secret rotate": (f"robots secret rotate ci-web {CONFIG}", 1),
    "schema": ("schema policy", 74),
    "serve": (f"serve {CONFIG}", 0),
    "storage backup": (f"storage backup copy.db {CONFIG}", 74),
    "storage check": (f"storage check {CONFIG}", 74),
    "storage init": (f"storage init {CONFIG}", 74),
    "storage migrate": (f"storage migrate {CONFIG}", 74),
    "storage prune": (f"storage prune {CONFIG}", 74),
    "storage reseal": (f"storage reseal --new-key {CONFIG}", 74),
    "storage restore": (f"storage restore --keep {CONFIG}", 74),
    "token inspect": ("token inspect --json", 1),
    "users delete": (f"users delete ann {FILE}", 74),
    "users disable": (f"users disable ann {FILE}", 74),
    "users enable": (f"users enable ann {FILE}", 74),
    "users list": (f"users list {FILE}", 74),
    "users set": (f"users set ann {FILE}", 74),
    "users verify": (f"users verify ann {FILE}", 74),
    "workload test": (f"workload test {CONFIG}", 2),
}
"""Each command with arguments, and its exit code if standard output is full: 74 if the command prints there."""

MAKING_TABLES = ("access-keys create", "serve", "storage init", "storage migrate")
"""The commands that find no storage, as in a new site. The others need not make one each time, which takes longest."""


def test_every_command_is_here() -> None:
    """Else nobody knows how a new one ends."""

    def names(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
        context = click.Context(command)
        if not isinstance(command, click.Group):
            yield " ".join(path)
            return
        if command.invoke_without_command:
            yield " ".join(path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from names(found, (*path, name))

    assert sorted(names(main, ())) == sorted(COMMANDS)


def test_the_codes() -> None:
    """None of them ever changes; `diff` tells less access and new access apart from everything else."""
    codes = {name: value for name, value in vars(exits).items() if name.isupper()}
    assert codes == {
        "OK": 0,
        "NO": 1,
        "ADDRESS_IN_USE": 1,
        "WRONG_USE": 2,
        "LESS_ACCESS": 3,
        "NEW_ACCESS": 4,
        "INTERNAL_ERROR": 70,
        "CANNOT_WRITE": 74,
        "INTERRUPTED": 130,
        "READER_GONE": 141,
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the commands need; its storage is there, as of a server that has run."""
    folder = tmp_path_factory.mktemp("prepared")
    run = CliRunner().invoke
    listen = f"127.0.0.1:{free_port()}"
    assert run(main, ["init", str(folder / "site"), "--listen", listen]).exit_code == 0
    shutil.rmtree(folder / "site" / "policies")
    (folder / "site" / "policies").mkdir()
    (folder / "site" / "policies" / "policy.yaml").write_text(POLICY)
    config = str(folder / "site" / "tokenserver.yaml")
    lines = Path(config).read_text().replace(":5001", f":{free_port()}")  # where nothing listens, for `health`
    Path(config).write_text(lines)
    assert run(main, ["storage", "init", "--config", config]).exit_code == 0
    assert run(main, ["keys", "rotate", "--to", str(folder / "key.pem"), "--config", config]).exit_code == 0
    (folder / "users").write_text(f"ann:{hashed('a password of ann')}\n")
    (folder / "users").chmod(0o600)
    policies, _ = compile_texts({"policy.yaml": POLICY})
    keep(folder / "kept", policies, datetime(2026, 6, 1, tzinfo=UTC))
    (folder / "audit.jsonl").write_text(EVENT % policies.digest)
    (folder / "export.json").write_text(EXPORT)
    (folder / "quay.json").write_text(QUAY_EXPORT)
    (folder / "zot.json").write_text('{"http": {}}')
    (folder / "auth.yml").write_text(DOCKER_AUTH)
    (folder / "registry.yml").write_text("version: 0.1\nauth: {htpasswd: {realm: x, path: users}}\n")
    return folder


class Failing(io.StringIO):
    """An output that takes nothing, as the system reports it; tests/test_main.py has the real ones."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self._error = OSError(code, os.strerror(code))

    def write(self, _: str) -> int:
        raise self._error


@dataclass
class Ended:
    """How a command ended."""

    code: Any
    stderr: str


@pytest.fixture
def ending(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in this process, in a fresh copy of the folder. `serve` and `demo` end as soon as they
    would serve."""
    monkeypatch.setattr(serving, "harden_process", lambda: None)
    monkeypatch.setattr(listener, "run", lambda *_: None)
    monkeypatch.setattr(demo, "_run", lambda *_: 0)
    monkeypatch.setenv("HOME", str(tmp_path))  # no client has stored anything
    for name in [name for name in os.environ if name.startswith("TOKENSERVER_")]:
        monkeypatch.delenv(name)

    def run(command: str, stdout: TextIO | None) -> Ended:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(prepared, copy)
        if command.startswith(MAKING_TABLES):
            shutil.rmtree(copy / "site" / "state")
        monkeypatch.chdir(copy)
        stderr = io.StringIO()
        typed = request() if command == "credential-provider" else b"a password of ann\n"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
            main(command.split(), prog_name="tokenserver")
        return Ended(ended.value.code, stderr.getvalue())

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name: str, ending: Callable[..., Ended]) -> None:
    """Exit code 74 and one line; never the code of an answer, since nobody got it."""
    command, code = COMMANDS[name]
    ended = ending(command, Failing(errno.ENOSPC))
    assert (ended.code, "Traceback" in ended.stderr) == (code, False)
    if code == 74:
        assert ended.stderr.endswith("standard output: cannot be written: No space left on device\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_is_gone(name: str, ending: Callable[..., Ended]) -> None:
    """Exit code 141, as of any program in a pipe, and nothing is said about it."""
    command, code = COMMANDS[name]
    ended = ending(command, Failing(errno.EPIPE))
    assert (ended.code, "pipe" in ended.stderr.lower()) == (141 if code == 74 else code, False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_output(name: str, ending: Callable[..., Ended]) -> None:
    """`>&-`: the answer cannot be given. `serve` refuses to start without a place for its audit events."""
    command, code = COMMANDS[name]
    ended = ending(command, None)
    assert ended.code == (2 if name == "serve" else code)
    assert "Traceback" not in ended.stderr


UNTOUCHED = {"__del__", "__exit__", "release", "_releaseLock"}
"""Functions in which Ctrl-C is not pressed."""


class CtrlC:
    """Presses Ctrl-C when so many functions have been called by the command; None: never, only counts."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.calls = 0
        self._is_inside = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        if frame.f_code is RootGroup.invoke.__code__:
            self._is_inside = True
        self.calls += self._is_inside
        # Not while the collector closes a generator: Python drops what is raised there. Nor just before a lock is
        # released, as that of `logging`: unlike a command's own process, this one goes on, and its threads would wait.
        may_raise = not frame.f_code.co_flags & inspect.CO_GENERATOR and frame.f_code.co_name not in UNTOUCHED
        if self.at is not None and self.calls >= self.at and may_raise:
            sys.setprofile(None)
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def little_to_collect() -> None:
    """Spare the collector what the tests before these ones left: these collect four times each."""
    gc.collect()
    gc.freeze()


# A file that is being opened at that moment is closed by the end of the process.
@pytest.mark.usefixtures("little_to_collect")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_anywhere(name: str, ending: Callable[..., Ended]) -> None:
    """Exit code 130 and one line, wherever in the command it comes."""
    command, _ = COMMANDS[name]
    before = sys.getprofile()
    ending(command, io.StringIO())  # imports what the command needs

    def run(at: int | None) -> tuple[Ended, int]:
        pressed = CtrlC(at)
        sys.setprofile(pressed)
        try:
            return ending(command, io.StringIO()), pressed.calls
        finally:
            sys.setprofile(before)

    whole = run(None)[1]
    assert whole > 20
    for share in (0.05, 0.35, 0.65, 0.9):
        ended, _ = run(max(3, int(whole * share)))
        assert (share, ended.code, ended.stderr.endswith("interrupted\n")) == (share, 130, True)
        assert "Traceback" not in ended.stderr
        gc.collect()  # here, where the warning about such a file is ignored
        gc.freeze()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(MemoryError(), 70, "there is no memory left\n", id="no memory"),
        pytest.param(
            FileNotFoundError(2, "No such file", "x/y"), 2, "x/y: cannot be used: No such file\n", id="a file"
        ),
        pytest.param(OSError(28, "No space left"), 74, "cannot be written: No space left\n", id="click's own output"),
        pytest.param(OSError(32, "Broken pipe"), 141, "", id="click's own pipe"),
        pytest.param(OSError("strange"), 2, "cannot be used: OSError\n", id="no reason"),
        pytest.param(click.Abort(), 130, "interrupted\n", id="click's own"),
    ],
)
def test_other_errors_of_the_system(error: BaseException, code: int, said: str) -> None:
    """One line each; what the system calls them, and the file."""
    stderr = io.StringIO()
    with redirect_stderr(stderr), pytest.raises(SystemExit) as ended, exits.ended_properly():
        raise error
    assert (ended.value.code, stderr.getvalue()) == (code, said)


def failing_while(passing: BaseException) -> ValueError:
    """The error of something that fails while another one passes through it."""
    try:
        try:
            raise passing
        finally:
            raise ValueError
    except ValueError as error:
        return error


def test_an_interrupt_that_a_library_makes_an_error_of() -> None:
    """SQLAlchemy checks its state when it is interrupted; the command was interrupted, and has no error."""
    stderr = io.StringIO()
    with redirect_stderr(stderr), pytest.raises(SystemExit) as ended, exits.ended_properly():
        raise failing_while(KeyboardInterrupt())
    assert (ended.value.code, stderr.getvalue()) == (130, "interrupted\n")


@pytest.mark.parametrize("error", [ValueError(), failing_while(LookupError())])
def test_an_error_that_nobody_has_foreseen(error: ValueError) -> None:
    """It passes, as does one that followed another error."""
    with pytest.raises(ValueError) as found, exits.ended_properly():  # noqa: PT011 - the very same one
        raise error
    assert found.value is error


def typed(keys: bytes) -> tuple[int, str]:
    """`users set` on a terminal, whose prompt is answered by these keys: its exit code, and what the terminal shows."""
    ours, theirs = pty.openpty()
    command = ["users", "set", "ann", "--file", "users"]
    process = start_command(*command, stdin=theirs, stdout=theirs, stderr=theirs, before=OWN_TERMINAL)
    os.close(theirs)
    output, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            output += os.read(ours, 4096)
        except OSError:  # the process has ended
            break
        if keys and output.endswith(b"Password: "):
            os.write(ours, keys)
            keys = b""
    code = ended(process)
    os.close(ours)
    return code, re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("keys", "code", "said"),
    [
        pytest.param(b"\x03", -signal.SIGINT, "interrupted", id="Ctrl-C"),
        pytest.param(b"\x04", 2, "nothing was typed; nothing was done", id="Ctrl-D"),
    ],
)
def test_at_a_prompt(keys: bytes, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; the file is not there."""
    monkeypatch.chdir(tmp_path)
    ended, shown = typed(keys)
    assert (ended, [line for line in shown.split("\n") if line][1:]) == (code, [said])
    assert list(tmp_path.iterdir()) == []
