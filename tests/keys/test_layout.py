"""The layout of a key folder: what is missing, and the command that brings it back."""

from __future__ import annotations

from pathlib import Path

from key_folders import refused


def test_no_folder(tmp_path: Path) -> None:
    """The first start says which command makes the keys."""
    assert refused(tmp_path / "keys") == [("KEYS", "does not exist; create the keys with: tokenserver keys init")]


def test_empty_folder(tmp_path: Path) -> None:
    """So does an empty folder."""
    expected = "does not exist, there are no keys here; create them with: tokenserver keys init"
    assert refused(tmp_path) == [("KEYS/ring.json", expected)]


def test_folder_is_a_file(tmp_path: Path) -> None:
    """A file in place of the folder is reported as such."""
    (tmp_path / "keys").write_text("")
    assert refused(tmp_path / "keys") == [("KEYS", "is not a folder")]


def test_folder_below_a_file(tmp_path: Path) -> None:
    """What cannot be looked at is not called absent: making keys there would not help."""
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "keys") == [("KEYS", "cannot be read: Not a directory")]


def test_lost_ring_with_keys_in_use(keys: Path) -> None:
    """A lost `ring.json` should be restored: registries may trust the keys."""
    (keys / "ring.json").unlink()
    [(file, message)] = refused(keys)
    assert file == "KEYS/ring.json"
    assert message.startswith(
        "does not exist, but other parts of the keys do; if these keys were in use, restore ring.json from a backup"
    )
