"""The secrets by which registries report to this server: read from their files, and again when a file changes."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.documents.files import Stamp, read_text, stamp_of
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word
from tokenserver.server.sources.directory_files import attempt

MIN_SECRET, MAX_SECRET = 32, 1024
"""Characters of a secret."""

MAX_SECRETS = 2
"""The current secret and the next one, or the previous one: both work while the registry is told the new one."""

LOOK_SECONDS = 1.0
"""How often a file is checked for changes, at most, while notifications arrive."""

logger = logging.getLogger("tokenserver.notifications")


class SecretFile:
    """The secrets in a file; `monotonic` gives seconds. A change that is faulty is logged, and not in force.

    Raises:
        LoadError: the file cannot be read, is unsafe, or holds no secret.
    """

    def __init__(self, file: Path, *, monotonic: Callable[[], float]) -> None:
        self._file = file
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp: Stamp = stamp_of(str(file))
        self._secrets = secrets_in(file)
        self._looked = monotonic()

    def accepts(self, given: str) -> bool:
        """Whether the text is one of the secrets, in constant time."""
        encoded = given.encode("utf-8", "surrogatepass")
        found = False
        for secret in self._current():
            found |= hmac.compare_digest(secret.reveal().encode("utf-8"), encoded)
        return found

    def _current(self) -> tuple[Secret, ...]:
        now = self._monotonic()
        if now - self._looked >= LOOK_SECONDS:
            with self._lock:
                self._looked = now
                stamp = stamp_of(str(self._file))
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._reload()
        return self._secrets

    def _reload(self) -> None:
        try:
            self._secrets = secrets_in(self._file)
        except LoadError as error:
            for fault in error.faults:
                logger.error("secrets of notifications: the previous ones stay in force: %s", fault)  # noqa: TRY400 - the fault says it all
        else:
            logger.info("secrets of notifications: %s is in force", self._file)


def secrets_in(file: Path) -> tuple[Secret, ...]:
    """The secrets in a file, one a line.

    Raises:
        LoadError: it cannot be read, is unsafe, or holds anything else.
    """
    lines = read_text(file, private=True, limit=MAX_SECRETS * (MAX_SECRET + 2)).splitlines()
    usable = all(MIN_SECRET <= len(line) <= MAX_SECRET and line.isascii() and line.isprintable() for line in lines)
    if not usable or " " in "".join(lines) or not 1 <= len(lines) <= MAX_SECRETS:
        problem = (
            f"holds no secret of notifications: it must have one or {MAX_SECRETS} lines, each of {MIN_SECRET} to"
            f" {MAX_SECRET} ASCII characters without blanks; fix: openssl rand -hex 32 > {shell_word(file)}"
        )
        raise LoadError([Fault(str(file), 0, "", problem)])
    return tuple(Secret(line) for line in lines)


@dataclass(frozen=True, slots=True)
class Reporter:
    """A registry that reports: its primary service name, its secrets, and what is recorded of its reports."""

    service: str
    secrets: SecretFile
    actions: frozenset[str]
    has_blobs: bool


def reporters(settings: Settings, *, monotonic: Callable[[], float]) -> dict[str, Reporter]:
    """The registries that report, by each of their service names.

    Raises:
        LoadError: every fault of every file of secrets.
    """
    found: dict[str, Reporter] = {}
    faults: list[Fault] = []
    for registry in settings.reporters:
        wanted = registry.notifications
        assert wanted is not None  # noqa: S101 - that is what makes it a reporter
        secrets = attempt(partial(SecretFile, wanted.secret_file, monotonic=monotonic), faults)
        if secrets is not None:
            reporter = Reporter(registry.service, secrets, frozenset(wanted.actions), wanted.blobs)
            found |= dict.fromkeys(registry.names, reporter)
    if faults:
        raise LoadError(faults)
    return found


def require_secrets(settings: Settings) -> None:
    """Check the files of secrets.

    Raises:
        LoadError: every fault of every file.
    """
    reporters(settings, monotonic=lambda: 0.0)
