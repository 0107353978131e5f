"""The reloadable parts: what was cut short is never applied, and nobody waits for a load."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from live_policies import MARKED, part_of, policies_of
from tests_web_server import POLICY

from tokenserver.config.settings import Settings
from tokenserver.documents.files import FilesChanged
from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.runtime.background_pacing import STEP_SECONDS
from tokenserver.server.compose import build
from tokenserver.server.reload.parts import FilesPart, PoliciesPart, ShadowPart

NOW = datetime(2026, 6, 1, tzinfo=UTC)


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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to be loaded."""
    path = tmp_path / "users"
    path.write_text("one")
    return path


def files_part(file: Path, load: Callable[[bytes | None], object] | None = None, **more: Any) -> FilesPart:
    """A part of this file, whose content is what is loaded."""
    return FilesPart("users", "local", load or (lambda given: given or file.read_bytes()), lambda: [file], **more)


def test_a_part_of_a_file(file: Path) -> None:
    """Its look changes with the file and with the owner or mode of a folder, and its load gives the content."""
    part = files_part(file, folders=[file.parent])
    before = part.look()
    assert set(before) == {str(file), str(file.parent)}
    assert part.look() == before
    assert part.load(before) == b"one"
    (file.parent / "other").write_text("x")
    assert part.look() == before
    file.parent.chmod(0o750)
    assert part.look() != before
    changed = part.look()
    file.write_text("longer than before")
    assert part.look() != changed


def test_a_file_that_is_given(file: Path) -> None:
    """A text that settled is loaded as it was seen, and one that did not is no text."""
    part = files_part(file, settles=True)
    assert part.load(part.look(), {str(file): b"given"}) == b"given"
    with pytest.raises(FilesChanged):
        part.load(part.look(), {str(file): None})


@pytest.mark.parametrize("is_fault", [False, True], ids=["a result", "a fault"])
def test_what_belongs_to_other_files_does_not_count(is_fault: bool, file: Path) -> None:
    """A result, or a fault, of files that changed meanwhile is neither taken nor reported."""

    def load(_: bytes | None) -> object:
        file.write_text("changed while it was loaded")
        if is_fault:
            raise LoadError([])
        return "result"

    part = files_part(file, load)
    with pytest.raises(FilesChanged):
        part.load(part.look())
    if is_fault:
        with pytest.raises(LoadError):
            part.load(None)  # the first load reports what there is
    else:
        assert part.load(None) == "result"


def test_a_shadow_never_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing depends on candidates: their faults are logged, and nothing is compared."""
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    part = ShadowPart("shadow_policies", tmp_path, services=frozenset({"reg"}))
    assert cast(PolicySet, part.load(None)).rule_count == 5
    path.write_text("version: 1\nalow: []\n")
    assert part.load(None) is None
    assert "shadow_policies: rejected, nothing is compared until they are fixed" in caplog.text
    live = PoliciesPart("policies", tmp_path, services=frozenset({"reg"}))
    with pytest.raises(LoadError):
        live.load(None)
