"""Makes the root file system of the image in /rootfs: Python, the server, and the libraries that they load. No shell.

It runs in the first stage of Containerfile and takes everything from there. What Debian packages own is recorded in
/var/lib/dpkg/status.d, where scanners of images look for it. Times are SOURCE_DATE_EPOCH, else 0.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path("/rootfs")
SERVER = Path("/opt/tokenserver")

_STANDARD_LIBRARY_WITHOUT = (
    *("__pycache__", "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests"),
    *("tkinter", "turtledemo", "venv", "_tkinter.*.so", "_test*.so", "_ctypes_test*.so", "xx*.so"),
)
_PROGRAMS = ("python*", "tokenserver", "docker-credential-tokenserver")
"""What stays of the environment's programs; its packages bring others, such as `flask` and `alembic`."""

_FILES = (
    *("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/os-release", "/etc/debian_version"),
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/openssl.cnf", "/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs"),
    "/usr/lib/ssl/openssl.cnf",
)
"""Copied where the base has them. A link to a folder brings the link alone."""

_ACCOUNTS = {
    "passwd": (
        "root:x:0:0:root:/:/nonexistent\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/nonexistent\n"
        "tokenserver:x:10001:10001::/etc/tokenserver:/nonexistent\n"
    ),
    "group": "root:x:0:\nnogroup:x:65534:\ntokenserver:x:10001:\n",
}

Stanza = tuple[str, str]
"""A package's name and its paragraph in dpkg's status file."""


def main() -> None:
    """Fill the root, which may hold folders already."""
    image = ImageRoot(Path("/"), ROOT)
    image.add_folders(("lib", "lib64"))
    image.add_python(Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}")
    image.add_server(SERVER)
    for library in needed_libraries(_loader(), image.compiled_files()):
        image.add(Path(library))
    for name in _FILES:
        if os.path.lexists(name):
            image.add(Path(name))
    image.add_accounts()
    image.add_package_records()
    for folder in ("dev", "proc", "run", "sys"):
        (ROOT / folder).mkdir(exist_ok=True)
    byte_compile(ROOT)
    set_times(ROOT, int(os.environ.get("SOURCE_DATE_EPOCH") or 0))


@dataclass
class ImageRoot:
    """Copies files of `base` to the same place in `root`, with modes that no umask changes."""

    base: Path
    root: Path
    copied: list[Path] = field(default_factory=list)
    """What came from the base, as paths there, with no link in their folders."""

    def add(self, path: Path) -> None:
        """Copy a file to where its folder really is; a link is copied with the file that it leads to."""
        path = path.parent.resolve() / path.name
        target = self.root / path.relative_to(self.base)
        if os.path.lexists(target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        self.copied.append(path)
        if path.is_symlink():
            target.symlink_to(path.readlink())
            if path.is_file():
                self.add(path.parent / path.readlink())
        else:
            copy_file(path, target)

    def add_folders(self, names: Iterable[str]) -> None:
        """The links from `/lib` to `/usr/lib` and so on, by which programs name their loader."""
        for name in names:
            if (self.base / name).is_symlink():
                (self.root / name).symlink_to((self.base / name).readlink())

    def add_python(self, prefix: Path, version: str) -> None:
        """The interpreter and its standard library, without what tests, installs and draws windows."""
        programs = self.root / (prefix / "bin").relative_to(self.base)
        programs.mkdir(parents=True, exist_ok=True)
        copy_file(prefix / "bin" / version, programs / version)
        for link in ("python3", "python"):
            (programs / link).symlink_to(version)
        self._tree(prefix / "lib" / version, _STANDARD_LIBRARY_WITHOUT)

    def add_server(self, environment: Path) -> None:
        """The virtual environment; of its programs only our own, and nothing that a shell would read."""
        for name in ("lib", "pyvenv.cfg"):
            source = environment / name
            if source.is_dir():
                self._tree(source, ("__pycache__",))
            else:
                copy_file(source, self._place(source))
        for pattern in _PROGRAMS:
            for program in sorted((environment / "bin").glob(pattern)):
                copy_file(program, self._place(program))

    def add_accounts(self) -> None:
        """The names of the few users, none of whom has a shell."""
        for name, text in _ACCOUNTS.items():
            target = self.root / "etc" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            target.chmod(0o644)

    def add_package_records(self) -> None:
        """For each Debian package of which a file was copied: its paragraph of dpkg's status, and its licence."""
        dpkg = self.base / "var/lib/dpkg"
        if not (dpkg / "status").is_file():
            return
        lists = {path.stem.partition(":")[0]: path.read_text("utf-8") for path in (dpkg / "info").glob("*.list")}
        names = {f"/{path.relative_to(self.base)}" for path in self.copied}
        records = self.root / "var/lib/dpkg/status.d"
        records.mkdir(parents=True)
        for name, stanza in owning(names, lists, (dpkg / "status").read_text("utf-8")):
            (records / name).write_text(stanza, "utf-8")
            (records / name).chmod(0o644)
            licence = self.base / "usr/share/doc" / name / "copyright"
            if licence.is_file():
                self.add(licence)

    def compiled_files(self) -> Iterator[Path]:
        """The programs and libraries that were copied, as the base has them."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield self.base / path.relative_to(self.root)

    def _place(self, source: Path) -> Path:
        target = self.root / source.relative_to(self.base)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _tree(self, source: Path, without: Iterable[str]) -> None:
        target = self._place(source)
        shutil.copytree(
            *(source, target), symlinks=True, ignore=shutil.ignore_patterns(*without), copy_function=copy_file
        )
        for folder in (target, *(path for path in target.rglob("*") if path.is_dir() and not path.is_symlink())):
            folder.chmod(0o755)


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy content or a link; executable for everybody if it is for its owner, and writable for nobody else."""
    shutil.copyfile(source, target, follow_symlinks=False)
    if not Path(target).is_symlink():
        Path(target).chmod(0o755 if Path(source).stat().st_mode & 0o100 else 0o644)


def _loader() -> Path:
    """The program that loads shared libraries; only that of glibc lists them."""
    found = sorted([*Path("/lib64").glob("ld-linux*.so.*"), *Path("/lib").glob("ld-linux*.so.*")])
    if not found:
        raise SystemExit("image_root: this base has no loader of glibc; use a base of Debian, such as python:3.13-slim")
    return found[0]


def needed_libraries(loader: Path, files: Iterable[Path]) -> list[str]:
    """The libraries that these programs load, and the loader itself.

    Raises:
        SystemExit: one of them is not in the base.
    """
    found = {str(loader)}
    for file in files:
        command = [str(loader), "--list", str(file)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - ld.so
        found |= loaded(file, listed)
    return sorted(found)


def loaded(file: Path, listed: str) -> set[str]:
    """The paths in what the loader lists for a file.

    Raises:
        SystemExit: a library is not found.
    """
    if missing := re.findall(r"^\s*(\S+) => not found$", listed, re.MULTILINE):
        raise SystemExit(f"image_root: {file} needs {', '.join(missing)}, which the base does not have")
    return set(re.findall(r" => (/\S+) \(0x[0-9a-f]+\)$", listed, re.MULTILINE))


def owning(files: set[str], lists: Mapping[str, str], status: str) -> list[Stanza]:
    """The packages that own at least one of these files, sorted. Lists name /lib or /usr/lib for the same folder."""
    names = files | {file.removeprefix("/usr") for file in files if file.startswith("/usr/lib")}
    names |= {f"/usr{file}" for file in files if file.startswith("/lib")}
    stanzas = {}
    for stanza in status.strip().split("\n\n"):
        name = re.match(r"Package: (\S+)$", stanza, re.MULTILINE)
        if name is not None:
            stanzas[name[1]] = f"{stanza}\n"
    owners = {package for package, text in lists.items() if not names.isdisjoint(text.splitlines())}
    return [(name, stanzas[name]) for name in sorted(owners & stanzas.keys())]


def byte_compile(root: Path) -> None:
    """Compile every module, since nothing can be written later. The code is valid whatever the time of its file."""
    mode = PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(root, maxlevels=40, quiet=1, stripdir=root, prependdir="/", invalidation_mode=mode):
        raise SystemExit("image_root: a module does not compile")
    for path in root.rglob("__pycache__"):
        path.chmod(0o755)
        for file in path.iterdir():
            file.chmod(0o644)


def set_times(root: Path, seconds: int) -> None:
    """Give every file and folder the same time, so that a second build makes the same layer."""
    for path in (*root.rglob("*"), root):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


if __name__ == "__main__":
    main()
