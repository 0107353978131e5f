"""The live snapshot: which changes are seen, when they are loaded, and that nothing bad ever replaces what is good."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tokenserver.documents.files import stamp_of
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.policy.loading.reread import RereadFolder
from tokenserver.server.reload.live import LiveSnapshot, Values
from tokenserver.server.reload.parts import FilesPart
from tokenserver.server.reload.watch import FileStates, ReloadDelay, describe


class Files:
    """A users file and a policy folder, and a `load` of both as one part, whose value is all of their content."""

    def __init__(self, folder: Path) -> None:
        self.users = folder / "users"
        self.policies = folder / "policies"
        self.policies.mkdir()
        (self.policies / "teams").mkdir()
        self.users.write_text("ann")
        (self.policies / "root.yaml").write_text("root")
        (self.policies / "teams" / "web.yaml").write_text("web")
        self.loads = 0
        self.during_load: Callable[[], None] = lambda: None
        self.also: tuple[Path, ...] = ()

    def content(self) -> str:
        paths = [self.users, *sorted(self.policies.rglob("*.yaml"))]
        return "+".join(path.read_text() for path in paths)

    def load(self, _: bytes | None = None) -> str:
        self.loads += 1
        try:
            content = self.content()
        except FileNotFoundError as error:
            raise LoadError([Fault(str(error.filename), 0, "", "does not exist")]) from error
        self.during_load()
        if "bad" in content:
            raise LoadError([Fault("root.yaml", 3, "allow", "is bad"), Fault("root.yaml", 4, "deny", "is bad too")])
        if "canary" in content:
            raise RuntimeError("canary-5f1c")
        return content


class Everything(FilesPart):
    """The users file and the policy folder as one part."""

    def __init__(self, files: Files) -> None:
        super().__init__("policies", "", files.load, lambda: (files.users, *files.also))
        self._folder = RereadFolder(files.policies)

    def look(self) -> FileStates:
        """Both."""
        return {**super().look(), **self._folder.look()}


class OneText:
    """Composes a snapshot whose digest is the content of its parts. Two parts of one content do not go together."""

    def faults(self, values: Values) -> list[Fault]:
        """Whether two are the same."""
        twice = len(set(values.values())) < len(values)
        return [Fault("users", 0, "", "the same twice")] if twice else []

    def together(self, newest: Values, live: Values) -> tuple[Values, list[Fault]]:
        """All or nothing."""
        faults = self.faults(newest)
        return (live if faults else newest), faults

    def snapshot(self, values: Values) -> Snapshot:
        """The contents, in order."""
        digest = "|".join(str(value) for _, value in sorted(values.items()))
        if "unforeseen" in digest:
            raise RuntimeError("canary-5f1c")
        return cast(Snapshot, SimpleNamespace(policies=SimpleNamespace(digest=digest, notes=())))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def live(files: Files) -> LiveSnapshot:
    return LiveSnapshot([Everything(files)], OneText())


def fingerprint(paths: Iterable[Path]) -> FileStates:
    """A look at single files."""
    return {str(path): stamp_of(str(path)) for path in paths}


def _digest(live: LiveSnapshot) -> str:
    return live.snapshot().policies.digest


def _fault(live: LiveSnapshot) -> str | None:
    return live.fault


def _looks(live: LiveSnapshot, times: int = 2) -> list[bool]:
    return [live.look() for _ in range(times)]


# --- what is seen ----------------------------------------------------------------------------------------------------


def _in_place(files: Files) -> None:
    files.users.write_text("ann and bob")


def _appended(files: Files) -> None:
    with files.users.open("a") as file:
        file.write(" and bob")


def _renamed_over(files: Files) -> None:
    other = files.users.with_name("other")
    other.write_text("ann and bob")
    os.replace(other, files.users)


def _renamed_over_with_the_same_size(files: Files) -> None:
    other = files.users.with_name("other")
    other.write_text("bob")
    os.replace(other, files.users)


def _as_vim_writes(files: Files) -> None:
    files.users.rename(files.users.with_name("users~"))
    files.users.write_text("ann and bob")
    files.users.with_name("users~").unlink()


def _with_an_old_time(files: Files) -> None:
    files.users.write_text("ann and bob")
    os.utime(files.users, (0, 0))


def _new_policy(files: Files) -> None:
    (files.policies / "new.yaml").write_text("new")


def _new_policy_below(files: Files) -> None:
    (files.policies / "teams" / "deep").mkdir()
    (files.policies / "teams" / "deep" / "new.yaml").write_text("new")


def _changed_policy_below(files: Files) -> None:
    (files.policies / "teams" / "web.yaml").write_text("web, changed")


def _deleted_policy(files: Files) -> None:
    (files.policies / "teams" / "web.yaml").unlink()


def _renamed_policy(files: Files) -> None:
    (files.policies / "teams" / "web.yaml").rename(files.policies / "teams" / "awe.yaml")
    (files.policies / "root.yaml").rename(files.policies / "zoo.yaml")


def _replaced_folder(files: Files) -> None:
    other = files.policies.with_name("other")
    shutil.copytree(files.policies, other)
    (other / "root.yaml").write_text("another root")
    files.policies.rename(files.policies.with_name("old"))
    other.rename(files.policies)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_in_place, id="changed-in-place"),
        pytest.param(_appended, id="appended"),
        pytest.param(_renamed_over, id="renamed-over"),
        pytest.param(_renamed_over_with_the_same_size, id="renamed-over-with-the-same-size"),
        pytest.param(_as_vim_writes, id="renamed-away-and-created"),
        pytest.param(_with_an_old_time, id="with-an-old-time"),
        pytest.param(_new_policy, id="new-file-in-the-folder"),
        pytest.param(_new_policy_below, id="new-file-in-a-new-folder"),
        pytest.param(_changed_policy_below, id="changed-file-in-a-folder-below"),
        pytest.param(_deleted_policy, id="deleted-file-in-the-folder"),
        pytest.param(_renamed_policy, id="renamed-files"),
        pytest.param(_replaced_folder, id="replaced-folder"),
    ],
)
def test_a_change_is_live_after_two_looks(files: Files, live: LiveSnapshot, change: Callable[[Files], None]) -> None:
    """The first look waits, the second loads, and the third has nothing to do."""
    before = live.snapshot()
    change(files)
    assert live.look() is False
    assert live.snapshot() is before
    assert live.look() is True
    assert _digest(live) == files.content()
    assert live.look() is False
    assert files.loads == 2


def test_what_is_replaced_is_retired(tmp_path: Path) -> None:
    """Once its successor is live, and all at the end of the server; a change that is rejected retires nothing."""
    file = tmp_path / "users"
    file.write_text("one")
    made: list[_Held] = []

    def load(_: bytes | None) -> _Held:
        made.append(_Held(file.read_text()))
        return made[-1]

    live = LiveSnapshot([FilesPart("users", "x", load, lambda: (file,))], OneText())
    file.write_text("two")
    assert any(_looks(live))
    assert [one.retired for one in made] == [True, False]
    live.reconfigure([FilesPart("users", "x", load, lambda: (file,))], OneText(), kept=[("users", "x")])
    assert [one.retired for one in made] == [True, False]
    live.reconfigure([FilesPart("users", "x", load, lambda: (file,))], OneText(), kept=[])
    assert [one.retired for one in made] == [True, True, False]
    live.retire()
    assert [one.retired for one in made] == [True, True, True]


class _Held(str):
    """Content that holds something; see `Retirable`."""

    __slots__ = ("retired",)

    def __new__(cls, content: str) -> _Held:
        """Not retired yet."""
        held = super().__new__(cls, content)
        held.retired = False
        return held

    def retire(self) -> None:
        """See `Retirable.retire`."""
        self.retired = True


def test_nothing_changed_loads_nothing(files: Files, live: LiveSnapshot) -> None:
    """However often one looks: the first load is the only one, and the snapshot is the very same."""
    first = live.snapshot()
    assert _looks(live, 20) == [False] * 20
    assert (live.snapshot() is first, files.loads, live.fault) == (True, 1, None)


def test_reading_a_file_changes_nothing(files: Files, live: LiveSnapshot) -> None:
    """The time of the last access is no change."""
    files.content()
    assert _looks(live) == [False, False]
    assert files.loads == 1


def _volume(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "root.yaml").write_text(text)


@pytest.mark.parametrize("text", [pytest.param("two", id="same-size"), pytest.param("three", id="other-size")])
def test_a_mounted_volume_is_followed(tmp_path: Path, text: str) -> None:
    """Kubernetes swaps the link `..data`; the file itself, a link through it, stays as it is."""
    folder = tmp_path / "volume"
    folder.mkdir()
    _volume(folder, "..2026_01", "one")
    (folder / "..data").symlink_to("..2026_01")
    (folder / "root.yaml").symlink_to("..data/root.yaml")
    part = FilesPart("policies", "", lambda _: (folder / "root.yaml").read_text(), lambda: [folder / "root.yaml"])
    live = LiveSnapshot([part], OneText())
    _volume(folder, "..2026_02", text)
    (folder / "..data_tmp").symlink_to("..2026_02")
    os.replace(folder / "..data_tmp", folder / "..data")
    shutil.rmtree(folder / "..2026_01")
    assert _looks(live) == [False, True]
    assert _digest(live) == text


def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path) -> None:
    """What counts is the end of the link, whether the link or its end changed."""
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    one.write_text("one")
    two.write_text("two")
    link.symlink_to(one)
    first = fingerprint([link])
    one.write_text("one, changed")
    second = fingerprint([link])
    link.unlink()
    link.symlink_to(two)
    assert len({tuple(look.items()) for look in (first, second, fingerprint([link]))}) == 3


def test_a_folder_behind_a_link_is_followed(files: Files, live: LiveSnapshot, tmp_path: Path) -> None:
    """The loader reads its files, so changes there count: in place, and a new file."""
    elsewhere = tmp_path / "elsewhere"
    (files.policies / "teams").rename(elsewhere)
    (files.policies / "teams").symlink_to(elsewhere)
    assert _looks(live) == [False, False]  # the very same files
    (elsewhere / "web.yaml").write_text("# in place\n" + (elsewhere / "web.yaml").read_text())
    assert _looks(live) == [False, True]
    (elsewhere / "more.yaml").write_text("more")
    assert _looks(live) == [False, True]


def test_a_change_that_hides_its_time_is_seen(tmp_path: Path) -> None:
    """The same size and the old time of writing, as `cp -p` and `rsync -t` set it: the time of change tells."""
    path = tmp_path / "file"
    path.write_text("ann")
    before, old = fingerprint([path]), path.stat()
    path.write_text("bob")
    while path.stat().st_ctime_ns == old.st_ctime_ns:  # the clock of a file system ticks every few milliseconds
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert fingerprint([path]) != before


def test_another_file_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    """A rename with the same size and times is detected by its inode."""
    path, other = tmp_path / "file", tmp_path / "other"
    far = 2**33 * 10**9  # later than any change, so that it is the time that counts for both
    for one, text in ((path, "ann"), (other, "bob")):
        one.write_text(text)
        os.utime(one, ns=(far, far))
    before = fingerprint([path])
    os.replace(other, path)
    assert fingerprint([path]) != before


def test_only_what_is_read_is_looked_at(files: Files, live: LiveSnapshot) -> None:
    """Neither notes, nor an editor's swap file, nor a pipe, nor an empty folder, nor the time of a folder counts."""
    (files.policies / ".root.yaml.swp").write_text("x")
    (files.policies / "NOTES.txt").write_text("x")
    (files.policies / ".git").mkdir()
    (files.policies / ".git" / "x.yaml").write_text("x")
    (files.policies / "empty").mkdir()
    os.mkfifo(files.policies / "pipe")
    assert _looks(live) == [False, False]
    assert set(RereadFolder(files.policies).look()) == {
        str(files.policies),
        str(files.policies / "root.yaml"),
        str(files.policies / "teams"),
        str(files.policies / "teams" / "web.yaml"),
    }


def test_who_may_change_a_folder_is_looked_at(files: Files, live: LiveSnapshot) -> None:
    """The loader refuses folders that others can change, so a change of the mode is a change."""
    (files.policies / "teams").chmod(0o700)
    assert _looks(live) == [False, True]


def test_a_missing_file_has_a_fingerprint(tmp_path: Path) -> None:
    """A missing file is distinguished from an existing one."""
    path = tmp_path / "file"
    missing = fingerprint([path])
    path.write_text("")
    assert missing == {str(path): (2,)}
    assert fingerprint([path]) != missing


def test_a_folder_that_cannot_be_listed_has_a_fingerprint(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when descriptors ran out: it differs from what it was, and is the same at the next look."""

    def fails(path: object) -> None:
        raise OSError(24, "Too many open files")

    folder = RereadFolder(files.policies)
    before = folder.look()
    monkeypatch.setattr("tokenserver.policy.loading.folder.os.scandir", fails)
    assert folder.look() == folder.look() != before


# --- when it is loaded -----------------------------------------------------------------------------------------------


def test_a_file_that_is_being_written_waits(files: Files, live: LiveSnapshot) -> None:
    """As long as each look sees something else, nothing is loaded; the first calm look loads the whole."""
    text = "a whole new list of users"
    for end in range(5, len(text) + 1, 5):
        files.users.write_text(text[:end])
        assert live.look() is False
    assert files.loads == 1
    assert live.look() is True
    assert _digest(live) == "a whole new list of users+root+web"


def test_a_change_that_was_taken_back_is_forgotten(files: Files, tmp_path: Path) -> None:
    """What comes and goes between two looks is nothing, and when it comes again it needs two looks again."""
    optional = tmp_path / "optional"  # a link, because it looks the very same each time it comes
    files.also = (optional,)
    live = LiveSnapshot([Everything(files)], OneText())
    optional.symlink_to(files.users)
    assert live.look() is False
    optional.unlink()
    assert live.look() is False
    optional.symlink_to(files.users)
    assert _looks(live) == [False, True]
    assert files.loads == 2


def test_a_file_that_changes_while_it_is_loaded_is_loaded_again(files: Files, live: LiveSnapshot) -> None:
    """What was read may be of two ages: it is thrown away, and the next calm pair of looks loads the whole."""
    before = live.snapshot()

    def change_once() -> None:
        files.during_load = lambda: None
        files.users.write_text("ann, bob and cleo")

    files.users.write_text("ann and bob")
    files.during_load = change_once
    assert _looks(live) == [False, False]
    assert (live.snapshot() is before, files.loads) == (True, 2)
    assert _looks(live) == [False, True]
    assert _digest(live) == "ann, bob and cleo+root+web"


def test_files_that_look_as_before_after_a_disturbed_load_are_loaded_again(files: Files, tmp_path: Path) -> None:
    """What came during the load and went before the next look must not make the change pass for a loaded one; that
    look agrees with the one before the load."""
    optional = tmp_path / "optional"
    files.also = (optional,)
    live = LiveSnapshot([Everything(files)], OneText())

    def disturb_once() -> None:
        files.during_load = lambda: None
        optional.write_text("x")

    files.users.write_text("ann and bob")
    files.during_load = disturb_once
    assert _looks(live) == [False, False]
    optional.unlink()
    assert _looks(live) == [True, False]
    assert _digest(live) == "ann and bob+root+web"


def test_the_first_load_must_succeed(files: Files) -> None:
    """At the start there is no previous version, so the error is raised to the caller."""
    files.users.write_text("bad")
    with pytest.raises(LoadError, match="is bad too"):
        LiveSnapshot([Everything(files)], OneText())


def test_a_change_between_the_first_look_and_the_first_load_is_seen(files: Files) -> None:
    """The files are looked at before they are loaded, so that a change in between is one."""

    def change_once() -> None:
        files.during_load = lambda: None
        files.users.write_text("ann and bob")

    files.during_load = change_once
    live = LiveSnapshot([Everything(files)], OneText())
    assert _digest(live) == "ann+root+web"
    assert _looks(live) == [False, True]
    assert _digest(live) == "ann and bob+root+web"


# --- what does not load ----------------------------------------------------------------------------------------------


def test_what_is_refused_keeps_the_last_good_one(files: Files, live: LiveSnapshot) -> None:
    """The snapshot stays, the fault says why with every place, and it is not loaded again and again."""
    before = live.snapshot()
    files.users.write_text("bad users")
    assert _looks(live, 5) == [False] * 5
    assert (live.snapshot() is before, files.loads) == (True, 2)
    assert live.fault == "root.yaml:3: allow: is bad\nroot.yaml:4: deny: is bad too"


def test_the_fault_is_gone_when_it_is_mended(files: Files, live: LiveSnapshot) -> None:
    """The next change that loads clears it."""
    files.users.write_text("bad users")
    _looks(live)
    files.users.write_text("ann")
    assert _looks(live) == [False, True]
    assert (_fault(live), _digest(live)) == (None, "ann+root+web")


def test_another_bad_change_tells_the_new_fault(files: Files, live: LiveSnapshot) -> None:
    """The fault is about the files as they are now."""
    files.users.write_text("bad users")
    _looks(live)
    files.users.unlink()
    _looks(live)
    assert _fault(live) == f"{files.users}: does not exist"


def test_a_deleted_file_keeps_the_last_good_one(files: Files, live: LiveSnapshot) -> None:
    """Deleting is no way to empty a list: it is refused, until the file is back."""
    before = live.snapshot()
    files.users.unlink()
    assert _looks(live, 3) == [False] * 3
    assert live.snapshot() is before
    assert _fault(live) == f"{files.users}: does not exist"
    files.users.write_text("cleo")
    assert _looks(live) == [False, True]
    assert (_fault(live), _digest(live)) == (None, "cleo+root+web")


def test_the_same_file_moved_away_and_back_clears_the_fault(files: Files, live: LiveSnapshot) -> None:
    """What was good before is loaded again, though nothing in it is new."""
    away = files.users.with_name("away")
    files.users.rename(away)
    _looks(live)
    assert _fault(live) == f"{files.users}: does not exist"
    away.rename(files.users)
    assert _looks(live) == [False, True]
    assert (_fault(live), _digest(live)) == (None, "ann+root+web")


def test_a_bug_in_loading_does_not_end_the_watch(files: Files, live: LiveSnapshot) -> None:
    """An unexpected exception is a fault as well; its text, which may contain anything, is not logged."""
    before = live.snapshot()
    files.users.write_text("canary")
    assert _looks(live) == [False, False]
    assert (live.snapshot() is before, live.fault) == (True, "unexpected RuntimeError")
    files.users.write_text("ann and bob")
    assert _looks(live) == [False, True]
    assert live.fault is None


# --- the log ---------------------------------------------------------------------------------------------------------


def test_a_change_is_logged_with_the_digest(files: Files, live: LiveSnapshot, caplog: pytest.LogCaptureFixture) -> None:
    """One line, with what changed and the beginning of the policy's digest."""
    files.users.write_text("0123456789abcdef")
    with caplog.at_level(logging.INFO, "tokenserver.live"):
        _looks(live, 4)
    expected = "reloaded: new policies are live (changed users), policy 0123456789ab"
    assert caplog.record_tuples == [("tokenserver.live", logging.INFO, expected)]


def test_a_line_that_another_worker_wrote(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """Is not written again, of a change that is live or rejected; it is live and counted all the same."""
    lines: list[str] = []

    def is_first(line: str) -> bool:
        lines.append(line)
        return False

    live = LiveSnapshot([Everything(files)], OneText(), is_first=is_first)
    files.users.write_text("0123456789abcdef")
    with caplog.at_level(logging.INFO, "tokenserver.live"):
        assert True in _looks(live, 4)
        files.users.write_text("bad users")
        _looks(live, 4)
    went_live, rejected = lines
    assert went_live == "reloaded: new policies are live (changed users), policy 0123456789ab"
    assert rejected.startswith("policies: reload rejected, keeping the previous configuration: root.yaml:3: allow")
    assert caplog.messages == []
    assert live.reload_failures == 1


def test_a_refusal_is_logged_once_with_its_faults(
    files: Files, live: LiveSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    """One error, with every fault and its line, and no repetition at every look."""
    files.users.write_text("bad users")
    with caplog.at_level(logging.INFO, "tokenserver.live"):
        _looks(live, 4)
    ((name, level, message),) = caplog.record_tuples
    assert (name, level) == ("tokenserver.live", logging.ERROR)
    told = "policies: reload rejected, keeping the previous configuration: root.yaml:3: allow"
    assert message.startswith(told)
    assert "root.yaml:4" in message


def test_an_unexpected_error_is_logged_without_its_text(
    files: Files, live: LiveSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    """The kind alone."""
    files.users.write_text("canary")
    with caplog.at_level(logging.INFO, "tokenserver.live"):
        _looks(live)
    assert "unexpected RuntimeError" in caplog.text
    assert "canary" not in caplog.text


# --- the parts, side by side -----------------------------------------------------------------------------------------


class Two:
    """Two files, each a part of its own."""

    def __init__(self, folder: Path) -> None:
        self.users, self.keys = folder / "users", folder / "keys"
        self.users.write_text("ann")
        self.keys.write_text("key")
        self.parts = [
            FilesPart(kind, "", lambda _, path=path: self.load(path), lambda path=path: [path])  # type: ignore[misc]  # a default binds the loop's value
            for kind, path in (("users", self.users), ("keys", self.keys))
        ]
        self.live = LiveSnapshot(self.parts, OneText())

    def load(self, path: Path) -> str:
        text = path.read_text()
        if "bad" in text:
            raise LoadError([Fault(str(path), 1, "", "is bad")])
        return text


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_a_bad_part_does_not_keep_a_good_one_from_going_live(two: Two) -> None:
    """The faulty part keeps its previous version; the rejection is reported until the file is fixed."""
    two.keys.write_text("bad key")
    two.users.write_text("bob")
    assert _looks(two.live) == [False, True]
    assert _digest(two.live) == "key|bob"
    assert (two.live.fault, two.live.is_refused("keys"), two.live.is_refused("users")) == (
        f"{two.keys}:1: is bad",
        True,
        False,
    )
    two.users.write_text("cleo")
    assert _looks(two.live) == [False, True]
    assert _digest(two.live) == "key|cleo"
    two.keys.write_text("new key")
    assert _looks(two.live) == [False, True]
    assert (_digest(two.live), _fault(two.live)) == ("new key|cleo", None)
    assert (two.live.reloads, two.live.reload_failures) == (3, 1)


def test_parts_that_change_together_go_live_as_one(two: Two) -> None:
    """One look that finds both makes one snapshot."""
    two.keys.write_text("new key")
    two.users.write_text("bob")
    assert _looks(two.live) == [False, True]
    assert (_digest(two.live), two.live.reloads) == ("new key|bob", 1)


def test_parts_that_cannot_go_together_are_refused(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    """Each is valid by itself. The reason is logged once, and disappears with its cause."""
    two.users.write_text("key")
    assert _looks(two.live, 4) == [False] * 4
    assert (_digest(two.live), two.live.fault) == ("key|ann", "users: the same twice")
    assert two.live.faults == (Fault("users", 0, "", "the same twice"),)
    assert (two.live.reloads, two.live.reload_failures) == (0, 1)
    assert caplog.text.count("reload rejected, keeping the previous configuration: users: the same") == 1
    two.keys.write_text("new key")
    assert _looks(two.live) == [False, True]
    assert (_digest(two.live), _fault(two.live)) == ("new key|key", None)


def test_parts_that_cannot_go_together_are_no_start(two: Two) -> None:
    """With every fault of every part."""
    two.users.write_text("key")
    with pytest.raises(LoadError, match="the same twice"):
        LiveSnapshot(two.parts, OneText())
    two.keys.write_text("bad")
    two.users.write_text("bad too")
    with pytest.raises(LoadError, match=r"is bad\n.*is bad"):
        LiveSnapshot(two.parts, OneText())


def test_a_bug_in_composing_changes_nothing(two: Two) -> None:
    """The previous snapshot stays, and the text of the error, which may contain anything, is not logged."""
    two.users.write_text("unforeseen")
    assert _looks(two.live) == [False, False]
    assert (_digest(two.live), two.live.fault) == ("key|ann", "unexpected RuntimeError")
    two.users.write_text("bob")
    assert _looks(two.live) == [False, True]
    assert (_digest(two.live), _fault(two.live)) == ("key|bob", None)


# --- the watch -------------------------------------------------------------------------------------------------------


class Stop(threading.Event):
    """An event that records its wait times."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return super().wait(timeout)


def _watching(live: LiveSnapshot, stop: threading.Event, every: float | None = None) -> threading.Thread:
    kwargs = {} if every is None else {"every": every}
    thread = threading.Thread(target=live.watch, args=(stop,), kwargs=kwargs)
    thread.start()
    return thread


def _until(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if holds():
            return
        waiting.wait(0.005)
    raise AssertionError("not within ten seconds")


def test_the_watch_looks_until_it_is_stopped(files: Files, live: LiveSnapshot) -> None:
    """It waits the given time before each poll, and ends with its threads when the event is set."""
    files.users.write_text("ann and bob")
    stop = Stop()
    thread = _watching(live, stop, every=0.01)
    _until(lambda: _digest(live) == "ann and bob+root+web")
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not [one for one in threading.enumerate() if one.name.startswith("watch-")]
    assert set(stop.waits) == {0.01}


def test_the_watch_looks_twice_a_second(live: LiveSnapshot) -> None:
    """Where nothing is said; two looks must agree, so that a change is live within about a second."""
    stop = Stop()
    thread = _watching(live, stop)
    _until(lambda: len(stop.waits) >= 2)
    stop.set()
    thread.join(10)
    assert set(stop.waits) == {0.5}


def test_a_stopped_watch_does_not_look(files: Files, live: LiveSnapshot) -> None:
    """An event that is set beforehand ends it immediately."""
    files.users.write_text("ann and bob")
    stop = threading.Event()
    stop.set()
    live.watch(stop)
    assert (_digest(live), files.loads, live.delays) == ("ann+root+web", 1, {})


def test_the_watch_outlives_bad_files_in_a_thread(files: Files, live: LiveSnapshot) -> None:
    """A real thread and a real event: faulty, then worse, then fixed; it ends when the event is set."""
    reached = threading.Event()
    files.during_load = reached.set
    stop = threading.Event()
    thread = _watching(live, stop, every=0.001)
    try:
        for text in ("bad users", "canary in the users", "ann and bob"):
            reached.clear()
            whole = files.users.with_name("whole")
            whole.write_text(text)
            os.replace(whole, files.users)
            assert reached.wait(10)
        _until(lambda: _digest(live) == "ann and bob+root+web")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert live.fault is None


def test_no_kind_waits_for_another(two: Two) -> None:
    """D: while keys are being loaded, for as long as it takes, users come and go."""
    loading, go_on = threading.Event(), threading.Event()
    load = two.load

    def slowly(path: Path) -> str:
        if path == two.keys:
            loading.set()
            assert go_on.wait(20)
        return load(path)

    two.load = slowly  # type: ignore[method-assign]  # gives what load gives
    stop = threading.Event()
    thread = _watching(two.live, stop, every=0.005)
    try:
        two.keys.write_text("new key")
        assert loading.wait(10)
        for user in ("bob", "cleo"):
            two.users.write_text(user)
            _until(lambda user=user: _digest(two.live) == f"key|{user}")  # type: ignore[misc]  # as above
        go_on.set()
        _until(lambda: _digest(two.live) == "new key|cleo")
    finally:
        go_on.set()
        stop.set()
        thread.join(10)


# --- what takes long -------------------------------------------------------------------------------------------------


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_change_that_never_rests_is_told_once_and_so_is_its_end(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """Not before five seconds; with the files, and with how long it took in the end."""
    clock = Seconds()
    live = LiveSnapshot([Everything(files)], OneText(), monotonic=clock)
    with caplog.at_level(logging.INFO, "tokenserver.live"):
        for turn in range(9):
            files.users.write_text("ann" + "." * turn)
            live.look()
            live.report_delays()
            clock.now += 1
        assert live.delays["policies", "changing"].seconds == 9
        live.look()
        live.report_delays()
        live.report_delays()
    after = "unchanged files go live now, the others as soon as they are complete"
    lines = [message for _, _, message in caplog.record_tuples if "reloaded" not in message]
    assert lines == [
        f"policies: changing for 5 s ({files.users}); {after}",
        "policies: no longer changing, after 8 s",
    ]
    assert live.delays == {}


def test_a_load_that_takes_long_is_told_while_it_lasts(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """By the thread that does not load."""
    clock = Seconds()
    live = LiveSnapshot([Everything(files)], OneText(), monotonic=clock)
    seen = []

    def slow() -> None:
        for _ in range(3):
            clock.now += 3
            live.report_delays()
            seen.append(live.delays["policies", "loading"].seconds)

    files.during_load = slow
    files.users.write_text("ann and bob")
    assert _looks(live) == [False, True]
    live.report_delays()
    assert seen == [3.0, 6.0, 9.0]
    told = "policies: loading for 6 s; the previous configuration stays live until it is done"
    assert caplog.text.count(told) == caplog.text.count("policies: loading for") == 1
    assert caplog.text.count("policies: no longer loading, after 9 s") == 1
    assert "changing for" not in caplog.text


def test_a_delay_names_three_files(tmp_path: Path) -> None:
    """And says that there are more."""
    delay = ReloadDelay("changing", 7.6, ("a", "b", "c", "d"))
    assert describe(delay).startswith("changing for 8 s (a, b, c, …); unchanged files")
    assert describe(delay, ["x"]).startswith("changing for 8 s (x); unchanged files")
    assert describe(ReloadDelay("changing", 7.6, ())).startswith("changing for 8 s; unchanged files")


# --- other parts -----------------------------------------------------------------------------------------------------


def part_of(kind: str, path: Path) -> FilesPart:
    """A part whose value is the text of a file."""
    return FilesPart(kind, "", lambda _: _text(path), lambda: [path])


def _text(path: Path) -> str:
    text = path.read_text()
    if "bad" in text:
        raise LoadError([Fault(str(path), 1, "", "is bad")])
    return text


def test_parts_are_replaced(tmp_path: Path) -> None:
    """Those that stay are not loaded again; new ones are, and are watched from then on."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    live = LiveSnapshot([part_of("users", a)], OneText())
    a.write_text("a2")
    live.reconfigure([part_of("users", a), part_of("keys", b)], OneText(), kept=[("users", "")])
    assert (_digest(live), live.reloads) == ("b|a", 1)
    b.write_text("b2")
    _looks(live)
    assert _digest(live) == "b2|a2"
    live.reconfigure([part_of("users", b)], OneText(), kept=[])
    assert _digest(live) == "b2"


def test_a_faulty_new_part_replaces_nothing(tmp_path: Path) -> None:
    """Neither parts nor snapshot, and nothing is disturbed."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("bad")
    live = LiveSnapshot([part_of("users", a)], OneText())
    before, disturbed = live.snapshot(), threading.Event()
    with pytest.raises(LoadError, match="is bad"):
        live.reconfigure([part_of("keys", b)], OneText(), kept=[], quiesce=disturbed.set)
    assert (live.snapshot() is before, disturbed.is_set(), live.reloads) == (True, False, 0)
    a.write_text("a2")
    _looks(live)
    assert _digest(live) == "a2"


def test_a_load_of_a_part_that_is_gone_is_dropped(tmp_path: Path) -> None:
    """Its thread may end a load after the parts were replaced."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    replaced = threading.Event()

    def load(_: bytes | None) -> str:
        text = a.read_text()
        if text == "a2" and not replaced.is_set():
            replaced.set()
            made[0].reconfigure([part_of("users", b)], OneText(), kept=[])
        return text

    made = [LiveSnapshot([FilesPart("users", "", load, lambda: [a])], OneText())]
    a.write_text("a2")
    _looks(made[0], 3)
    assert replaced.is_set()
    assert _digest(made[0]) == "b"


def test_a_kind_that_is_new_gets_its_thread(tmp_path: Path) -> None:
    """While the others keep theirs."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    live, stop = LiveSnapshot([part_of("users", a)], OneText()), threading.Event()
    thread = threading.Thread(target=live.watch, args=(stop,), kwargs={"every": 0.01})
    thread.start()
    try:
        live.reconfigure([part_of("users", a), part_of("keys", b)], OneText(), kept=[("users", "")])
        b.write_text("b2")
        end = time.monotonic() + 10
        while _digest(live) != "b2|a":
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
