"""The watch over one part whose files never rest: what is loaded all the same, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from tokenserver.documents.files import FilesChanged
from tokenserver.errors import Fault, LoadError
from tokenserver.runtime.background_pacing import Pacer
from tokenserver.server.reload.settling import Given, Settled
from tokenserver.server.reload.watch import RETRY_SECONDS, UNREST_SECONDS, FileStates, Loaded, PartWatcher


@dataclass
class Tree:
    """A part out of named texts. A load gives the texts that it took; a text that begins with `bad` is at fault."""

    texts: dict[str, str]
    kind: str = "policies"
    name: str = ""
    settles: bool = True
    has_lines: bool = False
    pace: Pacer = field(default_factory=Pacer)
    version: int = 0
    now: float = 100.0
    good: dict[str, str] = field(default_factory=dict)
    loads: list[Given | None] = field(default_factory=list)
    still_written: set[str] = field(default_factory=set)
    moves: bool = False
    broken: Exception | None = None
    passing: set[str] = field(default_factory=set)

    def look(self) -> FileStates:
        """A text is known by itself."""
        if self.broken is not None:
            raise self.broken
        return {name: (text,) for name, text in self.texts.items()}

    def load(self, seen: FileStates | None, given: Given | None = None) -> object:
        """See `ReloadablePart`."""
        self.loads.append(given)
        if self.moves:
            raise FilesChanged("x")
        assert seen is not None or not self.settles or not self.good
        taken = dict(self.texts)
        for name, content in (given or {}).items():
            taken.pop(name, None)
            text = self.good.get(name) if content is None else content.decode()
            if text is not None:
                taken[name] = text
        faults = [
            Fault(name, 1, "", text)
            for name, text in taken.items()
            if text.startswith("bad") and text not in self.passing
        ]
        if faults:
            raise LoadError(faults)
        self.good = taken
        return taken

    def settle(self, paths: Iterable[str]) -> dict[str, Settled]:
        """What a look at them shows, but for those that are still written."""
        return {
            path: Settled(None, ()) if path in self.still_written else Settled(self.texts[path].encode(), (0,))
            for path in paths
            if path in self.texts
        }

    def watch(self) -> PartWatcher:
        """A watch that has the part as it is now."""
        watch = PartWatcher(self, monotonic=lambda: self.now, settle=self.settle)
        assert watch.first() == self.texts
        self.loads.clear()
        return watch

    def rewrite(self, name: str, text: str = "restless") -> None:
        """Write something new into a file."""
        self.version += 1
        self.texts[name] = f"{text} {self.version}"


def looks(
    watch: PartWatcher, tree: Tree, seconds: float, *restless: str, every: float = 0.5
) -> list[tuple[float, Loaded]]:
    """Poll repeatedly while these files are rewritten before each poll; the result, and the time it took."""
    found = []
    start = tree.now
    while tree.now < start + seconds:
        for name in restless:
            tree.rewrite(name)
        loaded = watch.look()
        if loaded is not None:
            found.append((tree.now - start, loaded))
        tree.now += every
    return found


def test_after_five_seconds_everything_is_loaded_as_it_is_found() -> None:
    """Files at rest go live, and the others with their latest complete content."""
    tree = Tree({"a": "old", "b": "old"})
    watch = tree.watch()
    tree.texts["a"] = "new"
    ((after, loaded),) = looks(watch, tree, 6, "b")
    assert after == UNREST_SECONDS
    assert isinstance(loaded.value, dict)
    assert loaded.value["a"] == "new"
    assert loaded.value["b"].startswith("restless")


def test_it_is_loaded_again_every_five_seconds() -> None:
    """For as long as it goes on, so that nothing in it waits for longer."""
    tree = Tree({"a": "old"})
    found = looks(tree.watch(), tree, 21, "a")
    assert [after for after, _ in found] == [5.0, 10.0, 15.0, 20.0]


def test_once_the_restless_are_known_nothing_else_waits_for_them() -> None:
    """A change of another file is loaded when it has kept still for two looks, as ever."""
    tree = Tree({"a": "old", "b": "old"})
    watch = tree.watch()
    looks(watch, tree, 6, "b")
    tree.texts["a"] = "new"
    ((after, loaded),) = looks(watch, tree, 3, "b")
    assert (after, loaded.value["a"]) == (0.5, "new")  # type: ignore[index]  # a dict of texts


def test_a_file_that_rests_between_two_looks_is_loaded_as_ever() -> None:
    """One that is written each second rests for two looks, so nothing has to be guessed."""
    tree = Tree({"a": "old"})
    watch = tree.watch()
    for _ in range(5):
        tree.rewrite("a")
        found = looks(watch, tree, 1)
        assert [loaded.value for _, loaded in found] == [tree.texts]
    assert tree.loads == [None] * 5


def test_a_file_that_is_still_written_keeps_its_last_good_text() -> None:
    """And one that is new is left out until it is whole; the others go live."""
    tree = Tree({"a": "old", "b": "old"})
    tree.still_written = {"b", "c"}
    watch = tree.watch()
    tree.texts["a"] = "new"
    ((_, loaded),) = looks(watch, tree, 5.5, "b", "c")
    assert loaded.value == {"a": "new", "b": "old"}
    tree.texts |= {"b": "whole", "c": "whole"}
    found = looks(watch, tree, 2)
    assert [loaded.value for _, loaded in found] == [{"a": "new", "b": "whole", "c": "whole"}]
    assert watch.delays == []


def test_a_restless_file_that_is_bad_keeps_its_last_good_text(caplog: pytest.LogCaptureFixture) -> None:
    """The others go live, and the fault is reported once, however often it occurs."""
    tree = Tree({"a": "old", "b": "old"})
    watch = tree.watch()
    tree.texts["a"] = "new"
    for turn in range(24):
        tree.texts["b"] = "bad" if turn % 2 else "bad "
        if turn == 10:
            (loaded,) = [watch.look()]
            assert loaded is not None
            assert loaded.value == {"a": "new", "b": "old"}
        else:
            watch.look()
        tree.now += 0.5
    assert watch.fault is not None
    assert watch.fault.startswith("b:1: bad")
    assert watch.failures == caplog.text.count("reload rejected") == 1
    tree.texts["b"] = "good"
    looks(watch, tree, 2)
    assert watch.fault is None


def test_a_bad_file_beside_a_restless_one_is_refused() -> None:
    """Its fault is reported without repeated loading; a fixed file goes live within two polls."""
    tree = Tree({"a": "old", "b": "old"})
    watch = tree.watch()
    tree.texts["a"] = "bad"
    assert looks(watch, tree, 5.5, "b") == []
    assert (watch.fault, watch.failures) == ("a:1: bad", 1)
    assert looks(watch, tree, 4, "b") == []
    assert len(tree.loads) == 1
    tree.texts["a"] = "mended"
    ((after, loaded),) = looks(watch, tree, 2, "b")
    assert (after, loaded.value["a"], watch.fault) == (0.5, "mended", None)  # type: ignore[index]  # a dict of texts


def test_a_part_that_cannot_be_given_files_is_loaded_as_it_is() -> None:
    """Keys belong together or do not; the loader sees to it."""
    tree = Tree({"a": "old"}, settles=False)
    ((after, loaded),) = looks(tree.watch(), tree, 5.5, "a")
    assert (after, tree.loads) == (UNREST_SECONDS, [{}])
    assert loaded.value == {"a": "restless 11"}


def test_files_that_move_while_they_are_loaded_are_tried_again() -> None:
    """Twice in a row still, but not when they were read: after five seconds that is not waited for any more."""
    tree = Tree({"a": "old"})
    watch = tree.watch()
    tree.texts["a"] = "new"
    tree.moves = True
    assert looks(watch, tree, 4) == []
    assert len(tree.loads) == 7
    assert [delay.state for delay in watch.delays] == ["changing"]
    tree.moves = False
    ((_, loaded),) = looks(watch, tree, 1)
    assert loaded.value == {"a": "new"}
    assert (watch.delays, watch.fault) == ([], None)


def test_what_moves_while_restless_files_are_loaded_waits_for_the_next_time() -> None:
    """Nothing was loaded, no fault is reported, and it is retried."""
    tree = Tree({"a": "old"})
    watch = tree.watch()
    tree.moves = True
    assert looks(watch, tree, 6, "a") == []
    tree.moves = False
    assert [after for after, _ in looks(watch, tree, 6, "a")] == [4.0]
    assert watch.failures == 0


def test_what_nobody_foresaw_is_told_once() -> None:
    """In a poll as in a load; its text, which may contain anything, is not logged."""
    tree = Tree({"a": "old"})
    watch = tree.watch()
    tree.broken = RuntimeError("canary-77")
    assert looks(watch, tree, 3) == []
    assert (watch.fault, watch.failures) == ("unexpected RuntimeError", 1)
    tree.broken = None
    assert len(looks(watch, tree, 2)) == 1
    assert watch.fault is None


class Lines(Tree):
    """One file of lines, as files of users are, with the size that its stamp has."""

    def look(self) -> FileStates:
        """As a regular file looks."""
        return {name: (1, 2, 3, len(text), hash(text), 0) for name, text in self.texts.items()}

    def settle(self, paths: Iterable[str]) -> dict[str, Settled]:
        """It grows."""
        return {path: Settled(None, (), self.texts[path].encode()) for path in paths}


WHOLE = "ann\nbob\ncleo\n"


@pytest.mark.parametrize(
    ("steps", "has_lines", "expected"),
    [
        pytest.param(["bob\ncleo\n"], True, True, id="a user removed, and lines added"),
        pytest.param([WHOLE + "#\n"], True, True, id="lines added"),
        pytest.param(["", "bob\ncleo\n"], True, False, id="written from the first line on"),
        pytest.param(["bob\n", "bob\ncleo\n"], True, False, id="seen after its first line"),
        pytest.param([WHOLE + "#\n"], False, False, id="lines that go together"),
    ],
)
@pytest.mark.parametrize("end", ["#\n", "#"])
def test_a_file_of_lines_that_others_add_to_is_whole(
    steps: list[str], has_lines: bool, expected: bool, end: str
) -> None:
    """At the end of each line, unless it was written from its beginning, which shows in its size."""
    tree = Lines({"users": WHOLE}, has_lines=has_lines)
    watch = tree.watch()
    found = []
    for turn in range(12):
        text = steps[turn] if turn < len(steps) else tree.texts["users"] + end
        tree.texts["users"] = text
        loaded = watch.look()
        if loaded is not None:
            found.append(loaded.value)
        tree.now += 0.5
    is_taken = expected and end.endswith("\n")
    assert found == [{"users": steps[-1] + end * (11 - len(steps)) if is_taken else WHOLE}]


def test_what_takes_long_is_not_done_all_the_time() -> None:
    """A load of twelve seconds is followed by as many in which the machine is left alone."""
    tree = Tree({"a": "old"})
    watch = tree.watch()
    load = tree.load

    def slowly(seen: FileStates | None, given: Given | None = None) -> object:
        tree.now += 12
        return load(seen, given)

    tree.load = slowly  # type: ignore[method-assign]  # gives what load gives
    found = looks(watch, tree, 42, "a")
    assert [after for after, _ in found] == [17.0, 41.0]


def test_the_delay_names_what_moves() -> None:
    """And only while it does."""
    tree = Tree({"a": "old", "b": "old"})
    watch = tree.watch()
    looks(watch, tree, 7, "b")
    (delay,) = watch.delays
    assert (delay.state, delay.seconds, delay.files) == ("changing", 7.0, ("b",))
    looks(watch, tree, 1)
    assert watch.delays == []


def test_a_refusal_whose_reason_passes_is_not_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """Files that look the same are loaded again after ten seconds, such as after a lack of descriptors; a reason that
    stays is logged and counted once."""
    tree = Tree({"a": "1"})
    watch = tree.watch()
    tree.texts["a"] = "bad"
    assert looks(watch, tree, 1.0) == []
    assert (watch.failures, len(tree.loads)) == (1, 1)
    assert looks(watch, tree, RETRY_SECONDS - 2.0) == []
    assert len(tree.loads) == 1
    assert looks(watch, tree, RETRY_SECONDS * 2) == []
    assert (watch.failures, len(tree.loads)) == (1, 3)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    tree.passing = {"bad"}
    found = looks(watch, tree, RETRY_SECONDS)
    assert [loaded.value for _, loaded in found] == [{"a": "bad"}]
    assert watch.fault is None
