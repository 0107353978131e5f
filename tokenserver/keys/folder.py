"""The layout of the folder of keys, and what can be said about one without reading a key.

token-ca.pem        what registries trust          token-ca.key        needed only to make signing keys
signing/ID.pem      a signing certificate          signing/ID.key      its private key
ring.json           which key is in which state; written last, so a folder without it is not in use
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.files import folder_problem

MAKE = "tokenserver keys init"


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Where each file stands."""

    path: Path

    @property
    def ca_certificate(self) -> Path:
        """The token CA's certificate; public."""
        return self.path / "token-ca.pem"

    @property
    def ca_key(self) -> Path:
        """The token CA's private key; a server that only signs tokens does without it."""
        return self.path / "token-ca.key"

    @property
    def signing(self) -> Path:
        """The folder of signing keys and their certificates."""
        return self.path / "signing"

    @property
    def ring(self) -> Path:
        """The states of the signing keys."""
        return self.path / "ring.json"

    def certificate(self, key_id: str) -> Path:
        """The certificate of a signing key; public."""
        return self.signing / f"{key_id}.pem"

    def private_key(self, key_id: str) -> Path:
        """The private half of a signing key."""
        return self.signing / f"{key_id}.key"

    def require_safe(self) -> None:
        """Refuse a folder in which somebody else could replace a key.

        Raises:
            LoadError: the folder is not there, or others can change it or its folder of signing keys.
        """
        if is_absent(self.path):
            raise LoadError([Fault(str(self.path), 0, "", f"does not exist; make the keys with: {MAKE}")])
        for folder in (self.path, self.signing):
            problem = None if is_absent(folder) else folder_problem(folder)
            if problem is not None:
                raise LoadError([Fault(str(folder), 0, "", problem)])

    def why_no_keys(self) -> str | None:
        """Why there are no keys to load, with what mends it, or None where there are some."""
        if not is_absent(self.ring):
            return None
        if not self.leftovers():
            return f"does not exist, there are no keys here; make them with: {MAKE}"
        return f"does not exist, but other parts of the keys do; {self.mend()}"

    def leftovers(self) -> list[Path]:
        """What stands here although it does not count without `ring.json`."""
        parts = [path for path in (self.ca_key, self.ca_certificate, self.signing) if not is_absent(path)]
        unfinished = [path for part in (self.ca_key, self.ring) for path in self.path.glob(f".{part.stem}.*")]
        return [*parts, *sorted(unfinished)]

    def mend(self) -> str:
        """What to do about leftovers. Never done by itself: they may be all that is left of keys in use."""
        remains = " ".join(shlex.quote(str(path)) for path in self.leftovers())
        return (
            f"if these keys were in use, bring {self.ring.name} back from a backup; if making them was interrupted,"
            f" remove what is left and make them anew: rm -r {remains} && {MAKE}"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time make keys; the lock is on the folder itself, so that no file is left behind."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Some network file systems lock no folders. There, making the folder of signing keys decides who
            # wins, and the other process is refused instead of waiting.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def is_absent(path: Path) -> bool:
    """Whether nothing stands at `path`; what cannot be looked at is not absent."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
