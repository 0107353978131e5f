"""Repeated reading of the policy folder: the look, the files read, and the last good texts."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tokenserver.documents.files import FilesChanged
from tokenserver.errors import LoadError
from tokenserver.policy.loading import folder as folder_module
from tokenserver.policy.loading import reread as reread_module
from tokenserver.policy.loading.folder import MAX_ENTRIES, picture_of, read_folder
from tokenserver.policy.loading.reread import RereadFolder

LONG_AGO = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, one of them below."""
    folder = tmp_path / "policies"
    (folder / "teams").mkdir(parents=True)
    (folder / "a.yaml").write_text("a")
    (folder / "teams" / "b.yaml").write_text("b")
    return folder


def faults(folder: Path) -> list[str]:
    """The faults of the folder itself, with `FOLDER` for its path."""
    try:
        _, found = read_folder(folder)
    except LoadError as error:
        found = list(error.faults)
    return [str(fault).replace(str(folder), "FOLDER") for fault in found]


# --- what is walked --------------------------------------------------------------------------------------------------


def fan_out(folder: Path, *, inside: bool = False) -> None:
    """Folders each of which has nine links to the next: 72 links, and more than 43 million paths."""
    places = [folder, *((folder if inside else folder.parent) / f"level-{level}" for level in range(1, 9))]
    for place in places[1:]:
        place.mkdir()
    for place, below in pairwise(places):
        for number in range(9):
            (place / f"link-{number}").symlink_to(below)


@pytest.mark.parametrize("inside", [False, True])
def test_links_that_fan_out_are_walked_once(folder: Path, inside: bool) -> None:
    """L: each folder is visited once for any number of paths; without policy files in it, that is no fault."""
    fan_out(folder, inside=inside)
    start = time.monotonic()
    assert sorted(picture_of(folder)) == ["", "a.yaml", "teams", "teams/b.yaml"]
    assert faults(folder) == []
    assert time.monotonic() - start < 5


def test_policies_that_two_links_lead_to_are_a_fault(folder: Path) -> None:
    """They would count twice, and their name determines what is delegated to them."""
    (folder / "squads").symlink_to(folder / "teams")
    assert faults(folder) == [
        "FOLDER/teams: is the same folder as squads, so its policies would count twice; keep one of the two"
    ]
    (folder / "squads").unlink()
    assert faults(folder) == []


def test_links_that_fan_out_to_policies_are_a_fault(folder: Path) -> None:
    """In no time, and one for each link too many."""
    fan_out(folder)
    (folder.parent / "level-8" / "c.yaml").write_text("c")
    start = time.monotonic()
    found = faults(folder)
    assert time.monotonic() - start < 5
    assert len(found) == 8 * 8
    assert all("is the same folder as link-0" in fault for fault in found)


def test_a_folder_has_the_shortest_of_its_names(folder: Path) -> None:
    """A link that makes it look too deep is no fault, and neither is the order of the names."""
    deep = folder.joinpath("0", *"abcdefg")
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(folder / "other")
    (folder / "other").mkdir()
    assert faults(folder) == []
    (deep / "too-deep").mkdir()
    assert faults(folder) == ["FOLDER/0/a/b/c/d/e/f/g/too-deep: cannot be read as a folder: is deeper than 8 folders"]


def test_a_folder_may_not_hold_any_number_of_things(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policy files or not: all are visited."""
    assert MAX_ENTRIES >= 100_000
    monkeypatch.setattr(folder_module, "MAX_ENTRIES", 5)
    (folder / "teams" / "x").touch()
    (folder / "y").touch()
    assert faults(folder) == []
    before = RereadFolder(folder).look()
    (folder / ".z").touch()
    assert faults(folder) == ["FOLDER: has more than 5 files and folders in it; keep other things elsewhere"]
    assert RereadFolder(folder).look() == RereadFolder(folder).look() != before


def test_nothing_is_opened_by_a_look(folder: Path) -> None:
    """A pipe would wait for a writer; it is a fault when it is called like a policy, and nothing otherwise."""
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "c.yaml")
    look = RereadFolder(folder).look()
    assert str(folder / "pipe") not in look
    assert str(folder / "c.yaml") in look
    assert faults(folder) == ["FOLDER/c.yaml: is not a regular file"]


def test_the_time_of_what_is_no_file_is_no_change(folder: Path) -> None:
    """Of a folder, and of a pipe that is written to."""
    (folder / "c.yaml").mkdir()
    reread = RereadFolder(folder)
    before = reread.look()
    for path in (folder, folder / "teams", folder / "c.yaml"):
        (path / "x").touch()
        os.utime(path, (1, 1))
    assert reread.look() == before


# --- what is read ----------------------------------------------------------------------------------------------------


def aged(reread: RereadFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files be read and known, as if they were as old as they mostly are."""
    monkeypatch.setattr(reread_module, "RACY_NANOSECONDS", -LONG_AGO * 10**9)
    reread.accept(reread.read())


def test_only_what_changed_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with the same stamp is not read again."""
    reread = RereadFolder(folder)
    aged(reread, monkeypatch)
    (folder / "a.yaml").write_text("a, changed")
    read: list[str] = []

    def reading(path: Path) -> str:
        read.append(path.name)
        return "new"

    monkeypatch.setattr(reread_module, "read_text", reading)
    found = reread.read_as(reread.look())
    assert (found.texts, read) == ({"a.yaml": "new", "teams/b.yaml": "b"}, ["a.yaml"])
    reread.accept(found)
    assert reread.read_as(reread.look()).texts == found.texts
    assert read == ["a.yaml"]


def test_what_was_written_just_now_is_read_again(folder: Path) -> None:
    """It could have changed once more within the same tick of the file system's clock."""
    reread = RereadFolder(folder)
    reading = reread.read()
    assert reading.stamps == {}


def test_what_is_not_accepted_is_not_known(folder: Path) -> None:
    """The last good text is that of the last accepted reading."""
    reread = RereadFolder(folder)
    reread.accept(reread.read())
    (folder / "a.yaml").write_text("refused")
    reread.read_as(reread.look())
    given = {str(folder / "a.yaml"): None}
    assert reread.read_as(reread.look(), given).texts["a.yaml"] == "a"


@pytest.mark.parametrize("when", ["before", "while", "while it cannot be read"])
def test_a_file_that_moved_since_it_was_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Before or during reading, the look is outdated; with `given`, the last good text is used instead."""
    reread = RereadFolder(folder)
    reread.accept(reread.read())
    path = folder / "a.yaml"

    def moves(number: int) -> None:
        path.write_text("moved" + "!" * number)

    (folder / "teams" / "b.yaml").write_text("b, changed")
    look = reread.look()
    if when == "before":
        moves(1)
    else:
        turns = iter(range(1, 10))

        def reading(one: Path) -> str:
            if one == path:
                moves(next(turns))
                if "cannot" in when:
                    raise LoadError([])
            return one.read_text()

        monkeypatch.setattr(reread_module, "read_text", reading)
    with pytest.raises(FilesChanged):
        reread.read_as(look)
    assert reread.read_as(reread.look() if when != "before" else look, {}).texts == {
        "a.yaml": "a",
        "teams/b.yaml": "b, changed",
    }


def test_a_file_that_cannot_be_read_is_a_fault(folder: Path) -> None:
    """With its path, beside those of the folders; the others are read."""
    reread = RereadFolder(folder)
    (folder / "a.yaml").chmod(0o666)
    (folder / "teams").chmod(0o777)
    reading = reread.read_as(reread.look())
    assert list(reading.texts) == ["teams/b.yaml"]
    assert [fault.file for fault in reading.faults] == [str(folder / "a.yaml"), str(folder / "teams")]


def test_what_is_given_is_taken(folder: Path) -> None:
    """Instead of the file's content, in the order of names; it is read again the next time."""
    reread = RereadFolder(folder)
    reread.accept(reread.read())
    given = {
        str(folder / "0.yaml"): b"new",
        str(folder / "1.yaml"): None,  # there is no last good text of it
        str(folder / "2.yaml"): b"\xff",
        str(folder / "a.yaml"): b"a, given",
        str(folder / "teams" / "b.yaml"): None,
    }
    (folder / "teams" / "b.yaml").write_text("half of")
    reading = reread.read_as(reread.look(), given)
    assert list(reading.texts.items()) == [("0.yaml", "new"), ("a.yaml", "a, given"), ("teams/b.yaml", "b")]
    assert [str(fault) for fault in reading.faults] == [f"{folder / '2.yaml'}:1: is not UTF-8 text"]
    assert reading.stamps == {}


def test_a_folder_that_is_gone_or_back(folder: Path) -> None:
    """A missing folder is a fault; one that is back since the look needs a new look."""
    reread = RereadFolder(folder)
    away = folder.with_name("away")
    folder.rename(away)
    look = reread.look()
    with pytest.raises(LoadError, match="cannot be read as a folder: No such file"):
        reread.read_as(look)
    away.rename(folder)
    with pytest.raises(FilesChanged):
        reread.read_as(look)
