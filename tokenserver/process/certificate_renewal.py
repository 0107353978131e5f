"""Renewal of the server's TLS certificate: notices when the files of `server.tls` have become another pair that fits.

`serving` puts the new pair in force. While the files do not fit, for example because only one of them has been replaced
yet, the pair in force stays. What is wrong with them is reported by the watch of the configuration.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.documents.files import read_file, stamp_of
from tokenserver.documents.tls_files import PresentedCertificate, check_server_files, server_certificate_end
from tokenserver.errors import LoadError

logger = logging.getLogger("tokenserver")

LOOK_SECONDS = 0.5

RETRY_LOOKS = 60
"""After how many looks a pair that could not be put in force is tried again: the process may have been out of
descriptors."""


def _now() -> datetime:
    return datetime.now(UTC)


class CertificateRenewal:
    """The pair of files of one worker process, which has just read them, and what it presents of them.

    The first worker writes to the log. A certificate that has expired is not put in the place of one that has not.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        presented: PresentedCertificate,
        *,
        is_first: bool,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._presented = presented
        self._is_first = is_first
        self._now = now
        self._retry_in = 0
        self._known = self._seen = self._stamps()
        self._content = self._contents()
        with suppress(LoadError):  # they have changed since the server was started, and are looked at again
            presented.end = server_certificate_end(certificate)

    def watch(self, renew: Callable[[], bool], stop: threading.Event) -> None:
        """Call `renew` for each new pair until `stop` is set. Blocks."""
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look(renew)
            except Exception as error:  # without this thread, no certificate would be renewed any more
                logger.error("server.tls: the previous certificate stays in force: unexpected %s", type(error).__name__)  # noqa: TRY400 - only the type is safe to log

    def look(self, renew: Callable[[], bool]) -> None:
        """Call `renew` if the files are a pair that fits, other than the last one, and unchanged since the last look.

        It returns whether it has put the pair in force.
        """
        stamps = self._stamps()
        if stamps == self._known:
            self._retry_in -= 1
            if self._retry_in != 0:
                return
        elif stamps != self._seen:
            self._seen = stamps
            return
        self._retry_in = 0
        try:
            check_server_files(self._certificate, self._key)
            content, end = self._contents(), server_certificate_end(self._certificate)
        except LoadError:
            return
        finally:
            self._known = stamps
        if content == self._content:
            return
        present = self._presented.end
        if present is not None and end <= self._now() < present:
            if self._is_first:
                spelled = f"{end:%Y-%m-%d %H:%M} UTC"
                logger.error("server.tls: the previous certificate stays in force: the new one expired %s", spelled)
            return
        if renew():
            self._content, self._presented.end = content, end
            self._report(end)
        else:
            self._retry_in = RETRY_LOOKS

    def _report(self, end: datetime) -> None:
        if self._is_first:
            logger.info("server.tls: a new certificate is in force, which expires %s UTC", f"{end:%Y-%m-%d %H:%M}")

    def _stamps(self) -> tuple[object, object]:
        return stamp_of(str(self._certificate)), stamp_of(str(self._key))

    def _contents(self) -> bytes:
        """A digest of both files; empty if one cannot be read."""
        try:
            parts = [read_file(self._certificate), read_file(self._key, private=True)]
        except LoadError:
            return b""
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
