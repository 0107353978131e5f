"""A base image made here, in place of `python:3.13-slim`: the interpreter, a shell, and what the build calls.

It is copied from this machine, since a test must not depend on a public registry. Python lies in /usr/local, as in the
official images, so that a root made here and one that was pulled look the same to a Containerfile.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.programs import refuse

_PROGRAMS = ("sh", "install", "cat", "env", "ls", "id", "touch", "sleep")
_FILES = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/nsswitch.conf", "/etc/os-release"),
    *("/etc/ssl/certs/ca-certificates.crt", "/usr/lib/ssl/cert.pem"),
)
_LIBRARIES = (
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
)
"""What compiled packages expect of every distribution; nothing copied here needs it."""

_LEFT_OUT = ("test", "tests", "site-packages", "dist-packages", "idlelib", "turtledemo", "tkinter", "__pycache__")


def make_root(root: Path) -> None:
    """Fill an empty folder with a root file system; skips the test where this Python cannot be copied."""
    base = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = base / "lib" / version
    if not (library / "ensurepip" / "_bundled").is_dir():
        refuse(f"{library} has no ensurepip, so a base image cannot be made from it")
    for name in ("etc", "tmp", "usr/bin", "usr/local/bin", "usr/local/lib", "proc", "dev", "run", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    ignore = shutil.ignore_patterns(*_LEFT_OUT, f"config-{sys.version_info.major}*", "*.a")
    shutil.copytree(library, root / "usr/local/lib" / version, ignore=ignore, symlinks=True)
    interpreter = root / "usr/local/bin" / version
    shutil.copy2(Path(sys._base_executable).resolve(), interpreter)  # type: ignore[attr-defined]  # undocumented
    for link in ("python3", "python"):
        (root / "usr/local/bin" / link).symlink_to(version)
    programs = [Path(found) for name in _PROGRAMS if (found := shutil.which(name)) is not None]
    for program in programs:
        shutil.copy2(program.resolve(), root / "usr/bin" / program.name)
    extensions = (root / "usr/local/lib" / version).rglob("*.so")
    for shared in _libraries([*programs, interpreter, *extensions]):
        # Python's own library may lie where no loader would look for it in another place.
        place = f"usr/lib/{shared.name}" if shared.is_relative_to(base) and base != Path("/usr") else str(shared)
        target = root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(shared.resolve(), target)
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in _LIBRARIES:
        found_at = re.search(rf"^\s*{re.escape(name)} .* => (\S+)$", known, re.MULTILINE)
        if found_at is not None:
            shutil.copy2(Path(found_at[1]).resolve(), root / "usr/lib" / name)
    for name in _FILES:
        if Path(name).is_file():
            (root / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(name).resolve(), root / name.lstrip("/"))
    if Path("/var/lib/dpkg/status").is_file():
        (root / "var/lib/dpkg/info").mkdir(parents=True)
        shutil.copy2("/var/lib/dpkg/status", root / "var/lib/dpkg/status")
        for listed in Path("/var/lib/dpkg/info").glob("*lib*.list"):
            shutil.copy2(listed, root / "var/lib/dpkg/info" / listed.name)
    subprocess.run(["chroot", root, "/usr/local/bin/python", "-m", "ensurepip"], check=True, capture_output=True)
    shutil.copy2(root / "usr/local/bin/pip3", root / "usr/local/bin/pip")


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries that these programs load, by the names that the loader asks for."""
    found: set[Path] = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found.update(Path(path) for path in re.findall(r"(/\S+) \(0x", listed))
    return found
