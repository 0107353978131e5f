"""The program as clients run it. See docs/design/threats.md#threat-169."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helper_worlds import NOW, REALM, refresh_token

from tokenserver import __version__
from tokenserver.credential_helper.protocol import NOT_FOUND
from tokenserver.credential_helper.store.credential_file import NAME, CredentialFile
from tokenserver.credential_helper.store.logins import KeptLogins
from tokenserver.credential_helper.store.stored_login import StoredLogin

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tokenserver.credential_helper.program import run; run()"
HOST = "localhost:1"
"""Nothing answers there."""

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The helper's folder."""
    return tmp_path / "config" / "tokenserver"


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> Run:
    """Runs the program in a process without packages, which has its own folder and no terminal."""

    def run(
        *arguments: str, content: bytes = b"", python: tuple[str, ...] = ("-S",)
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, *python, "-c", START, str(ROOT), *arguments],
            input=content,
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(folder.parent)},
            start_new_session=True,
        )

    return run


def keep(folder: Path, **more: object) -> None:
    """A login that is ready for a few years."""
    facts = {"realm": REALM, "service": "s", "checked": NOW, "probed": NOW, **more}
    login = StoredLogin(HOST, "<token>", refresh_token(), **facts)  # type: ignore[arg-type]
    KeptLogins(CredentialFile(str(folder)), None).keep(HOST, login)


@pytest.fixture
def ready(folder: Path, run: Run) -> Run:
    """The program with a login that was kept a moment ago, by a client."""
    members = {"ServerURL": f"http://{HOST}", "Username": "<token>", "Secret": refresh_token()}
    kept = run("store", content=json.dumps(members).encode())
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, b"", b"")
    return run


def test_what_is_kept_is_answered(ready: Run) -> None:
    """As the protocol has it, with the server URL as it was asked."""
    found = ready("get", content=f"https://{HOST}/v2/\n".encode())
    assert found.returncode == 0
    assert json.loads(found.stdout) == {
        "ServerURL": f"https://{HOST}/v2/",
        "Username": "<token>",
        "Secret": refresh_token(),
    }
    assert json.loads(ready("list").stdout) == {f"http://{HOST}": "<token>"}
    assert ready("erase", content=HOST.encode()).returncode == 0
    gone = ready("get", content=HOST.encode())
    assert (gone.returncode, gone.stdout.decode()) == (1, NOT_FOUND)
    assert ready("list").stdout == b"{}\n"


def test_what_has_ended_is_not_listed(run: Run, folder: Path) -> None:
    """Nor what is only remembered."""
    keep(folder, ends=1)
    assert json.loads(run("list").stdout) == {}
    keep(folder, ends=2**40)
    assert json.loads(run("list").stdout) == {HOST: "<token>"}


@pytest.mark.parametrize("way", ["option", "setting"])
def test_as_password(way: str, ready: Run, folder: Path) -> None:
    """For tools that know no identity tokens."""
    if way == "setting":
        (folder / "helper.json").write_text('{"asPassword": true}')
    found = ready("get", *(["--as-password"] if way == "option" else []), content=HOST.encode())
    assert json.loads(found.stdout)["Username"] == "token"


def test_a_stored_answer_imports_nearly_nothing(run: Run, folder: Path) -> None:
    """No module that takes time, and none of the network: a client waits for the start."""
    keep(folder, checked=2**40, probed=2**40)
    forbidden = {
        *("typing", "dataclasses", "pathlib", "urllib", "http", "ssl", "socket", "argparse", "threading", "hashlib"),
        *(
            "tempfile",
            "shutil",
            "inspect",
            "datetime",
            "contextlib",
            "fcntl",
            "logging",
            "click",
            "tokenserver.printable",
        ),
    }
    show = START.replace("run()", "")
    show += (
        "\nimport time; time.time = lambda: 2.0**40"
        "\ntry: run()\nexcept SystemExit as end: sys.stderr.write(f'{end.code} ' + ' '.join(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", show, str(ROOT), "get"],
        input=HOST.encode(),
        capture_output=True,
        check=False,
        env={"XDG_CONFIG_HOME": str(folder.parent)},
    )
    code, *modules = found.stderr.decode().split()
    assert (code, json.loads(found.stdout)["Secret"]) == ("0", refresh_token())
    assert forbidden & set(modules) == set()


@pytest.mark.parametrize(
    ("word", "content", "output"),
    [
        pytest.param("get", b"", b"no credentials server URL\n", id="nothing"),
        pytest.param("get", b"\x00\xff\xfe" * 100, b"the input is not UTF-8\n", id="binary"),
        pytest.param("get", b"a" * 1_000_000, b"the input has more than 65536 bytes\n", id="a megabyte"),
        pytest.param("erase", b"", b"no credentials server URL\n", id="erase nothing"),
        pytest.param("store", b"", b"the input is not JSON\n", id="store nothing"),
        pytest.param("store", b"\xff" * 1_000_000, b"the input has more than 65536 bytes\n", id="store a megabyte"),
    ],
)
def test_hostile_input(word: str, content: bytes, output: bytes, run: Run) -> None:
    """One line on standard output, where clients look for it, and exit code 1."""
    found = run(word, content=content)
    assert (found.returncode, found.stdout, found.stderr) == (1, output, b"")


def test_a_refused_store(ready: Run, folder: Path) -> None:
    """The line says how to fix it, to clients and to people."""
    (folder / NAME).chmod(0o644)
    found, shown = ready("get", content=HOST.encode()), ready("status")
    expected = f"{folder / NAME}: other users can read it; fix: chmod go-rwx {folder / NAME}\n".encode()
    assert (found.returncode, found.stdout) == (1, expected)
    assert (shown.returncode, shown.stderr) == (1, expected)


def test_rejected_settings(ready: Run, folder: Path) -> None:
    """Are not ignored."""
    (folder / "helper.json").write_text('{"aspassword": true}')
    found = ready("get", content=HOST.encode())
    assert found.returncode == 1
    assert found.stdout.startswith(f"{folder}/helper.json has an unknown member".encode())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_client_that_does_not_listen(ready: Run, folder: Path) -> None:
    """No trace of a stack, and no success."""
    command = [sys.executable, "-S", "-c", START, str(ROOT), "get"]
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run(
            command,
            input=HOST.encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env={"XDG_CONFIG_HOME": str(folder.parent)},
        )
    assert (found.returncode, b"Traceback" in found.stderr) == (1, False), found.stderr
    assert ready("list").returncode == 0


def test_version_and_usage(run: Run) -> None:
    """As every helper has them."""
    assert run("version").stdout.decode() == f"docker-credential-tokenserver v{__version__}\n"
    for arguments in ([], ["nothing"]):
        found = run(*arguments)
        assert (found.returncode, found.stdout) == (2, b"")
        assert found.stderr.startswith(b"usage: ")
    assert run("--help").stdout.startswith(b"usage: ")
