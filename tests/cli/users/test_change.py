"""`tokenserver users set` and `delete`, and what all `users` commands share: the file is replaced as a whole, and no
password is an argument."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import stat
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import BinaryIO

import click
import pytest
from prepared_commands import ended, start_command
from users_commands import GOOD, hash_of, run, strictly

from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.authn.passwords import verify
from tokenserver.cli.users import users

APR1 = "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00"

CONFIG = """\
issuer: auth.example.com
server: {url: http://localhost:5001}
registries: [{service: reg}]
authentication: [%s]
anonymous: true
policies: policies
keys: keys
"""


def test_set_adds(file: Path) -> None:
    """A new user comes last, with a new hash; everything else stays, and the next step is told."""
    before = file.read_text()
    result = run("set", "carol", "--file", file, stdin="pässwörd\nnot this\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"carol was added in {file}.\n"
        f"A running server reloads the file by itself. Try it: tokenserver users verify carol --file {file}\n"
    )
    assert file.read_text() == f"{before}carol:{hash_of(file, 'carol')}\n"
    assert verify("pässwörd", hash_of(file, "carol")) is True


def test_set_changes(file: Path) -> None:
    """A known user's line is replaced where it stands."""
    result = run("set", "ann", "--file", file, stdin="new")
    assert (result.exit_code, result.stdout.partition("\n")[0]) == (0, f"ann was changed in {file}.")
    assert file.read_text() == f"# staff\nann:{hash_of(file, 'ann')}\nbob:{GOOD}\n"
    assert verify("new", hash_of(file, "ann")) is True


def test_set_makes_the_file(tmp_path: Path) -> None:
    """A file that is not there yet is made, readable only by its owner."""
    file = tmp_path / "users.htpasswd"
    assert run("set", "ann", "--file", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_htpasswd(file, "x").users == {"ann"}


def test_set_needs_a_folder(tmp_path: Path) -> None:
    """A folder that is not there is told, not made."""
    result = run("set", "ann", "--file", tmp_path / "none" / "users")
    assert result.exit_code == 2
    assert f"{tmp_path}/none/users: cannot be changed: No such file or directory\n" in result.stderr


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_the_password_is_the_first_line(file: Path, ending: str) -> None:
    """Exactly one line end is taken off; blanks belong to the password."""
    assert run("set", "ann", "--file", file, stdin=f" pass word {ending}").exit_code == 0
    assert verify(" pass word ", hash_of(file, "ann")) is True


@pytest.mark.parametrize(
    ("stdin", "problem"),
    [
        pytest.param(b"", "a password must not be empty", id="end of file"),
        pytest.param(b"\n", "a password must not be empty", id="empty"),
        pytest.param(b"a\0b\n", "a password must not contain a NUL character", id="NUL"),
        pytest.param(b"a" * 73, "a password must not be longer than 72 bytes (this one has 73)", id="73 bytes"),
        pytest.param(b"\xe9\n", "a password must be UTF-8 text", id="Latin-1"),
        pytest.param(
            b"a" * 100_000, "a password must not be longer than 72 bytes (this one has 4096)", id="100,000 bytes"
        ),
    ],
)
def test_passwords_that_cannot_be_kept(file: Path, stdin: bytes, problem: str) -> None:
    """They are refused with the reason, and nothing has changed."""
    before = file.read_bytes()
    result = run("set", "ann", "--file", file, stdin=stdin)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert file.read_bytes() == before


def test_the_password_is_never_an_argument(file: Path) -> None:
    """No argument and no option takes a password: arguments stand in the list of processes."""
    result = run("set", "ann", "secret", "--file", file)
    assert (result.exit_code, "unexpected extra argument" in result.stderr) == (2, True)
    context = click.Context(users)
    commands = [users.get_command(context, name) for name in users.list_commands(context)]
    parameters = {name for command in commands if command for param in command.params for name in param.opts}
    assert parameters == {"name", "--file", "--config", "--source", "--json", "--weak", "--until", "--keep-keys"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("", "the name is empty", id="empty"),
        pytest.param(
            "anonymous", "the name is reserved, as are <token>, anonymous, authenticated, everyone", id="reserved"
        ),
        pytest.param("a:b", "a name must not hold ':' or begin with '#'", id="colon"),
        pytest.param("${user}", "a name must not hold '${', which begins a variable in policies", id="variable"),
        pytest.param("a\nb", "the name contains non-printable characters", id="newline"),
    ],
)
def test_names_that_cannot_be(file: Path, name: str, problem: str) -> None:
    """A name that would make the file unreadable is refused before a password is asked for."""
    result = run("set", "--file", file, "--", name)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{file}: {problem}\n")


def test_set_refuses_a_twin(file: Path) -> None:
    """Two names that differ in case alone would make the file refused, so the second is not added."""
    before = file.read_bytes()
    result = run("set", "ANN", "--file", file)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"{file}: ANN: differs only in case or width from 'ann'; fix: choose another name, or set that user's password:"
        f" tokenserver users set ann --file {file}\n"
    )
    assert file.read_bytes() == before


def test_a_name_in_another_normal_form(file: Path) -> None:
    """A name typed as NFD is the same user as in NFC, for every command."""
    assert run("set", "zoe\u0308", "--file", file).exit_code == 0
    assert "zoë" in load_htpasswd(file, "x").users
    assert run("verify", "zoe\u0308", "--file", file).exit_code == 0
    assert run("delete", "zoe\u0308", "--file", file).exit_code == 0


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"ann:{APR1}", id="apr1"),
        pytest.param("ann:", id="no hash"),
        pytest.param("ann", id="no colon"),
        pytest.param("ann:secret", id="plain text"),
        pytest.param(f" ann:{GOOD}", id="a blank"),
        pytest.param(f"ann:{GOOD}\nann:{GOOD}", id="twice"),
    ],
)
def test_set_mends_the_line(tmp_path: Path, line: str) -> None:
    """The command that the faults name mends what they tell."""
    file = tmp_path / "users"
    file.write_text(f"{line}\nbob:{GOOD}\n")
    assert run("verify", "bob", "--file", file).exit_code == 2
    assert run("set", "ann", "--file", file, stdin="new").exit_code == 0
    assert run("verify", "bob", "--file", file).exit_code == 0
    assert run("verify", "ann", "--file", file, stdin="new").exit_code == 0


def test_faults_of_others_do_not_block(tmp_path: Path) -> None:
    """One line can be mended while others are still wrong; those are told as warnings."""
    file = tmp_path / "users"
    file.write_text(f"ann:{APR1}\nbob:secret\n")
    result = run("set", "ann", "--file", file)
    assert result.exit_code == 0
    assert result.stdout == f"ann was changed in {file}.\n"
    assert result.stderr == (
        f"warning: {file}:2: bob: the password is in plain text;"
        f" fix: tokenserver users set bob --file {file}\n"
        f"The server rejects {file} as a whole until this is fixed.\n"
    )
    assert file.read_text() == f"ann:{hash_of(file, 'ann')}\nbob:secret\n"


def test_mode_and_owner_stay(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file belongs to whom the old one did, with the same mode, before it is in place."""
    given: list[tuple[int, int]] = []
    status = file.stat()
    fchown = os.fchown

    def note(descriptor: int, user: int, group: int) -> None:
        given.append((user, group))
        fchown(descriptor, user, group)

    monkeypatch.setattr(os, "fchown", note)
    assert run("set", "ann", "--file", file).exit_code == 0
    assert given == [(status.st_uid, status.st_gid)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert file.stat().st_ino != status.st_ino


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_root_edits_the_file_of_another_group(file: Path) -> None:
    """A server that reads the file through its group still can after root has edited it."""
    os.chown(file, 0, 54321)
    assert run("set", "ann", "--file", file).exit_code == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (0, 54321)


def test_an_owner_that_cannot_be_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than take a file away from its owner, nothing is done."""

    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = file.read_bytes()
    monkeypatch.setattr(os, "fchown", refuse)
    result = run("set", "ann", "--file", file)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{file}: cannot be changed: Operation not permitted\n")
    assert (file.read_bytes(), os.listdir(file.parent)) == (before, [file.name])  # noqa: PTH208 - names, not paths


@pytest.mark.parametrize("command", ["set", "delete"])
def test_a_link_is_not_followed(command: str, file: Path, tmp_path: Path) -> None:
    """Neither the file behind it nor the link changes, and the file's own name is said."""
    link, before = tmp_path / "link", file.read_bytes()
    link.symlink_to(file)
    result = run(command, "ann", "--file", link)
    assert result.exit_code == 2
    assert f"{link}: is a symbolic link" in result.stderr
    assert f"name the file itself ({file})" in result.stderr
    assert (link.is_symlink(), file.read_bytes()) == (True, before)


def test_a_folder_that_is_a_link_is_followed(file: Path, tmp_path: Path) -> None:
    """Only the last step of a path is meant: a mounted volume may well be reached by a link."""
    folder = tmp_path / "volume"
    folder.symlink_to(file.parent)
    assert run("set", "carol", "--file", folder / file.name).exit_code == 0
    assert load_htpasswd(file, "x").users == {"ann", "bob", "carol"}


def test_nothing_is_left_behind(file: Path) -> None:
    """Neither a lock nor a temporary file."""
    assert run("set", "carol", "--file", file).exit_code == 0
    assert run("delete", "carol", "--file", file).exit_code == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def weak(command: str) -> list[str]:
    """The option for cheap hashes, if the command makes one."""
    return ["--weak"] if command == "set" else []


def _set(name: str, file: Path, said: BinaryIO) -> BaseProcess:
    """The command as a process of its own, which is given a password; it writes to `said`."""
    theirs, ours = os.pipe()
    command = ["users", "set", name, "--file", str(file), *weak("set")]
    process = start_command(*command, stdin=theirs, stdout=said.fileno(), stderr=said.fileno())
    os.close(theirs)
    os.write(ours, b"secret\n")
    os.close(ours)
    return process


def test_two_at_once_lose_nothing(file: Path, tmp_path: Path) -> None:
    """Commands that run at the same time wait for each other: both users are in the file."""
    said = (tmp_path / "said").open("wb")
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        processes = [_set(name, file, said) for name in ("carol", "dave")]
        time.sleep(1)
        assert [process.exitcode for process in processes] == [None, None]
    finally:
        os.close(folder)
        said.close()
    assert [ended(process) for process in processes] == [0, 0]
    assert load_htpasswd(file, "x").users == {"ann", "bob", "carol", "dave"}


def type_passwords(prompts: int, terminal: int, typed: list[bytes]) -> bytes:
    """Type each answer when its prompt stands there; gives all that was shown till then."""
    deadline = time.monotonic() + 30
    output = b""
    for number, text in enumerate(typed, 1):
        # The space comes when the echo is off.
        while len(re.findall(rb"(?:Password|confirmation): ", output)) < number and time.monotonic() < deadline:
            if select.select([prompts], [], [], 1)[0]:
                output += os.read(prompts, 1024)
        os.write(terminal, text + b"\n")
    return output


@pytest.mark.parametrize(
    ("command", "typed", "code"),
    [
        pytest.param("set", [b"new", b"new"], 0, id="set, typed twice"),
        pytest.param("set", [b"new", b"other", b"new", b"new"], 0, id="set, mistyped once"),
        pytest.param("verify", [b"secret"], 0, id="verify"),
        pytest.param("verify", [b"mistaken"], 1, id="verify, wrong"),
    ],
)
def test_a_terminal_is_asked(file: Path, command: str, typed: list[bytes], code: int) -> None:
    """On a terminal the password is asked for and not shown; a new one twice."""
    ours, theirs = pty.openpty()
    asked, asks = os.pipe()
    said, says = os.pipe()
    arguments = ["users", command, "ann", "--file", str(file), *weak(command)]
    process = start_command(*arguments, stdin=theirs, stdout=says, stderr=asks)
    os.close(says)
    os.close(asks)
    output = type_passwords(asked, ours, typed)
    with os.fdopen(asked, "rb") as rest, os.fdopen(said, "rb") as result:
        output += rest.read() + result.read()
    code_found = ended(process)
    shown = os.read(ours, 4096) if select.select([ours], [], [], 0)[0] else b""
    os.close(theirs)
    os.close(ours)
    assert code_found == code
    assert not any(word in output + shown for word in typed)
    assert verify("new" if command == "set" else "secret", hash_of(file, "ann")) is True


def test_delete(file: Path) -> None:
    """The user goes, everything else stays."""
    result = run("delete", "ann", "--file", file)
    assert result.exit_code == 0
    assert result.stdout == f"ann was removed from {file}. Tokens issued before stay valid until they expire.\n"
    assert file.read_text() == f"# staff\nbob:{GOOD}\n"


def test_delete_nobody(file: Path) -> None:
    """An unknown user is "no", and the file is not touched."""
    before = file.stat()
    result = run("delete", "ANN", "--file", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{file} has no user 'ANN'.\n"
    assert file.stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", ["anonymous", "${user}", "*"])
def test_delete_what_should_not_be(file: Path, name: str) -> None:
    """A name that the file must not hold can be removed from it."""
    before = file.read_text()
    file.write_text(f"{before}{name}:x\n")
    assert run("delete", name, "--file", file).exit_code == 0
    assert file.read_text() == before


@pytest.mark.parametrize("command", ["list", "verify"])
def test_a_refused_file_is_told_as_the_server_does(file: Path, command: str) -> None:
    """All faults, with lines and commands, and exit code 2."""
    file.write_text(f"ann:{APR1}\nbob:secret\n")
    result = run(command, *(["ann"] if command == "verify" else []), "--file", file)
    assert (result.exit_code, result.stdout) == (2, "")
    *faults, summary = result.stderr.splitlines()
    assert [line.partition(";")[0] for line in faults] == [
        f"{file}:1: ann: apr1 (MD5) is too weak",
        f"{file}:2: bob: the password is in plain text",
    ]
    assert summary == "2 faults found; nothing was done."
    assert APR1 not in result.stderr


@pytest.mark.parametrize("command", ["delete", "list", "verify"])
def test_no_file(tmp_path: Path, command: str) -> None:
    """Only `set` makes a file."""
    file = tmp_path / "users"
    result = run(command, *([] if command == "list" else ["ann"]), "--file", file)
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
    assert not file.exists()


def test_a_file_that_others_can_write(file: Path) -> None:
    """It is not edited either: nobody knows who else did."""
    file.chmod(0o666)
    result = run("set", "ann", "--file", file)
    assert result.exit_code == 2
    assert "can be changed by others (mode 0666)" in result.stderr


@pytest.mark.parametrize(
    ("sources", "arguments", "expected"),
    [
        pytest.param("htpasswd: {file: a}", [], "a", id="the only one"),
        pytest.param("htpasswd: {file: a, name: x}", ["--source", "x"], "a", id="the only one, named"),
        pytest.param(
            "htpasswd: {file: a, name: x}}, {htpasswd: {file: b, name: y}", ["--source", "y"], "b", id="one of two"
        ),
    ],
)
def test_the_file_of_the_configuration(
    tmp_path: Path, sources: str, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --file, the file is that of the configuration, relative to it."""
    for name in [name for name in os.environ if name.startswith("TOKENSERVER_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "tokenserver.yaml"
    config.write_text(CONFIG % f"{{{sources}}}")
    assert run("set", "ann", "--config", config, *arguments).exit_code == 0
    assert load_htpasswd(tmp_path / expected, "x").users == {"ann"}


@pytest.mark.parametrize(
    ("sources", "arguments", "problem"),
    [
        pytest.param("", [], "has no htpasswd file; fix: add one, or use --file FILE", id="none"),
        pytest.param("", ["--source", "x"], "no htpasswd file is named 'x'; configured: none", id="none, named"),
        pytest.param(
            "{htpasswd: {file: a, name: x}}, {htpasswd: {file: b, name: y}}",
            [],
            "has several htpasswd files; fix: add --source with one of: x, y",
            id="several",
        ),
        pytest.param(
            "{htpasswd: {file: a, name: x}}",
            ["--source", "y"],
            "no htpasswd file is named 'y'; configured: x",
            id="another name",
        ),
    ],
)
def test_no_file_of_the_configuration(
    tmp_path: Path, sources: str, arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the configuration does not tell which file is meant, the message says what would."""
    for name in [name for name in os.environ if name.startswith("TOKENSERVER_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "tokenserver.yaml"
    config.write_text(CONFIG % sources)
    result = run("list", "--config", config, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{config}: authentication: {problem}\n")


def test_file_and_source(file: Path) -> None:
    """--source chooses among the files of the configuration, so it does not go with --file."""
    result = run("list", "--file", file, "--source", "x")
    assert (result.exit_code, "--file and --source exclude each other" in result.stderr) == (2, True)


def test_every_command_takes_the_configuration() -> None:
    """`--config FILE` works for all of them."""
    context = click.Context(users)
    names = users.list_commands(context)
    assert names == ["delete", "disable", "enable", "list", "set", "verify"]
    for name in names:
        command = users.get_command(context, name)
        assert command is not None
        assert {"config", "file", "source"} <= {parameter.name for parameter in command.params}


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        pytest.param("elevenchars", "the password has 11 characters", id="11"),
        pytest.param("twelve chars", None, id="12"),
        pytest.param("é" * 11, "the password has 11 characters", id="characters, not bytes"),
        pytest.param("", "a password must not be empty", id="none"),
    ],
)
def test_a_short_password(file: Path, password: str, problem: str | None) -> None:
    """Fewer than 12 characters need --weak, which the message names; the file is unchanged without it."""
    before = file.read_bytes()
    result = strictly("set", "ann", "--file", file, stdin=password)
    assert result.exit_code == (0 if problem is None else 2)
    assert (file.read_bytes() == before) == (problem is not None)
    assert problem is None or result.stderr.startswith(f"{file}: ann: {problem}")
    if password:
        assert ("fix: choose a longer one, or accept it with --weak" in result.stderr) == (problem is not None)
        assert run("set", "ann", "--file", file, stdin=password).exit_code == 0
        assert password not in result.output


def test_set_keeps_the_account(file: Path) -> None:
    """A new password enables nobody: the command says that the user still cannot log in, and what would change that."""
    assert run("disable", "ann", "--file", file).exit_code == 0
    result = run("set", "ann", "--file", file, stdin="new")
    assert (result.exit_code, result.stdout) == (0, f"ann was changed in {file}.\n")
    assert result.stderr == (
        f"ann still cannot log in: the account is disabled; fix: tokenserver users enable ann --file {file}\n"
    )
    assert hash_of(file, "ann").startswith("!$2b$")
    assert run("enable", "ann", "--file", file).exit_code == 0
    assert run("verify", "ann", "--file", file, stdin="new").exit_code == 0


def test_set_an_expired_account(file: Path) -> None:
    """The same for an account whose end has passed; a new end is accepted together with the password."""
    file.write_text(f"# tokenserver-account: ann: until 2001-02-03\nann:!{GOOD}\n")
    result = run("set", "ann", "--file", file)
    assert result.stderr == (
        "ann still cannot log in: the account has expired (until 2001-02-03);"
        f" fix: tokenserver users enable ann --file {file} --until DATE\n"
    )
    result = run("set", "ann", "--until", "2999-12-31", "--file", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "The account ends at 3000-01-01T00:00:00Z.\n" in result.stdout
    assert run("verify", "ann", "--file", file).exit_code == 0


def test_set_with_an_end(file: Path) -> None:
    """A new user of whom it is known when the account ends; `never` takes the end away again."""
    assert run("set", "carol", "--until", "2999-12-31", "--file", file).exit_code == 0
    assert "# tokenserver-account: carol: until 2999-12-31\ncarol:!$2b$" in file.read_text()
    assert run("set", "carol", "--file", file, stdin="other").exit_code == 0
    assert "# tokenserver-account: carol: until 2999-12-31\ncarol:!$2b$" in file.read_text()
    assert run("set", "carol", "--until", "never", "--file", file).exit_code == 0
    assert "account" not in file.read_text()
    assert "\ncarol:$2b$" in file.read_text()


def test_delete_takes_the_account_along(file: Path) -> None:
    """Else the next user of that name would be disabled."""
    before = file.read_text()
    assert run("set", "carol", "--file", file).exit_code == 0
    assert run("disable", "carol", "--file", file).exit_code == 0
    assert run("delete", "carol", "--file", file).exit_code == 0
    assert file.read_text() == before


@pytest.mark.parametrize(
    "password", ["tknr_but-only-a-password", " tknp_0123456789", '"tknx_0123456789"', f"ci:tknr_{'0' * 61}"]
)
def test_a_password_like_an_access_key(password: str, tmp_path: Path) -> None:
    """The server would take it for a key, so nobody could log in with it; the file is not made."""
    file = tmp_path / "users"
    result = run("set", "ann", "--file", file, stdin=f"{password}\n")
    assert (result.exit_code, file.exists()) == (2, False)
    assert "looks like an access key, so the server would never try it" in result.stderr
    assert password not in result.output
