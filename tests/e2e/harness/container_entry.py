"""The inside of a container, for `harness.containers`: sets up its root as the JSON file says, and becomes its program.

Run as root in mount and PID namespaces of its own: `container_entry.py SPEC.json`. What an engine does is done in its
order: file systems, limits, capabilities, user, program.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_CMP_MASKED_EQ = 0x7FFF0000, 0x00050000, 7
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, LAST_CAP = 24, 38, 40


def mount(*arguments: str | Path) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_root(spec: dict[str, Any]) -> Path:
    """The root: the image under a layer in memory, with /proc, /dev, the volumes, and read-only if asked."""
    scratch = Path(spec["scratch"])
    mount("-t", "tmpfs", "tmpfs", scratch)
    for name in ("upper", "work", "root"):
        (scratch / name).mkdir(mode=0o755)
    root = scratch / "root"
    layers = f"lowerdir={spec['image']},upperdir={scratch}/upper,workdir={scratch}/work"
    mount("-t", "overlay", "overlay", "-o", layers, root)
    for path, content in spec["files"].items():
        inside(root, path).write_text(content)
        inside(root, path).chmod(0o755)
    for path, source in spec["programs"].items():
        inside(root, path).touch()
        mount("--bind", source, root / path.lstrip("/"))
    for path in spec.get("private", ()):
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / path.lstrip("/"))
    for folder in spec["visible"]:
        show(root, folder)
    (root / "proc").mkdir(exist_ok=True)
    (root / "dev").mkdir(exist_ok=True)
    mount("-t", "proc", "-o", spec.get("proc", "rw"), "proc", root / "proc")
    make_devices(root / "dev", spec.get("devices"))
    for path, (source, mode) in spec["volumes"].items():
        target = root / path.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        mount("--bind", source, target)
        if mode == "ro":
            mount("-o", "remount,bind,ro", target)
    if spec["read_only"]:
        mount("-o", "remount,bind,ro", root)
    return root


def make_devices(dev: Path, names: list[str] | None) -> None:
    """All devices of this machine, or those that are named; `shm` is the folder of shared memory."""
    if names is None:
        mount("--rbind", "/dev", dev)
        return
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    for name in names:
        if name == "shm":
            (dev / name).mkdir()
        else:
            (dev / name).touch()
        mount("--bind", f"/dev/{name}", dev / name)


def inside(root: Path, path: str) -> Path:
    """A path in the root; its folders are made."""
    found = root / path.lstrip("/")
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


def show(root: Path, folder: str) -> None:
    """Show a folder of this machine in the root, read-only, to every user."""
    target = root / folder.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    for parent in list(target.relative_to(root).parents)[:-1]:
        (root / parent).chmod((root / parent).stat().st_mode | 0o055)
    mount("--bind", folder, target)
    mount("-o", "remount,bind,ro", target)


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def load_filters(filters: list[dict[str, Any]]) -> None:
    """Load system call filters, of which the strictest wins.

    They are loaded in order. Each has a default and rules: an action (0: allow; else the error), a system call, and
    comparisons of arguments as (argument, mask, value).
    """
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison)),
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)

    def action(error: int) -> int:
        return SCMP_ACT_ERRNO | error if error else SCMP_ACT_ALLOW

    for one in filters:
        context = library.seccomp_init(action(one["default"]))
        for error, name, comparisons in one["rules"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number < 0:  # of another architecture
                continue
            array = (Comparison * len(comparisons))(
                *(Comparison(argument, SCMP_CMP_MASKED_EQ, mask, value) for argument, mask, value in comparisons)
            )
            added = library.seccomp_rule_add_array(context, action(error), number, len(comparisons), array)
            if added:
                raise OSError(-added, f"seccomp_rule_add {name}")
        failed = library.seccomp_load(context)
        if failed:
            raise OSError(-failed, "seccomp_load")


def main() -> None:
    """Become the program."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    root = make_root(spec)
    libc = ctypes.CDLL(None, use_errno=True)
    os.chroot(root)
    os.chdir(spec["folder"])
    if spec["files_limit"]:
        # An engine may raise the limit; here, this machine's own is the most that there is.
        limit = min(spec["files_limit"], resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if spec["drops_capabilities"]:
        for number in range(LAST_CAP + 1):
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    user, group = spec["user"]
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if spec["no_new_privileges"]:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if "filters" in spec:
        load_filters(spec["filters"])
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606 - there is no shell in between


if __name__ == "__main__":
    main()
