"""Commands that write, where somebody else has put something in their way.

A planted link gets no key and has no file overwritten; a FIFO or a folder neither stops a command nor makes it crash.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

SECONDS = 60


@pytest.fixture(autouse=True)
def _no_command_waits_for_ever() -> Iterator[None]:
    """A FIFO that is opened the wrong way would."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the command does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def run(command: str, **places: Path) -> Result:
    """One command in this process; an error that it did not mean to raise is raised here."""
    words = [word.format(**places) for word in command.split(" ")]
    return CliRunner().invoke(main, words, input="a password of ann\n", catch_exceptions=False)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with keys; made once."""
    folder = tmp_path_factory.mktemp("site") / "s"
    assert run("init {out}", out=folder).exit_code == 0
    return folder / "tokenserver.yaml"


COMMANDS = {
    "keys export key": ("keys export key --to {out}/x --config {config}", "x"),
    "keys export ca": ("keys export ca --to {out}/x --config {config}", "x"),
    "keys export jwks": ("keys export jwks --to {out}/x --config {config}", "x"),
    "keys rotate --to": ("keys rotate --to {out}/x --config {config}", "x"),
    "registry-config": (
        "registry-config localhost:5000 --for distribution3 --write {out} --config {config}",
        "token-ca.pem",
    ),
    "registries config": ("registries config --write {out} --config {config}", "localhost_5000/auth.yml"),
    "users set": ("users set ann --file {out}/x", "x"),
    "users delete": ("users delete ann --file {out}/x", "x"),
    "policy test --junit": ("policy test --junit {out}/x --config {config}", "x"),
    "init, the configuration": ("init {out}", "tokenserver.yaml"),
    "init, the users": ("init {out}", "users.htpasswd"),
    "init, a policy": ("init {out}", "policies/company.yaml"),
    "init, the ring of keys": ("init {out}", "keys/ring.json"),
    "init, the CA's key": ("init {out}", "keys/token-ca.key"),
}
"""Each command, and which path of the folder `out` it writes."""

FOLDERS = {
    "registries config": ("registries config --write {out} --config {config}", "localhost_5000"),
    "init, the policies": ("init {out}", "policies"),
}
"""Commands that make a folder of their own."""

VICTIM = "nothing of this may change\n"


def plant(path: Path, kind: str, victim: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "a link":
            path.symlink_to(victim)
        case "a dangling link":
            path.symlink_to(victim.parent / "new")
        case "a FIFO":
            os.mkfifo(path)
        case "a folder":
            path.mkdir()


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a FIFO", "a folder"])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_is_planted_gets_nothing(name: str, kind: str, config: Path, tmp_path: Path) -> None:
    """The command is refused with exit code 2, and behind a link nothing is changed or made."""
    command, planted = COMMANDS[name]
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir(mode=0o700)
    elsewhere.mkdir()
    victim = elsewhere / "victim"
    victim.write_text(VICTIM)
    plant(out / planted, kind, victim)
    before = os.lstat(out / planted)
    done = run(command, out=out, config=config)
    assert (done.exit_code, "PRIVATE KEY" in done.output) == (2, False)
    assert done.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["victim"]
    assert victim.read_text() == VICTIM
    assert os.lstat(out / planted).st_ino == before.st_ino


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a FIFO"])
@pytest.mark.parametrize("name", list(FOLDERS))
def test_a_folder_of_our_own_is_no_link(name: str, kind: str, config: Path, tmp_path: Path) -> None:
    """Else what is in it would be written elsewhere."""
    command, planted = FOLDERS[name]
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere" / "folder"
    out.mkdir(mode=0o700)
    elsewhere.mkdir(parents=True)
    plant(out / planted, kind, elsewhere)
    assert run(command, out=out, config=config).exit_code == 2
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in elsewhere.parent.iterdir()] == ["folder"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_secrets_are_for_their_owner_alone(umask: int, config: Path, tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(umask)
    try:
        for command in (
            "keys export key --to {out}/key --config {config}",
            "users set ann --file {out}/users",
            "init {out}/new",
        ):
            assert run(command, out=tmp_path, config=config).exit_code == 0
    finally:
        os.umask(before)
    secret = [tmp_path / "key", tmp_path / "users", tmp_path / "new" / "users.htpasswd", *tmp_path.glob("new/**/*.key")]
    assert len(secret) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_key_is_written_over_nothing(config: Path, tmp_path: Path) -> None:
    """Not even over a file of one's own."""
    target = tmp_path / "x"
    target.write_text(VICTIM)
    done = run("keys export key --to {out}/x --config {config}", out=tmp_path, config=config)
    assert (done.exit_code, target.read_text()) == (2, VICTIM)
    assert f"{target}: exists; a key never overwrites a file" in done.stderr


def test_a_second_try_of_init_keeps_the_policies(tmp_path: Path) -> None:
    """What was refused half-way is taken up again, and a file that was edited meanwhile stays as it is."""
    assert run("init {out}/new --listen nonsense", out=tmp_path).exit_code == 2
    mine = tmp_path / "new" / "policies" / "public.yaml"
    mine.write_text(f"# mine\n{mine.read_text()}")
    assert run("init {out}/new", out=tmp_path).exit_code == 0
    assert mine.read_text().startswith("# mine\n")
