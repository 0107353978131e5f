"""A new folder: whole or not at all, never over anything, and with the modes that its files ask for."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tokenserver.errors import Fault, LoadError
from tokenserver.importers.new_folder import NewFile, secret_file, text_file, write_new_folder

FILES = {"a.yaml": text_file("a: 1\n"), "keys/deep/key.pem": secret_file(b"secret"), "keys/ca.pem": text_file("ca")}


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    """Sets the umask of this process until the end of the test."""
    before = os.umask(0o022)
    yield lambda mask: void(os.umask(mask))
    os.umask(before)


def void(_: object) -> None:
    """Nothing."""


def message(target: Path, files: dict[str, NewFile] | None = None) -> str:
    """Why nothing can be written there."""
    with pytest.raises(LoadError) as refused:
        write_new_folder(target, files or FILES)
    (fault,) = refused.value.faults
    assert fault.file == str(target.absolute())
    return fault.message


@pytest.mark.parametrize("name", ["new", "deep/er/new"])
def test_a_new_folder(tmp_path: Path, name: str) -> None:
    """All files are there, and nothing else is, neither in it nor beside it."""
    write_new_folder(tmp_path / name, FILES)
    found = {
        str(path.relative_to(tmp_path / name)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {file: content.content for file, content in FILES.items()}
    assert len(list((tmp_path / name).parent.iterdir())) == 1


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    """As one that a volume has prepared."""
    (tmp_path / "new").mkdir()
    write_new_folder(tmp_path / "new", FILES)
    assert (tmp_path / "new" / "a.yaml").read_text() == "a: 1\n"


@pytest.mark.parametrize(
    ("mask", "folder", "file", "secret_folder"),
    [
        pytest.param(0o022, 0o755, 0o644, 0o700, id="usual"),
        pytest.param(0o002, 0o755, 0o644, 0o700, id="groups that write"),
        pytest.param(0o077, 0o700, 0o600, 0o700, id="private"),
        pytest.param(0o000, 0o755, 0o644, 0o700, id="none"),
    ],
)
def test_the_modes(
    tmp_path: Path, umask: Callable[[int], None], mask: int, folder: int, file: int, secret_folder: int
) -> None:
    """Nobody else can write, nobody else sees a secret, and the umask is respected."""
    umask(mask)
    write_new_folder(tmp_path / "new", FILES)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")
    }
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == folder
    assert modes == {
        "new/a.yaml": file,
        "new/keys": folder,
        "new/keys/ca.pem": file,
        "new/keys/deep": secret_folder,
        "new/keys/deep/key.pem": 0o600,
    }


def test_a_secret_at_the_top(tmp_path: Path) -> None:
    """The whole folder is private, whichever file comes first."""
    write_new_folder(tmp_path / "new", {"a": text_file(""), "users.htpasswd": secret_file(b"")})
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def _file(target: Path) -> None:
    target.write_text("mine")


def _full(target: Path) -> None:
    target.mkdir()
    (target / ".hidden").write_text("mine")


def _link(target: Path) -> None:
    (target.parent / "elsewhere").mkdir()
    target.symlink_to("elsewhere")


def _dangling(target: Path) -> None:
    target.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(_file, "exists, and is not a folder", id="a file"),
        pytest.param(_full, "exists, and nothing in it is overwritten", id="a folder with something"),
        pytest.param(_link, "is a symbolic link", id="a link to a folder"),
        pytest.param(_dangling, "is a symbolic link", id="a link to nothing"),
    ],
)
def test_something_is_there(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    """It stays as it is."""
    make(tmp_path / "new")
    before = sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    assert problem in message(tmp_path / "new")
    assert sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")) == before


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell would stay in the one that was replaced, and see nothing of the new one."""
    monkeypatch.chdir(tmp_path)
    assert "is the current folder" in message(Path())


def test_the_parent_is_a_file(tmp_path: Path) -> None:
    """The system's reason is in the fault."""
    (tmp_path / "file").write_text("")
    assert message(tmp_path / "file" / "new") == f"cannot be created: {tmp_path}/file: File exists"


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is empty is unknown. The fault is faked, since root reads everything."""

    def fail(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(Path, "iterdir", fail)
    assert message(tmp_path / "new") == "cannot be read: Permission denied"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_parent_without_permission(tmp_path: Path) -> None:
    """Nothing is written."""
    (tmp_path / "locked").mkdir(mode=0o500)
    assert message(tmp_path / "locked" / "new").endswith(": Permission denied")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """Nothing is left behind, and the parents that were made for it are gone."""
    assert "cannot be written: File name too long" in message(tmp_path / "deep" / "new", {"x" * 300: text_file("")})
    assert list(tmp_path.iterdir()) == []


def test_what_examination_finds(tmp_path: Path) -> None:
    """Its faults have the places of the new folder, and nothing is left behind."""

    def examine(draft: Path) -> None:
        assert (draft / "a.yaml").exists()
        raise LoadError([Fault(str(draft / "a.yaml"), 1, "a", f"see {draft}/b")])

    target = tmp_path / "new"
    with pytest.raises(LoadError) as refused:
        write_new_folder(target, FILES, examine)
    assert refused.value.faults == (Fault(str(target / "a.yaml"), 1, "a", f"see {target}/b"),)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError])
def test_a_crash_in_the_middle(tmp_path: Path, error: type[BaseException]) -> None:
    """It goes on, and nothing is left behind."""

    def examine(_: Path) -> None:
        raise error

    with pytest.raises(error):
        write_new_folder(tmp_path / "deep" / "new", FILES, examine)
    assert list(tmp_path.iterdir()) == []


def test_what_examination_adds(tmp_path: Path) -> None:
    """Keys are made there, for example."""
    write_new_folder(tmp_path / "new", FILES, lambda draft: void((draft / "keys" / "more").write_text("x")))
    assert (tmp_path / "new" / "keys" / "more").read_text() == "x"


def test_it_appears_in_the_meantime(tmp_path: Path) -> None:
    """What somebody else wrote stays."""

    def examine(_: Path) -> None:
        _full(tmp_path / "new")

    with pytest.raises(LoadError, match="nothing in it is overwritten"):
        write_new_folder(tmp_path / "new", FILES, examine)
    assert [path.name for path in tmp_path.rglob("*")] == ["new", ".hidden"]


def test_two_of_them_concurrently(tmp_path: Path) -> None:
    """One is whole, and the other gets a fault."""
    ready = Barrier(2)

    def write(name: str) -> str:
        try:
            write_new_folder(tmp_path / "new", {name: text_file(name)}, lambda _: void(ready.wait(10)))
        except LoadError as error:
            return error.faults[0].message
        return name

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(write, ["a", "b"]))
    (written,) = (tmp_path / "new").iterdir()
    assert written.read_text() == written.name == results[0]
    assert results[1].startswith(("exists, and nothing in it", "cannot be written: Directory not empty"))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
