"""The layout of a key folder, and checks of it that read no key.

token-ca.pem        the CA that registries trust   token-ca.key        needed only to issue signing keys
signing/ID.pem      a signing certificate          signing/ID.key      its private key
ring.json           the state of each key; written last, so a folder without it is not in use
.lock               held while the ring is changed
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tokenserver.documents.permissions import folder_problem
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word

INIT = "tokenserver keys init"
IMPORT = "tokenserver keys import FILE"

_RETRY_SECONDS = 0.02

MAX_KEY_FILES = 10_000
"""Maximum number of key files that are watched. A ring has three or four keys with two files each."""


class KeysBusy(LoadError):
    """Another process is changing the keys."""


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The paths of the files in a key folder."""

    path: Path

    @property
    def ca_certificate(self) -> Path:
        """The token CA's certificate; public."""
        return self.path / "token-ca.pem"

    @property
    def ca_key(self) -> Path:
        """The token CA's private key; a server that only signs tokens does not need it."""
        return self.path / "token-ca.key"

    @property
    def signing(self) -> Path:
        """The folder of signing keys and their certificates."""
        return self.path / "signing"

    @property
    def ring(self) -> Path:
        """The states of the signing keys."""
        return self.path / "ring.json"

    @property
    def lock(self) -> Path:
        """The file that is locked while the ring is changed."""
        return self.path / ".lock"

    def certificate(self, key_id: str) -> Path:
        """The certificate of a signing key; public."""
        return self.signing / f"{key_id}.pem"

    def private_key(self, key_id: str) -> Path:
        """The private key of a signing key."""
        return self.signing / f"{key_id}.key"

    def require_safe(self) -> None:
        """Check that no other user could replace a key.

        Raises:
            LoadError: the folder does not exist, or others can change it or its folder of signing keys.
        """
        if is_absent(self.path):
            raise LoadError([Fault(str(self.path), 0, "", f"does not exist; create the keys with: {INIT}")])
        for folder in (self.path, self.signing):
            problem = None if is_absent(folder) else folder_problem(folder, private=True)
            if problem is not None:
                raise LoadError([Fault(str(folder), 0, "", problem)])

    def why_no_keys(self) -> str | None:
        """Why there are no keys to load, with the fix; None if there are some."""
        if not is_absent(self.ring):
            return None
        if not self.leftovers():
            return f"does not exist, there are no keys here; create them with: {INIT}"
        if self.has_only_ca() and is_absent(self.ca_key):
            return f"does not exist, there is no signing key yet; import one with: {IMPORT}"
        return f"does not exist, but other parts of the keys do; {self.recovery()}"

    def has_only_ca(self) -> bool:
        """Whether the folder has the token CA's certificate and never had a signing key."""
        has_keys = any(self.signing.glob("*.key"))
        return is_absent(self.ring) and not is_absent(self.ca_certificate) and not has_keys

    def unreferenced(self, known: Collection[str]) -> list[Path]:
        """Files of signing keys with other ids than `known`, left by an interrupted change."""
        return sorted(path for path in self.signing.glob("[!.]*") if path.stem not in known)

    def leftovers(self) -> list[Path]:
        """Files that are present but have no meaning without `ring.json`."""
        parts = [path for path in (self.ca_key, self.ca_certificate, self.signing) if not is_absent(path)]
        unfinished = [path for part in (self.ca_key, self.ring) for path in self.path.glob(f".{part.stem}.*")]
        return [*parts, *sorted(unfinished)]

    def read_at_load(self) -> list[Path]:
        """The files that loading reads, and those that the next ring may name.

        Without the lock, and without hidden files, which are still being written.
        """
        named = (path for kind in ("pem", "key") for path in self.signing.glob(f"[!.]*.{kind}"))
        return [self.ring, self.ca_certificate, self.ca_key, *islice(named, MAX_KEY_FILES)]

    def recovery(self) -> str:
        """How to recover from leftovers. Never done automatically: they may be the only remains of keys in use."""
        remains = " ".join(shell_word(path) for path in self.leftovers())
        aside = shell_word(self.path / "interrupted")
        return (
            f"if these keys were in use, restore {self.ring.name} from a backup; if creating them was interrupted,"
            f" move what is left away and create new ones: mkdir -p -m 700 {aside} && mv {remains} {aside} && {INIT}"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Serialise the creation of keys across processes; the lock is on the folder itself, so it leaves no file."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Some network file systems cannot lock folders. There, the process that creates the folder of signing
            # keys wins, and the other one fails instead of waiting.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def changing(self, *, patience: float) -> Iterator[None]:
        """Serialise changes of the ring across processes and machines. `patience` is in seconds.

        The lock is on a file, since network file systems only lock files open for writing. It ends with the process.

        Raises:
            KeysBusy: another process held the lock for longer than `patience`.
            LoadError: this file system has no locks, so two replicas could undo each other's change.
            OSError: the folder cannot be written.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.lock, flags, 0o600)
        try:
            self._take(descriptor, patience)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    message = "another process is changing the keys; try again"
                    raise KeysBusy([Fault(str(self.path), 0, "", message)]) from None
                time.sleep(_RETRY_SECONDS)
            except OSError as error:
                message = f"cannot be locked ({error.strerror}); change keys on a file system that has locks"
                raise LoadError([Fault(str(self.path), 0, "", message)]) from error
            else:
                return


def is_absent(path: Path) -> bool:
    """Whether nothing exists at `path`, not even a link; a path that cannot be examined is not absent."""
    try:
        path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
