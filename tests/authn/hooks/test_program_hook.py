"""Hooks that are programs, at real ones: a good one, and each with one fault. None of them is left."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract
from harness.own_time import OwnTime
from harness.waiting import until
from hook_programs import LINES, Turnstile, hook_program, is_running

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.hooks import process_pool
from tokenserver.authn.hooks.exchange import HookAnswer, HookQuestion, HookResult, HookUser
from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.authn.hooks.program_hook import ProgramHook
from tokenserver.authn.hooks.source import HookSource
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable, Overloaded

ALICE = HookQuestion("alice", Secret(GOOD), "10.0.0.1")
SECONDS = 60.0
"""Far longer than a program takes to start, also on a busy machine."""

FOUND = HookAnswer(HookResult.OK, HookUser("alice", ("web", "reg-ops"), "1"))


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[_Hooks]:
    """Makes hooks of programs in this folder, and ends them."""
    made = _Hooks(tmp_path)
    yield made
    made.end()


class _Hooks:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[ProgramHook] = []

    def __call__(self, body: str, *, workers: int = 1, deadline: float = 60.0) -> ProgramHook:
        """A program with this body; `pids` in its folder gets the number of each of its processes."""
        noting = f"open({str(self.folder / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        program = hook_program(self.folder, noting + body)
        self._made.append(ProgramHook(NAME, [str(program)], workers=workers, deadline=deadline))
        return self._made[-1]

    @property
    def pids(self) -> list[int]:
        """The processes that were started."""
        noted = self.folder / "pids"
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    def end(self) -> None:
        """Retire all; nothing is left, not even a zombie."""
        for one in self._made:
            one.retire()
        assert [pid for pid in self.pids if is_running(pid)] == []


class TestProgramHook(AuthenticatorContract):
    """A good program."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authenticator]:
        """A program that knows alice."""
        program = hook_program(tmp_path_factory.mktemp("program"), LINES["good"])
        source = HookSource(HookTerms(NAME), ProgramHook(NAME, [str(program)], workers=2, deadline=10.0))
        yield source
        source.retire()


def test_one_process_answers_many(hooks: _Hooks) -> None:
    """It is started for the first question."""
    hook = hooks(LINES["good"])
    assert not (hooks.folder / "pids").exists()
    assert [hook.ask(ALICE) for _ in range(5)] == [FOUND] * 5
    assert len(hooks.pids) == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("dies", "ended with exit code 3 without an answer"),
        ("is killed", "was ended by signal 9 without an answer"),
        ("dies in the middle", "ended with exit code 0 without an answer"),
        ("prints garbage", "is not JSON"),
        ("prints no UTF-8", "is not UTF-8"),
        ("prints a long line", "longer than 64 KiB"),
        ("answers another question", "its id is another one"),
        ("has no id", "its id is another one"),
        ("has a duplicate member", "duplicate member"),
        ("supports no logins", "does not support logins"),
        ("answers too early", "its id is another one|before it has read"),
        ("closes its output", "closed its output without an answer"),
        ("never begins", "ended with exit code 7 without an answer"),
    ],
)
def test_bad_programs(hooks: _Hooks, name: str, problem: str) -> None:
    """Each is "cannot tell", and its process is killed (docs/design/threats.md#threat-208)."""
    hook = hooks(LINES[name])
    with pytest.raises(BackendUnavailable, match=problem):
        hook.ask(ALICE)
    assert not any(map(is_running, hooks.pids))


@pytest.mark.parametrize("name", ["ignores its input", "closes its input", "drips"])
def test_late_programs(hooks: _Hooks, name: str) -> None:
    """The deadline is for the whole answer."""
    hook = hooks(LINES[name], deadline=0.5)
    before, own = children(), OwnTime(os.getpid())
    with pytest.raises(BackendUnavailable, match="does not answer in time"):
        hook.ask(ALICE)
    assert own.seconds < 1.5
    assert children() == before
    assert not any(map(is_running, hooks.pids))


def children() -> set[str]:
    """The processes that this one has started, also one that had no time yet to note its number."""
    return {one for thread in Path("/proc/self/task").iterdir() for one in (thread / "children").read_text().split()}


def test_a_late_answer_is_nobody_s(hooks: _Hooks) -> None:
    """A process that has missed a deadline is gone, and the next login has one of its own.

    See docs/design/threats.md#threat-208.
    """
    once = f"left = 9 * os.path.exists({str(hooks.folder / 'once')!r}); open({str(hooks.folder / 'once')!r}, 'w')\n"
    late = "    left += 1\n    time.sleep(0.8 if left == 2 else 0)\n    say"
    hook = hooks(once + LINES["good"].replace("    say", late), deadline=SECONDS)
    assert hook.ask(ALICE) == FOUND  # so that its start is not in the time of the next answer
    hook._deadline = 0.3
    with pytest.raises(BackendUnavailable):
        hook.ask(ALICE)
    hook._deadline = SECONDS
    time.sleep(0.1)  # until it is started again
    assert hook.ask(HookQuestion("nobody", Secret("x"))) == HookAnswer(HookResult.UNKNOWN)
    assert len(hooks.pids) == 2


@pytest.mark.parametrize(
    "twice",
    [
        pytest.param("    os.write(1, (json.dumps(reply) + '\\n').encode() * 2)", id="in one piece"),
        pytest.param("    say(reply)\n    time.sleep(0.1)\n    say(reply)", id="later"),
    ],
)
def test_a_second_answer_is_nobody_s(hooks: _Hooks, twice: str) -> None:
    """A program that answers twice is replaced before anybody else asks it (docs/design/threats.md#threat-208)."""
    said = hooks.folder / "said"
    hook = hooks(LINES["good"].replace("    say(reply)", f"{twice}\n    open({str(said)!r}, 'w')"))
    assert hook.ask(ALICE) == FOUND
    until(said.exists)
    assert hook.ask(HookQuestion("nobody", Secret("x"))) == HookAnswer(HookResult.UNKNOWN)
    assert len(hooks.pids) == 2


def test_one_that_does_not_end_by_itself(hooks: _Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end of its input it has a moment, in which it may say what it likes."""
    monkeypatch.setattr(process_pool, "END_SECONDS", 0.3)
    hook = hooks(LINES["good"] + "\nwhile True:\n    print('still here', file=sys.stderr); time.sleep(0.1)")
    hook.ask(ALICE)
    own, begun = OwnTime(os.getpid()), time.monotonic()
    hook.retire()
    assert own.seconds < 1.3
    assert time.monotonic() - begun >= 0.3
    assert not any(map(is_running, hooks.pids))


def test_one_that_died_meanwhile(hooks: _Hooks) -> None:
    """No login pays for a process that ended between two questions."""
    hook = hooks(LINES["good"])
    hook.ask(ALICE)
    os.kill(hooks.pids[0], signal.SIGKILL)
    until(lambda: not _is_alive(hooks.pids[0]))
    assert hook.ask(ALICE) == FOUND
    assert not is_running(hooks.pids[0])


def test_what_it_started_ends_with_it(hooks: _Hooks) -> None:
    """All processes of its group (docs/design/threats.md#threat-208)."""
    child = (
        "import subprocess\n"
        "child = subprocess.Popen(['/bin/sleep', '60'])\n"
        f"open({str(hooks.folder / 'pids')!r}, 'a').write(f'{{child.pid}}\\n')\n"
    )
    hook = hooks(child + LINES["dies"])
    with pytest.raises(BackendUnavailable):
        hook.ask(ALICE)
    assert len(hooks.pids) == 2
    until(lambda: not any(map(_is_alive, hooks.pids)))
    (hooks.folder / "pids").write_text("")  # another process has adopted the child, and waits for it


def _is_alive(pid: int) -> bool:
    """Whether it is running, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_it_gets(hooks: _Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small environment, a session of its own in `/`, no open file of the server.

    See docs/design/threats.md#threat-209.
    """
    monkeypatch.setenv("TOKENSERVER_SECRET", "inherited")
    with (hooks.folder / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        look = (
            "found = [dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.listdir('/proc/self/fd')]\n"
            f"open({str(hooks.folder / 'found')!r}, 'w').write(json.dumps(found))\n"
        )
        hooks(look + LINES["good"]).ask(ALICE)

    environment, folder, is_leader, files = json.loads((hooks.folder / "found").read_text())
    assert {*environment} - {"LC_CTYPE"} == {"PATH", "LANG"}  # Python sets LC_CTYPE in the C locale
    assert (folder, is_leader) == ("/", True)
    assert len(files) <= 5  # three pipes, the file that is being written, and the listing


def test_as_many_as_configured(hooks: _Hooks) -> None:
    """Concurrent questions have a process each, up to `workers`; further ones wait for an answer."""
    slow = LINES["good"].replace("    say", "    time.sleep(0.2)\n    say")
    hook = hooks(slow, workers=2, deadline=10.0)
    found: list[HookAnswer] = []
    threads = [threading.Thread(target=lambda: found.append(hook.ask(ALICE))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FOUND] * 6
    assert len(hooks.pids) == 2


def test_no_process_is_free_in_time(hooks: _Hooks) -> None:
    """This says nothing about the program."""
    turnstile = Turnstile(hooks.folder)
    hook = hooks(LINES["good"].replace("    say", f"{turnstile.code('    ')}    say"), deadline=SECONDS)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hook.ask, ALICE)
        until(turnstile.is_reached)
        hook._deadline = 0.1
        with pytest.raises(Overloaded):
            hook.ask(ALICE)
        turnstile.open()
        assert first.result() == FOUND


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    """It was removed after the start of the server."""
    hook = ProgramHook(NAME, [str(tmp_path / "none")], workers=1, deadline=1.0)
    with pytest.raises(BackendUnavailable, match="cannot be started: No such file"):
        hook.ask(ALICE)


def test_a_process_that_cannot_be_watched(hooks: _Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no descriptor is free: none is left behind, and no descriptor."""

    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    hook = hooks(LINES["good"])
    hook.ask(ALICE)
    hook.retire()
    before = len([*Path("/proc/self/fd").iterdir()])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", refuse)
        for _ in range(2):
            with pytest.raises(BackendUnavailable, match="cannot be watched: Too many open files"):
                hook.ask(ALICE)
            time.sleep(0.25)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert hook.ask(ALICE) == FOUND


def test_its_words_are_in_the_log(hooks: _Hooks, caplog: pytest.LogCaptureFixture) -> None:
    """What it writes to standard error, also just before it ends."""
    hook = hooks("print('hello', file=sys.stderr)\n" + LINES["dies"].replace("sys.exit(3)", "sys.exit('good\\x1bbye')"))
    with pytest.raises(BackendUnavailable):
        hook.ask(ALICE)
    assert caplog.messages == ["here: its program says: hello", "here: its program says: good\\x1bbye"]


def test_a_question_after_the_end(hooks: _Hooks) -> None:
    """A request that began before a reload still gets its answer; its process ends with it."""
    hook = hooks(LINES["good"])
    hook.ask(ALICE)
    hook.retire()
    assert hook.ask(ALICE) == FOUND
    assert not any(map(is_running, hooks.pids))
