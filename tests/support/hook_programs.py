"""Programs that are hooks, as files: a good one for each protocol, and bad ones, each with one fault."""

from __future__ import annotations

import sys
from pathlib import Path

from authenticator_contract import GOOD

CHECK = f"""
def answer(question):
    user = question["user"]
    if user != "alice":
        return {{"result": "unknown"}}
    if not question.get("find") and question["password"] != {GOOD!r}:
        return {{"result": "wrong"}}
    return {{"result": "ok", "subject": "alice", "groups": ["web", "reg-ops"], "proof": "1"}}
"""
"""A function of Python that answers a question about alice, whose password is `GOOD`."""

_HEADER = f"""#!{sys.executable} -IS
import json, os, signal, sys, time
{CHECK}
def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()
"""

_LOOP = """
for line in sys.stdin:
    question = json.loads(line)
    reply = {"id": question["id"], **answer(question)}
"""

LINES = {
    "good": _LOOP + "    say(reply)",
    "dies": _LOOP + "    sys.exit(3)",
    "is killed": _LOOP + "    os.kill(os.getpid(), signal.SIGKILL)",
    "dies in the middle": _LOOP + "    sys.stdout.write('{\"id\":'); sys.stdout.flush(); sys.exit(0)",
    "prints garbage": _LOOP + "    print('ok', flush=True)",
    "prints no UTF-8": _LOOP + "    os.write(1, b'\\xff\\n')",
    "prints a long line": _LOOP + "    sys.stdout.write('x' * 100000); sys.stdout.flush()",
    "answers another question": _LOOP + "    say({**reply, 'id': '0123456789abcdef'})",
    "has no id": _LOOP + "    say(answer(question))",
    "has a duplicate member": _LOOP + '    print(json.dumps(reply)[:-1] + \',"result":"ok"}\', flush=True)',
    "supports no logins": _LOOP + "    say({'id': question['id'], 'result': 'unsupported'})",
    "ignores its input": "time.sleep(60)",
    "answers too early": 'print(\'{"id":"0"}\', flush=True)\ntime.sleep(60)',
    "closes its input": "os.close(0)\ntime.sleep(60)",
    "closes its output": "os.close(1)\ntime.sleep(60)",
    "drips": _LOOP + "    while True:\n        sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.05)",
    "never begins": "sys.exit(7)",
}
"""Programs of the protocol `json`, by what they do."""

LOGINS = {
    "good": f"""
user, _, password = sys.stdin.read().partition(" ")
if user != "alice":
    sys.exit(2)
if password != {GOOD!r}:
    sys.exit(1)
say({{"labels": {{"team": ["web", "ops"], "empty": []}}, "other": 1}})
""",
    "says nothing": "sys.exit(0)",
    "cannot tell": "sys.exit(3)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "never ends": "time.sleep(60)",
    "prints garbage": "print('ok')",
    "prints too much": "sys.stdout.write('x' * 1000000)",
}
"""Programs of the protocol `docker_auth`."""


def hook_program(folder: Path, body: str, name: str = "check") -> Path:
    """An executable file with this body."""
    program = folder / name
    program.write_text(f"{_HEADER}{body}\n", "utf-8")
    program.chmod(0o755)
    return program


class Turnstile:
    """A place in a program: it waits there, and shows in a file that it has come, until it is let through."""

    def __init__(self, folder: Path) -> None:
        self._come, self._open = folder / "come", folder / "open"

    def code(self, indent: str = "") -> str:
        """The lines of the program that wait."""
        lines = (f"open({str(self._come)!r}, 'w')", f"while not os.path.exists({str(self._open)!r}): time.sleep(0.01)")
        return "".join(f"{indent}{line}\n" for line in lines)

    def is_reached(self) -> bool:
        """Whether a program has come."""
        return self._come.exists()

    def open(self) -> None:
        """Let all through."""
        self._open.touch()


def is_running(pid: int) -> bool:
    """Whether there is a process with this number, be it a zombie."""
    return Path(f"/proc/{pid}").exists()
