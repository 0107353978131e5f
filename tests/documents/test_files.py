"""Files: what is refused before it is read, and that a file is replaced as a whole."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.own_time import OwnTime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.documents.files import create_file, read_file, read_text, write_file
from tokenserver.errors import LinkedText, LoadError

OTHER_USER = 54321
OTHER_GROUP = 54321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user or group")


def _file(folder: Path, mode: int = 0o600, content: bytes = b"content") -> Path:
    path = folder / "file"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _refusal(path: Path, **options: bool) -> str:
    with pytest.raises(LoadError) as caught:
        read_file(path, **options)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.path) == (str(path), 0, "")
    return fault.message


# --- modes and owners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private", [pytest.param(False, id="public"), pytest.param(True, id="private")])
@pytest.mark.parametrize("mode", [pytest.param(0o600, id="0600"), pytest.param(0o400, id="0400")])
def test_own_files_are_read(tmp_path: Path, mode: int, private: bool) -> None:
    """A file that no other user can read is accepted for every purpose."""
    assert read_file(_file(tmp_path, mode), private=private) == b"content"


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(0o644, id="0644"),
        pytest.param(0o444, id="0444"),
        pytest.param(0o755, id="0755"),
        pytest.param(0o664, id="0664-own-group"),
    ],
)
def test_readable_files_are_fit_for_what_is_public(tmp_path: Path, mode: int) -> None:
    """Others may read policies and users, and this process's own group may write them."""
    assert read_file(_file(tmp_path, mode)) == b"content"


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(0o666, id="0666"),
        pytest.param(0o777, id="0777"),
        pytest.param(0o602, id="0602"),
        pytest.param(0o4646, id="setuid"),
    ],
)
@pytest.mark.parametrize("private", [pytest.param(False, id="public"), pytest.param(True, id="private")])
def test_files_that_everybody_can_change_are_refused(tmp_path: Path, mode: int, private: bool) -> None:
    """Whoever could write a rule or a user would own the registry. The refusal names mode, path and command."""
    path = _file(tmp_path, mode)
    expected = f"can be changed by others (mode {mode:04o}); fix: chmod go-w {path}"
    assert _refusal(path, private=private) == expected


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(0o644, id="0644"),
        pytest.param(0o604, id="0604"),
        pytest.param(0o444, id="0444"),
        pytest.param(0o660, id="0660-own-group-may-write"),
        pytest.param(0o650, id="0650-own-group-may-execute"),
        pytest.param(0o641, id="0641-others-may-execute"),
        pytest.param(0o610, id="0610"),
    ],
)
def test_private_files_that_others_can_read_are_refused(tmp_path: Path, mode: int) -> None:
    """No other user may read a key. The message has mode, path and command, and never the content."""
    path = _file(tmp_path, mode, content=b"canary-5f1c")
    message = _refusal(path, private=True)
    assert message == f"can be read by others (mode {mode:04o}); fix: chmod 600 {path}"
    assert "canary" not in message


@needs_root
@pytest.mark.parametrize("mode", [pytest.param(0o640, id="0640"), pytest.param(0o440, id="0440")])
def test_private_files_of_root_in_the_own_group_are_read(tmp_path: Path, mode: int) -> None:
    """As Kubernetes mounts secrets: owned by root, readable by this process's group."""
    assert read_file(_file(tmp_path, mode), private=True) == b"content"


@needs_root
@pytest.mark.parametrize("mode", [pytest.param(0o640, id="0640"), pytest.param(0o440, id="0440")])
def test_private_files_of_another_group_are_refused(tmp_path: Path, mode: int) -> None:
    """The same mode with another group is readable by other users."""
    path = _file(tmp_path, mode)
    os.chown(path, 0, OTHER_GROUP)
    assert _refusal(path, private=True).startswith(f"can be read by others (mode {mode:04o})")


@needs_root
def test_private_files_in_the_own_group_must_be_owned_by_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0640 owned by a non-root user is readable by that user's group; fix: chmod 600."""
    path = _file(tmp_path, 0o640)
    os.chown(path, OTHER_USER, os.getegid())
    monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)
    assert _refusal(path, private=True).startswith("can be read by others (mode 0640)")


@needs_root
def test_files_that_another_group_can_change_are_refused(tmp_path: Path) -> None:
    """0664 is fine in the own group and is not in another."""
    path = _file(tmp_path, 0o664)
    os.chown(path, 0, OTHER_GROUP)
    assert _refusal(path).startswith("can be changed by others (mode 0664)")


@needs_root
@pytest.mark.parametrize("private", [pytest.param(False, id="public"), pytest.param(True, id="private")])
def test_files_of_another_user_are_refused(tmp_path: Path, private: bool) -> None:
    """Their owner could change them at any time, whatever their mode is now."""
    path = _file(tmp_path)
    os.chown(path, OTHER_USER, -1)
    expected = f"belongs to another user (uid {OTHER_USER}); fix: chown {os.geteuid()} {path}"
    assert _refusal(path, private=private) == expected


@needs_root
def test_files_of_root_are_read_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not root trusts root's files."""
    path = _file(tmp_path, 0o644)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)
    assert read_file(path) == b"content"


# --- what is no file -------------------------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With the system's own words."""
    assert _refusal(tmp_path / "none") == "cannot be read: No such file or directory"


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    """A path that runs through a file."""
    assert _refusal(_file(tmp_path) / "below") == "cannot be read: Not a directory"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """What the system refuses is a fault and no crash."""
    assert _refusal(tmp_path / ("x" * 300)) == "cannot be read: File name too long"


@pytest.mark.parametrize("target", ["dangling", "loop"])
def test_broken_links_are_refused(tmp_path: Path, target: str) -> None:
    """A link to nothing and a link to itself."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert _refusal(tmp_path / target).startswith("cannot be read: ")


def _make_fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _make_folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(_make_fifo, "is not a regular file", id="fifo"),
        pytest.param(_make_folder, "is not a regular file", id="folder"),
        pytest.param(_make_socket, "cannot be read: No such device or address", id="socket"),
        pytest.param(lambda path: path.symlink_to("/dev/null"), "is not a regular file", id="device"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "is not a regular file", id="endless-device"),
    ],
)
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected immediately: without waiting for a FIFO's writer, reading a device for ever, or leaking a descriptor."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    path = Path("special")
    make(path)
    before = _open_descriptors()
    own = OwnTime(os.getpid())
    assert _refusal(path) == expected
    assert own.seconds < 1
    assert _open_descriptors() == before


def test_a_link_is_followed_and_its_target_is_checked(tmp_path: Path) -> None:
    """Kubernetes mounts every file as a link; only its target counts."""
    target = _file(tmp_path, 0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert read_file(link, private=True) == b"content"
    target.chmod(0o666)
    assert _refusal(link).startswith("can be changed by others (mode 0666)")


def test_a_folder_below_a_swapped_link_is_followed(tmp_path: Path) -> None:
    """The mount of a Kubernetes volume: `..data` is swapped, and the same path reads the new content."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "users").write_text(name)
    data = tmp_path / "..data"
    data.symlink_to("one")
    (tmp_path / "users").symlink_to("..data/users")
    assert read_file(tmp_path / "users") == b"one"
    (tmp_path / "..new").symlink_to("two")
    os.replace(tmp_path / "..new", data)
    assert read_file(tmp_path / "users") == b"two"


# --- size and text ---------------------------------------------------------------------------------------------------


def test_the_limit_is_allowed_and_one_more_is_not(tmp_path: Path) -> None:
    """At most `limit` bytes."""
    path = _file(tmp_path, content=b"12345")
    assert read_file(path, limit=5) == b"12345"
    with pytest.raises(LoadError, match="is larger than 4 bytes"):
        read_file(path, limit=4)


def test_a_sparse_file_is_refused_by_its_size(tmp_path: Path) -> None:
    """100 GB that cost nothing to make are not read."""
    path = _file(tmp_path)
    os.truncate(path, 100 * 2**30)
    assert _refusal(path) == "is larger than 8388608 bytes"


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of bytes read counts, not the size reported before."""
    path = _file(tmp_path, content=b"12345")
    real = os.fstat

    def before_it_grew(descriptor: int) -> os.stat_result:
        told = list(real(descriptor))
        told[stat.ST_SIZE] = 0
        return os.stat_result(told)

    monkeypatch.setattr("tokenserver.documents.files.os.fstat", before_it_grew)
    with pytest.raises(LoadError, match="is larger than 4 bytes"):
        read_file(path, limit=4)


def test_an_error_while_reading_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing disk is reported as a fault, and the descriptor is closed."""
    path = _file(tmp_path)

    class FailingDisk(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002 - as every file is read
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open_failing(descriptor: int, mode: str, *, closefd: bool) -> FailingDisk:
        return FailingDisk()

    before = _open_descriptors()
    monkeypatch.setattr("tokenserver.documents.files.open", open_failing, raising=False)
    assert _refusal(path) == "cannot be read: Input/output error"
    assert _open_descriptors() == before


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"\xff", 1, id="first-line"),
        pytest.param(b"a\nb\n\xe9\n", 3, id="third-line-latin-1"),
        pytest.param(b"a\nb\xc3", 2, id="cut-character"),
        pytest.param(b"\xed\xa0\x80", 1, id="surrogate"),
        pytest.param(b"\n\xc0\x80", 2, id="overlong-nul"),
        pytest.param(b"\xff\xfea\x00", 1, id="utf-16"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    """The line of the first wrong byte, and none of the content."""
    path = _file(tmp_path, content=content)
    with pytest.raises(LoadError) as caught:
        read_text(path)
    assert [str(fault) for fault in caught.value.faults] == [f"{path}:{line}: is not UTF-8 text"]


def test_text_is_read_as_it_is(tmp_path: Path) -> None:
    """No line ending is translated and no mark removed: the parsers decide about those."""
    assert read_text(_file(tmp_path, content="\ufeffä\r\nb\r".encode())) == "\ufeffä\r\nb\r"


def test_text_is_checked_like_bytes(tmp_path: Path) -> None:
    """`private` and `limit` hold for text as well."""
    path = _file(tmp_path, 0o644)
    with pytest.raises(LoadError, match="can be read by others"):
        read_text(path, private=True)
    with pytest.raises(LoadError, match="is larger than 1 bytes"):
        read_text(path, limit=1)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=min(settings().max_examples // 2, 5_000),
)
@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_load_error(tmp_path: Path, content: bytes) -> None:
    """Bytes come back as they are; as text they come back or are refused."""
    path = _file(tmp_path, content=content)
    assert read_file(path) == content
    try:
        outcome = read_text(path).encode()
    except LoadError as error:
        outcome = error.faults[0].message.encode()
    assert outcome in (content, b"is not UTF-8 text")


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [pytest.param(0o000, id="open-umask"), pytest.param(0o077, id="closed-umask")])
@pytest.mark.parametrize("mode", [pytest.param(0o600, id="0600"), pytest.param(0o644, id="0644")])
def test_the_mode_is_as_asked(tmp_path: Path, mode: int, umask: int) -> None:
    """Neither the umask nor the mode of the previous file changes it."""
    path = _file(tmp_path, 0o666, b"old")
    before = os.umask(umask)
    try:
        write_file(path, b"new", mode=mode)
    finally:
        os.umask(before)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (mode, b"new")


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """By default no other user can read it."""
    path = tmp_path / "new"
    write_file(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_file(path, private=True) == b"secret"


@needs_root
def test_the_owner_is_as_asked(tmp_path: Path) -> None:
    """On request, a file of another user keeps its owner."""
    path = tmp_path / "file"
    write_file(path, b"x", mode=0o640, owner=(OTHER_USER, OTHER_GROUP))
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (OTHER_USER, OTHER_GROUP, 0o640)


def _planted(path: Path, kind: str) -> None:
    """Something at `path` that is no regular file."""
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"link": "victim", "dangling": "nowhere", "device": "/dev/null"}[kind])


PLANTED = ["link", "dangling", "device", "folder", "fifo"]


@pytest.mark.parametrize("write", [write_file, create_file])
@pytest.mark.parametrize("kind", PLANTED)
def test_nothing_is_written_where_something_else_stands(
    tmp_path: Path, kind: str, write: Callable[[Path, bytes], None]
) -> None:
    """A link, a folder, a FIFO: rejected immediately, and neither it nor its target is changed."""
    _file(tmp_path, content=b"old").rename(tmp_path / "victim")
    _planted(tmp_path / "path", kind)
    before = os.lstat(tmp_path / "path")
    with pytest.raises(OSError, match=r"symbolic link|not a regular file|File exists"):
        write(tmp_path / "path", b"secret")
    after = os.lstat(tmp_path / "path")
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "victim").read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["path", "victim"]


def test_a_link_that_appears_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between check and rename: the file replaces the link, and the link's target stays unchanged."""
    victim, path = _file(tmp_path, content=b"old"), tmp_path / "path"
    replace = os.replace

    def plants(temporary: str, target: Path) -> None:
        path.symlink_to(victim)
        replace(temporary, target)

    monkeypatch.setattr("tokenserver.documents.files.os.replace", plants)
    write_file(path, b"secret")
    assert (path.is_symlink(), path.read_bytes(), victim.read_bytes()) == (False, b"secret", b"old")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_new_file_has_its_mode_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """Nobody can open it before the mode is right, since it never had another one."""
    seen: list[int] = []
    fsync = os.fsync

    def looks(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    def never(*arguments: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr("tokenserver.documents.files.os.fsync", looks)
    monkeypatch.setattr("tokenserver.documents.files.os.fchmod", never)
    before = os.umask(umask)
    try:
        create_file(tmp_path / "key", b"secret")
    finally:
        os.umask(before)
    assert (seen[0], (tmp_path / "key").read_bytes()) == (0o600, b"secret")


def test_a_new_file_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a key is not left behind."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tokenserver.documents.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        create_file(tmp_path / "key", b"secret")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_proc", [True, False])
def test_text_behind_a_link_is_foreign(tmp_path: Path, has_proc: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the links that Kubernetes makes, and for those of a folder further up."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, inside / "..2027_01", outside):
        folder.mkdir()
    for folder in (inside / "..2027_01", inside, outside):
        (folder / "a.yaml").write_text("a: 1\n")
    (inside / "..data").symlink_to("..2027_01")
    (inside / "mounted").symlink_to("..data/a.yaml")
    (inside / "beside").symlink_to("a.yaml")
    (inside / "away").symlink_to(outside / "a.yaml")
    (tmp_path / "alias").symlink_to(inside)
    if not has_proc:
        readlink = os.readlink

        def no_proc(path: str) -> str:
            if str(path).startswith("/proc/self/fd/"):
                raise FileNotFoundError(path)
            return readlink(path)

        monkeypatch.setattr("tokenserver.documents.files.os.readlink", no_proc)
    assert not isinstance(read_text(inside / "mounted"), LinkedText)
    assert not isinstance(read_text(tmp_path / "alias" / "mounted"), LinkedText)
    assert not isinstance(read_text(tmp_path / "alias" / "a.yaml"), LinkedText)
    assert isinstance(read_text(inside / "beside"), LinkedText)
    text = read_text(inside / "away")
    assert isinstance(text, LinkedText)
    assert (text, text.target) == ("a: 1\n", str(outside / "a.yaml"))
    with pytest.raises(LoadError, match="symbolic links"):
        read_text(inside / "away", follow=False)


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """After a success there is the file alone."""
    write_file(tmp_path / "file", b"one")
    write_file(tmp_path / "file", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("broken", ["fchmod", "fsync", "replace"])
def test_a_failure_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """If any step fails, the old content stays, and no temporary file is left."""
    path = _file(tmp_path, content=b"old")

    def fails(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"tokenserver.documents.files.os.{broken}", fails)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_an_interruption_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of writing a key leaves no half of it in the folder."""

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tokenserver.documents.files.os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "key", b"secret")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    """The caller decides how to handle it."""
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "none" / "file", b"x")


def test_the_temporary_file_stands_in_the_same_folder_and_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename is whole only inside one file system, and a watch of the folder must not take it for a file."""
    seen: list[tuple[Path, str]] = []
    real = tempfile.mkstemp

    def spy(*, dir: Path, prefix: str) -> tuple[int, str]:  # noqa: A002 - mkstemp calls it that
        seen.append((dir, prefix))
        return real(dir=dir, prefix=prefix)

    monkeypatch.setattr("tokenserver.documents.files.tempfile.mkstemp", spy)
    write_file(tmp_path / "file", b"x")
    assert seen == [(tmp_path, ".file.")]


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    """While one writes again and again, every read gives one whole content of those written."""
    path = tmp_path / "file"
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    write_file(path, contents[0])
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(read_file(path))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(60):
            write_file(path, contents[turn % 2])
    finally:
        stop.set()
        reader.join()
    assert seen <= set(contents)
    assert seen != set()
