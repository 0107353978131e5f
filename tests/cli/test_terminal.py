"""What commands print on a real terminal: nothing that came from elsewhere moves its cursor or changes its colours.

All commands run in one process on a pseudo-terminal, since click takes control characters out where there is none.
"""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.misfits import Reply, impostor

from tokenserver.cli.terminal import echo, echo_text, style
from tokenserver.printable import one_line

COLOUR = "\x1b[95;105m"  # none of our colours
HOSTILE = f"x{COLOUR}\x1b[2J\x1b]0;title\x07\x08\r\x7f\x9b31m\u202e\u2066\u2028y"
NAME = f"{HOSTILE}\nNo findings.\udcff.yaml"
"""A file may be called so; the last character is a byte that is not UTF-8."""

_DRIVER = """
import json, os, sys, traceback
from tokenserver.cli import main
for number, words in enumerate(json.load(open(sys.argv[1]))):
    os.write(1, b"@@%d@@" % number)
    try:
        main(words, prog_name="tokenserver")
    except SystemExit as left:
        sys.stdout.flush()
        os.write(1, b"@@left with %d@@" % (left.code or 0))
    except BaseException:
        traceback.print_exc()
"""


def on_a_terminal(commands: list[list[str]], folder: Path) -> list[str]:
    """What each command shows on a terminal, with how it was left."""
    script = folder / "commands.json"
    script.write_text(json.dumps(commands))
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                found = os.read(ours, 65536)
            except OSError:  # the last one has closed the other end
                return
            if not found:
                return
            shown.extend(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        subprocess.run(
            [sys.executable, "-c", _DRIVER, script],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=folder,
            timeout=120,
            check=True,
        )
    finally:
        os.close(theirs)
        reader.join(timeout=30)
        os.close(ours)
    return re.split(r"@@[0-9]+@@", shown.decode())[1:]


def is_harmless(text: str) -> bool:
    """Nothing but text, ends of lines and our own colours."""
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", text.replace(COLOUR, "\0"))
    lines = without_colours.replace("\r\n", "\n").split("\n")
    return all(one_line(line) == line for line in lines)


def site(folder: Path) -> Path:
    """A configuration whose policies stand in a file of that name, with a key of YAML and a user that are hostile."""
    policies = folder / "policies"
    policies.mkdir()
    (policies / NAME).write_text(
        'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["web/**"], role: reader}\n'
        "tests:\n  - {as: anonymous, can: [pull web/site], cannot: [pull other/x]}\n"
    )
    config = folder / f"c{NAME}"
    config.write_text(
        "issuer: auth.example.com\nserver: {url: http://localhost:5001}\nregistries: [{service: a.test}]\n"
        "anonymous: true\npolicies: policies\nkeys: keys\n"
    )
    broken = folder / f"b{NAME}"
    broken.write_text(f'issuer: x\n{json.dumps(HOSTILE)}: 1\n"\\uDCFFkey": {json.dumps(HOSTILE)}\n')
    return config


def token() -> str:
    """A token whose claims are hostile."""
    parts = ({"alg": "ES256", "kid": HOSTILE}, {"sub": HOSTILE, "aud": HOSTILE, "exp": 1, "access": []})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "AAAA"])


def repository(folder: Path) -> Path:
    """A repository of git in which a policy file is called so."""
    made = folder / "repository"
    (made / "policies").mkdir(parents=True)
    git = ["git", "-C", str(made), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    (made / "policies" / NAME).write_text("version: [\n")
    for words in (["add", "-A"], ["commit", "-q", "-m", "two"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return made


@contextmanager
def hostile_registry() -> Iterator[str]:
    """A registry with control characters in its challenge."""
    hostile = HOSTILE.replace("\r", "").encode("latin-1", "ignore").decode("latin-1")
    challenge = f'Bearer realm="http://{hostile}/",service="{hostile}",scope="{hostile}"'
    with impostor(Reply(401, (("WWW-Authenticate", challenge),))) as registry:
        yield f"http://localhost:{registry.port}"


@pytest.mark.long
def test_nothing_from_elsewhere_controls_the_terminal(tmp_path: Path) -> None:
    """Names of files, keys of YAML, users, revisions, tokens and registries: each is shown as escapes."""
    config, users = site(tmp_path), tmp_path / f"u{NAME}"
    broken = str(tmp_path / f"b{NAME}")
    users.write_text(f"ann{HOSTILE.replace(chr(13), '')}:x\n")
    git = repository(tmp_path)
    with hostile_registry() as url:
        own = ["--config", str(config)]
        commands = [
            ["keys", "init", *own],
            ["check", *own],
            ["check", "--config", broken],
            ["check", "--config", str(tmp_path / f"none{NAME}")],
            ["policy", "test", *own],
            ["policy", "lint", *own],
            ["policy", "why", "pull", "web/site", "--anonymous", *own],
            ["policy", "why", "--challenge", f'Bearer realm="x",service="{HOSTILE}",scope="{HOSTILE}"', *own],
            ["policy", "why", "--token", token(), *own],
            ["policy", "who-can", "pull", "web/site", *own],
            ["policy", "what-can", "everyone", *own],
            ["policy", "matrix", *own],
            ["policy", "diff", "--git", f"{HOSTILE}..HEAD", str(git / "policies")],
            ["policy", "diff", "--git", "HEAD~1..HEAD", str(git / "policies")],
            ["users", "list", "--file", str(users)],
            ["users", "set", HOSTILE, "--weak", "--file", str(users)],
            ["keys", "export", "ca", "--to", str(tmp_path / f"k{NAME}"), *own],
            ["registry-config", HOSTILE, "--for", "zot", *own],
            ["doctor", "--registry", url, "--service", "a.test", *own],
            ["doctor", "--token", token(), *own],
            ["doctor", "--registry-config", broken, *own],
            ["init", str(tmp_path / f"i{NAME}")],
            ["init", str(tmp_path / f"i{NAME}")],
            [HOSTILE],
            ["policy", HOSTILE],
            [f"--{HOSTILE}"],
            ["users", "list", f"--{HOSTILE}"],
            ["policy", "replay", str(tmp_path / f"none{NAME}"), *own],
        ]
        shown = on_a_terminal(commands, tmp_path)
    assert len(shown) == len(commands)
    for command, text in zip(commands, shown, strict=True):
        assert "@@left with" in text, (command, text)
        assert "Traceback" not in text, (command, text)
        assert is_harmless(text), (command, text)
        assert "\nNo findings.\\xff" not in text, (command, text)
    escaped = [text for text in shown if "\\x1b[95;105m" in text or "\\033[95;105m" in text]
    assert len(escaped) > 15
    assert any("\x1b[32m" in text for text in shown)  # it was a terminal, and has our colours


@pytest.mark.long
def test_commands_that_are_printed_are_ready_for_a_shell(tmp_path: Path) -> None:
    """What is said to be typed next does what it says, whatever a file is called."""
    folder = tmp_path / f"a folder's {NAME}"
    (shown, _) = on_a_terminal([["init", str(folder)], ["--version"]], tmp_path)
    command = next(line for line in shown.replace("\r\n", "\n").split("\n") if line.startswith("Next: "))
    command = command.removeprefix("Next: ").replace("tokenserver serve", "tokenserver check")
    program = f"{shlex.quote(sys.executable)} -m tokenserver"
    done = subprocess.run(
        ["bash", "-c", command.replace("tokenserver", program, 1)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (done.returncode, "Configuration is valid." in done.stdout) == (0, True), done.stderr


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A newline is layout where a text is printed, and is none in a line."""
    echo(f"a\nb {style(HOSTILE, fg='red')}", fg="green", err=True)
    echo_text("a\n\tb\x1b[2J", nl=False)
    echo()
    out, err = capsys.readouterr()
    assert out == "a\n\tb\\x1b[2J\n"
    assert err == f"a\\nb {one_line(HOSTILE)}\n"


def test_what_a_terminal_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is printed as an escape where the terminal's encoding has no such character, and is no error."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", errors="strict"))
    echo("müller …")
    sys.stdout.flush()
    assert written.getvalue() == b"m\\xfcller \\u2026\n"


@pytest.mark.parametrize(
    ("environment", "is_terminal", "colored"),
    [
        pytest.param({}, True, True, id="terminal"),
        pytest.param({}, False, False, id="pipe"),
        pytest.param({"NO_COLOR": "1"}, True, False, id="no-color"),
        pytest.param({"FORCE_COLOR": "1"}, False, True, id="force-color"),
    ],
)
def test_colors(environment: dict[str, str], is_terminal: bool, colored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal, unless the environment says otherwise."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    echo("done", fg="green")
    echo_text(f"{style('ok', fg='green')} x")
    plain, part = "done\n", "ok x\n"
    assert stream.getvalue() == (f"\x1b[32m{plain.strip()}\x1b[0m\n\x1b[32mok\x1b[0m x\n" if colored else plain + part)
