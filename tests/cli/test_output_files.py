"""Output files: secrets never replace anything, public files are readable, and links are not written through."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tokenserver.cli.output_files import write_into, write_public, write_secret
from tokenserver.errors import LoadError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(write: Callable[[], None]) -> tuple[str, str]:
    """The file and the message of the only fault."""
    with pytest.raises(LoadError) as error:
        write()
    (fault,) = error.value.faults
    return fault.file, fault.message


def test_a_secret_is_a_new_private_file(tmp_path: Path) -> None:
    """Only its owner can read it."""
    write_secret(tmp_path / "key", b"k")
    assert ((tmp_path / "key").read_bytes(), mode(tmp_path / "key")) == (b"k", 0o600)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_a_secret_replaces_nothing(tmp_path: Path, kind: str) -> None:
    """Whatever exists at the path stays as it is."""
    path, other = tmp_path / "key", tmp_path / "other"
    match kind:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(other)
    if kind == "link":
        other.write_text("mine")
    before = {one.name: one.is_symlink() or one.read_text() for one in tmp_path.iterdir() if not one.is_dir()}
    message = "exists; a key never overwrites a file, and is never written through a link"
    assert refused(lambda: write_secret(path, b"k")) == (str(path), message)
    after = {one.name: one.is_symlink() or one.read_text() for one in tmp_path.iterdir() if not one.is_dir()}
    assert after == before


def test_a_public_file_is_replaced(tmp_path: Path) -> None:
    """Everybody may read it."""
    for content in (b"one", b"two"):
        write_public(tmp_path / "ca.pem", content)
        assert ((tmp_path / "ca.pem").read_bytes(), mode(tmp_path / "ca.pem")) == (content, 0o644)


@pytest.mark.parametrize("write", [write_secret, write_public])
def test_a_missing_folder_is_a_fault(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    """With the file and the reason, and no traceback."""
    path = tmp_path / "none" / "file"
    assert refused(lambda: write(path, b"")) == (str(path), "cannot be written: No such file or directory")


def test_folders_are_created(tmp_path: Path) -> None:
    """The folder with its parents, and the subfolder."""
    write_into(tmp_path / "a" / "b", "x", "text", below="c")
    assert (tmp_path / "a" / "b" / "c" / "x").read_text() == "text"
    write_into(tmp_path / "a" / "b", "x", "text")
    assert (tmp_path / "a" / "b" / "x").read_text() == "text"


def test_a_subfolder_that_is_a_link_is_rejected(tmp_path: Path) -> None:
    """Otherwise its content would be written elsewhere; the fault has the fix."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere")
    file, message = refused(lambda: write_into(tmp_path, "x", "text", below="c"))
    assert (file, message.partition("; fix: ")[2]) == (
        str(tmp_path / "c"),
        f"mv {tmp_path / 'c'} {tmp_path / 'c.link'}",
    )
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_created_is_a_fault(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("")
    file, message = refused(lambda: write_into(tmp_path / "file" / "below", "x", "text"))
    assert (file, message) == (str(tmp_path / "file" / "below"), "cannot be created: Not a directory")
