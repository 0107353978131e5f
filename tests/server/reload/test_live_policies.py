"""Reloading real policy files: what was cut short is never applied, whatever the cut leaves behind."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from tests_web_server import POLICY, make_server, server_folder

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.runtime.background_pacing import STEP_SECONDS
from tokenserver.server.compose import build, user_sources, watched_parts
from tokenserver.server.reload.watch import ReloadablePart
from tokenserver.server.running import RunningServer

__all__ = ["server_folder"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARKED = POLICY + "...\n"


@pytest.fixture
def settings(server_folder: Path, tmp_path: Path) -> Settings:
    """The session's users and keys, with a policy folder of the test's own."""
    make_server(server_folder)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(MARKED)
    loaded = load_settings(server_folder / "tokenserver-True-1.yaml", {})
    return loaded.model_copy(update={"policies": tmp_path / "policies"})


def policies_of(settings: Settings) -> Callable[[], PolicySet]:
    """Loads the policies again and again, as a running server does, whatever the looks of the files."""
    (part,) = [part for part in watched_parts(settings) if part.kind == "policies"]
    return lambda: cast(PolicySet, part.load(None))


def test_a_cut_at_every_offset_is_refused(tmp_path: Path) -> None:
    """After a marked file, each shorter one is refused or means the same.

    See docs/design/threats.md#fault-16 and docs/design/threats.md#threat-49.
    """
    path = tmp_path / "p.yaml"
    path.write_text(MARKED)
    whole = load_policies(tmp_path, now=NOW)
    assert whole.is_marked
    for end in range(len(MARKED.encode())):
        path.write_bytes(MARKED.encode()[:end])
        try:
            cut = load_policies(tmp_path, now=NOW, marked=True)
        except LoadError:
            continue
        assert cut.rules == whole.rules, end


def test_a_cut_at_a_line_is_refused_by_the_next_load_only(settings: Settings) -> None:
    """At the start it is unknown that there was more; after a marked file it is known."""
    path = settings.policies / "p.yaml"
    load = policies_of(settings)
    assert load().is_marked
    path.write_text(POLICY)
    with pytest.raises(LoadError, match=r"p\.yaml:\d+: does not end with the line \.\.\."):
        load()
    path.write_text(MARKED)
    assert load().is_marked
    path.write_text(POLICY)
    assert not build(settings).live.snapshot().policies.is_marked


def test_the_mark_may_come_later(settings: Settings) -> None:
    """Files without it are taken after files without it; with the first that has it, it stays."""
    path = settings.policies / "p.yaml"
    path.write_text(POLICY)
    load = policies_of(settings)
    load()
    path.write_text(POLICY + "# a comment\n")
    assert not load().is_marked
    path.write_text(MARKED)
    assert load().is_marked
    path.write_text(POLICY)
    with pytest.raises(LoadError, match="complete"):
        load()


def test_readiness_names_files_and_lines_and_no_more(settings: Settings) -> None:
    """Faults in a file, and the place of the folder, may be confidential."""
    parts = build(settings)
    assert parts.readiness()["files"] is None
    (settings.policies / "teams").mkdir()
    for number in range(7):
        (settings.policies / f"{number}.yaml").write_text("version: 1\nalow: [canary]\n...\n")
    assert [parts.live.look(), parts.live.look()] == [False, False]
    told = parts.readiness()["files"]
    places = ", ".join(f"policies/{number}.yaml:2" for number in range(5))
    assert told == f"the current files were rejected ({places}, …); see the log"


def part_of(parts: RunningServer, kind: str) -> ReloadablePart:
    (watch,) = [watch for watch in parts.live._watches if watch.part.kind == kind]
    return watch.part


def test_readiness_survives_an_unexpected_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no place."""
    parts = build(settings)

    def fails(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(part_of(parts, "policies"), "load", fails)
    (settings.policies / "p.yaml").write_text(MARKED + "\n")
    assert [parts.live.look(), parts.live.look()] == [False, False]
    assert parts.readiness()["files"] == "the current files were rejected (an unexpected error); see the log"


def test_readers_never_wait_for_a_load(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader has the last good snapshot while the next one is loaded."""
    parts = build(settings)
    before = parts.live.snapshot()
    loading, go_on = threading.Event(), threading.Event()
    part = part_of(parts, "policies")
    load = part.load

    def slowly(*arguments: Any) -> object:
        loading.set()
        assert go_on.wait(10)
        return load(*arguments)

    monkeypatch.setattr(part, "load", slowly)
    (settings.policies / "p.yaml").write_text(MARKED.replace("public", "open"))
    looking = threading.Thread(target=lambda: [parts.live.look(), parts.live.look()])
    looking.start()
    assert loading.wait(10)
    assert parts.live.snapshot() is before
    go_on.set()
    looking.join()
    assert parts.live.snapshot() is not before


def test_a_load_steps_aside_for_requests(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While files are looked at and loaded, other threads are let in soon; afterwards as usual."""
    usual = sys.getswitchinterval()
    parts = build(settings)
    part = part_of(parts, "policies")
    load = part.load
    seen: list[float] = []

    def watched(*arguments: Any) -> object:
        seen.append(sys.getswitchinterval())
        return load(*arguments)

    monkeypatch.setattr(part, "load", watched)
    (settings.policies / "p.yaml").write_text(MARKED.replace("public", "open"))
    stop = threading.Event()
    watching = threading.Thread(target=parts.live.watch, args=(stop,), kwargs={"every": 0.01})
    watching.start()
    while not seen:
        stop.wait(0.01)
    stop.set()
    watching.join()
    assert seen == [pytest.approx(STEP_SECONDS)]
    assert sys.getswitchinterval() == usual


def test_a_slow_reload_is_a_note(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """D: with the files as `/readyz` may name them, while it lasts, and it does not make the server unready."""
    parts = build(settings)
    (watch,) = [watch for watch in parts.live._watches if watch.part.kind == "policies"]
    path = settings.policies / "p.yaml"
    path.write_text(MARKED.replace("public", "open"))
    assert parts.live.look() is False
    assert parts.notes() == {}
    now = watch._monotonic()
    monkeypatch.setattr(watch, "_monotonic", lambda: now + 7)
    after = "unchanged files go live now, the others as soon as they are complete"
    assert parts.notes() == {"policies": f"changing for 7 s (policies/p.yaml); {after}"}
    assert parts.reading().reload_delays["policies", "changing"] == pytest.approx(7, abs=1)
    assert set(parts.readiness().values()) == {None}
    load = watch.part.load
    seen = []

    def slowly(*arguments: Any) -> object:
        monkeypatch.setattr(watch, "_monotonic", lambda: now + 19)
        seen.append(parts.notes())
        return load(*arguments)

    monkeypatch.setattr(watch.part, "load", slowly)
    assert parts.live.look() is True
    assert seen == [{"policies": "loading for 12 s; the previous configuration stays live until it is done"}]
    assert (parts.notes(), parts.reading().reload_delays) == ({}, {})


def test_a_broken_policy_keeps_no_user_and_no_key(settings: Settings) -> None:
    """D: users and keys reload without waiting for policies, and a rotation is not stopped by them."""
    users = settings.authentication[0].htpasswd
    assert users is not None
    text = users.file.read_text("utf-8")
    parts = build(settings)
    (settings.policies / "p.yaml").write_text("version: 1\nalow: []\n...\n")
    try:
        users.file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("ann:")), "utf-8")
        assert [parts.live.look(), parts.live.look()] == [False, True]
        assert sorted(user for source in user_sources(parts.live.snapshot()) for user in source.users) == [
            "root-ann",
            "zoë",
        ]
        assert parts.readiness()["files"] is not None
        assert [rotator._is_blocked() for rotator in parts.rotators] == [False]
    finally:
        users.file.write_text(text, "utf-8")
