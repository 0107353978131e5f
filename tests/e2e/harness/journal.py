"""A real systemd-journald with files of its own, in a mount namespace, and units that write to it."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.processes import Daemon, Output, plain_environment, run
from harness.programs import need, need_root, refuse

PROGRAM = Path("/usr/lib/systemd/systemd-journald")
_STARTER = Path(__file__).with_name("journal_stream.py")
_MACHINE = Path("/etc/machine-id")

# Nothing of the kernel's: those are the machine's messages, and its audit would be switched on.
_OURS = "[Journal]\nReadKMsg=no\nAudit=no\n"


class Journal:
    """One journald."""

    def __init__(self, folder: Path, settings: str) -> None:
        need_root("journald")
        if not PROGRAM.exists() or not _MACHINE.exists():
            refuse("systemd-journald is not installed")
        self.folder = folder
        self.environment = plain_environment(folder)
        self.files = folder / "log" / "journal"
        self.files.mkdir(parents=True)
        shutil.copytree("/etc/systemd", folder / "etc", symlinks=True)
        drop_ins = folder / "etc" / "journald.conf.d"
        drop_ins.mkdir(exist_ok=True)
        (drop_ins / "ours.conf").write_text(_OURS)
        (drop_ins / "tokenserver.conf").write_text(settings)
        (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        places = {"log": "/var/log", "etc": "/etc/systemd", "machine-id": str(_MACHINE)}
        mounts = [f"mount --bind {shlex.quote(str(folder / name))} {place}" for name, place in places.items()]
        script = " && ".join(["mount -t tmpfs tmpfs /run", *mounts, f"exec {PROGRAM}"])
        command: list[str | Path] = [need("unshare"), "--mount", "--propagation", "private", "sh", "-c", script]
        self.daemon = Daemon("journald", command, environment=self.environment, folder=folder)

    def start(self) -> None:
        """Start it, and let it write to its files, as a machine does once they are mounted."""
        self.daemon.start(self._is_flushed)

    @property
    def enter(self) -> list[str]:
        """What stands before the command of a program beside it."""
        return [str(need("nsenter")), f"--mount=/proc/{self.daemon.pid}/ns/mnt"]

    def prefix(self, unit: str) -> list[str]:
        """What stands before the command of a unit that writes to it."""
        return [*self.enter, sys.executable, str(_STARTER), unit]

    def journalctl(self, *arguments: str) -> Output:
        """Run journalctl beside it, and see that it succeeds."""
        output = self._journalctl(*arguments)
        assert output.ok, str(output)
        return output

    def _journalctl(self, *arguments: str) -> Output:
        return run([*self.enter, "journalctl", *arguments], environment=self.environment, folder=self.folder)

    def _is_flushed(self) -> bool:
        # Its sockets have names before it listens at them, and that for commands is the last.
        name = Path(f"/proc/{self.daemon.pid}/root/run/systemd/journal/stdout")
        return name.exists() and self._journalctl("--flush").ok


@contextmanager
def journal(folder: Path, settings: str) -> Iterator[Journal]:
    """A running journald with a file of settings."""
    folder.mkdir()
    made = Journal(folder, settings)
    try:
        made.start()
        yield made
    finally:
        made.daemon.stop()
