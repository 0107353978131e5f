"""deploy/image_root.py, over small folders: what comes into the image, with which modes and times."""

from __future__ import annotations

import os
from pathlib import Path

import image_root
import pytest
from image_root import ImageRoot, copy_file, loaded, owning, set_times


@pytest.fixture
def image(tmp_path: Path) -> ImageRoot:
    """An empty image of an empty base, both with no link in their own paths."""
    for name in ("base", "root"):
        (tmp_path / name).mkdir()
    return ImageRoot(tmp_path.resolve() / "base", tmp_path.resolve() / "root")


def write(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    """A file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def names(root: Path) -> set[str]:
    """All files and links below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, 0o644), (0o664, 0o644), (0o700, 0o755), (0o775, 0o755), (0o4755, 0o755)],
    ids=["private", "of a group", "a private program", "a program of a group", "with more rights"],
)
def test_modes(tmp_path: Path, mode: int, expected: int) -> None:
    """No umask, and no bit for another user, comes from the machine that builds."""
    copy_file(write(tmp_path / "a", mode=mode), tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o7777 == expected


def test_links_of_libraries(image: ImageRoot) -> None:
    """A link comes with the file it leads to, each where its folder really is; a second time changes nothing."""
    write(image.base / "usr/lib/here/libz.so.1.2")
    (image.base / "usr/lib/here/libz.so.1").symlink_to("libz.so.1.2")
    (image.base / "lib").symlink_to("usr/lib")
    image.add_folders(("lib", "lib64"))
    for _ in range(2):
        image.add(image.base / "lib/here/libz.so.1")
    assert names(image.root) == {"lib", "usr/lib/here/libz.so.1", "usr/lib/here/libz.so.1.2"}
    assert (image.root / "lib/here/libz.so.1").read_text() == "x"
    assert len(image.copied) == 2


def test_a_link_to_a_folder(image: ImageRoot) -> None:
    """It comes alone."""
    write(image.base / "etc/ssl/certs/a.pem")
    (image.base / "usr/lib/ssl").mkdir(parents=True)
    (image.base / "usr/lib/ssl/certs").symlink_to("/etc/ssl/certs")
    image.add(image.base / "usr/lib/ssl/certs")
    assert names(image.root) == {"usr/lib/ssl/certs"}


def test_what_stays_of_python(image: ImageRoot) -> None:
    """Nothing that tests, installs packages or draws windows; no byte code of another time."""
    library = image.base / "usr/local/lib/python3.13"
    write(image.base / "usr/local/bin/python3.13", mode=0o755)
    kept = {"json/decoder.py", "ssl.py", "lib-dynload/_ssl.so", "unittest/case.py"}
    left = {"test/test_ssl.py", "ensurepip/__init__.py", "site-packages/pip/__init__.py", "json/__pycache__/a.pyc"}
    for name in kept | left | {"lib-dynload/_tkinter.cpython-313.so", "lib-dynload/_testcapi.so", "tkinter/ttk.py"}:
        write(library / name)
    image.add_python(image.base / "usr/local", "python3.13")
    assert names(image.root / "usr/local/lib/python3.13") == kept
    assert names(image.root / "usr/local/bin") == {"python", "python3", "python3.13"}


def test_what_stays_of_the_environment(image: ImageRoot) -> None:
    """The packages, and of their programs only ours and Python: no script that a shell would read."""
    for name in ("tokenserver", "docker-credential-tokenserver", "python", "flask", "alembic", "activate"):
        write(image.base / "opt/server/bin" / name, mode=0o755)
    write(image.base / "opt/server/lib/python3.13/site-packages/flask/app.py")
    write(image.base / "opt/server/pyvenv.cfg")
    image.add_server(image.base / "opt/server")
    assert names(image.root / "opt/server/bin") == {"docker-credential-tokenserver", "python", "tokenserver"}
    assert names(image.root / "opt/server/lib") == {"python3.13/site-packages/flask/app.py"}


def test_nobody_has_a_shell(image: ImageRoot) -> None:
    """The last field of each user is no program."""
    image.add_accounts()
    users = (image.root / "etc/passwd").read_text().splitlines()
    assert [line.rpartition(":")[2] for line in users] == ["/nonexistent"] * 3
    assert users[-1].startswith("tokenserver:x:10001:10001:")


LISTED = """\
\tlinux-vdso.so.1 (0x00007ffc0b5e2000)
\tlibpq.so.5 => /opt/server/lib/libpq.so.5 (0x00007f1)
\tlibc.so.6 => /lib/here/libc.so.6 (0x00007f2)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f3)
"""


def test_libraries_that_the_loader_lists() -> None:
    """Those with a path; the loader itself is known, and the kernel's is no file."""
    assert loaded(Path("/x"), LISTED) == {"/opt/server/lib/libpq.so.5", "/lib/here/libc.so.6"}
    assert loaded(Path("/x"), "\tstatically linked\n") == set()


def test_a_library_that_the_base_lacks() -> None:
    """The build stops, and names both."""
    with pytest.raises(SystemExit, match=r"/x needs libtk8\.6\.so, which the base does not have"):
        loaded(Path("/x"), "\tlibtk8.6.so => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n")


STATUS = "Package: libc6\nVersion: 2.36\n\nPackage: zlib1g\nVersion: 1.2\n\nPackage: bash\nVersion: 5.2\n"


@pytest.mark.parametrize(
    ("files", "owners"),
    [
        pytest.param({"/usr/lib/here/libz.so.1"}, ["zlib1g"], id="as it is"),
        pytest.param({"/usr/lib/here/libc.so.6"}, ["libc6"], id="listed below /lib"),
        pytest.param({"/lib/here/libz.so.1"}, ["zlib1g"], id="listed below /usr/lib"),
        pytest.param({"/usr/lib/here/libc.so.6", "/usr/lib/here/libz.so.1"}, ["libc6", "zlib1g"], id="two"),
        pytest.param({"/usr/local/bin/python3.13", "/lib"}, [], id="of no package"),
    ],
)
def test_owners(files: set[str], owners: list[str]) -> None:
    """A package is recorded if one of its files is in the image, with its whole paragraph."""
    lists = {"libc6": "/.\n/lib/here/libc.so.6", "zlib1g": "/usr/lib/here/libz.so.1", "bash": "/bin/bash", "gone": "/x"}
    found = owning(files, lists, STATUS)
    assert [name for name, _ in found] == owners
    assert all(stanza.startswith(f"Package: {name}\nVersion: ") for name, stanza in found)


def test_records_of_packages(image: ImageRoot) -> None:
    """Where scanners look for them, with the licence of each package, and nothing of others."""
    write(image.base / "usr/lib/here/libz.so.1")
    write(image.base / "var/lib/dpkg/status", STATUS)
    write(image.base / "var/lib/dpkg/info/zlib1g:amd64.list", "/usr/lib/here/libz.so.1\n")
    write(image.base / "var/lib/dpkg/info/bash.list", "/bin/bash\n")
    write(image.base / "usr/share/doc/zlib1g/copyright", "zlib")
    image.add(image.base / "usr/lib/here/libz.so.1")
    image.add_package_records()
    assert (image.root / "var/lib/dpkg/status.d/zlib1g").read_text() == "Package: zlib1g\nVersion: 1.2\n"
    assert names(image.root / "var") == {"lib/dpkg/status.d/zlib1g"}
    assert names(image.root / "usr/share") == {"doc/zlib1g/copyright"}


def test_one_time_for_everything(image: ImageRoot) -> None:
    """Files, folders and links, also broken ones."""
    write(image.root / "a/b")
    (image.root / "a/c").symlink_to("nowhere")
    set_times(image.root, 1234)
    found = [path.lstat().st_mtime for path in (image.root, *image.root.rglob("*"))]
    assert found == [1234] * 4


def test_byte_code_needs_no_time(image: ImageRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is valid by itself (PEP 552), and names the path in the image; a umask does not matter."""
    write(image.root / "opt/module.py", "raise ValueError\n")
    before = os.umask(0o077)
    try:
        image_root.byte_compile(image.root)
    finally:
        os.umask(before)
    (compiled,) = (image.root / "opt/__pycache__").iterdir()
    assert compiled.read_bytes()[4:8] == (1).to_bytes(4, "little")
    assert b"/opt/module.py" in compiled.read_bytes()
    assert str(image.root).encode() not in compiled.read_bytes()
    assert compiled.stat().st_mode & 0o777 == 0o644
