"""What processes share: counters of failed logins, password checks under way, and news about the configuration."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenserver.authn.protection.combined_counters import Counters
from tokenserver.authn.protection.failure_counters import forgotten_after
from tokenserver.authn.protection.shared_checks import SharedChecks
from tokenserver.authn.protection.throttle import REPEAT_SECONDS, Together
from tokenserver.authn.protection.worker_counters import TooManyToShare, WorkersTogether
from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.changes.journal import ChangeJournal
from tokenserver.server.log_lines import FirstInServer
from tokenserver.server.login_plan import limits_for
from tokenserver.server.notifications.written_reports import WrittenReports

logger = logging.getLogger("tokenserver.counters")

MIN_SECRET = 32
"""The minimum length of the secret shared by all replicas: that of `openssl rand -hex 16`."""

UNSHARED = (
    "throttle.redis has no password, and there is no throttle.secret_file: a wrong login that reaches two servers"
    " counts twice, because they share no secret to recognise it by; give all of them the same secret_file"
)

_OWN_SECRET = secrets.token_bytes(32)
"""The secret of this server if none is configured. Generated in the master process and inherited by workers."""


class SharedState(NamedTuple):
    """What the workers of one server share; None for state that each worker keeps for itself.

    The master process posts on `bulletin` how the configuration file compares with what is in force, and on `orders`
    the settings that are to be in force. `first_line` is for log lines that all workers would write, `peer_keys` for
    what they ask a shadow peer, `journal` for changes that all of them would report, and `written_reports` for reports
    that registries send again.
    """

    counters: Together | None = None
    checks: SharedChecks | None = None
    bulletin: Bulletin | None = None
    first_line: FirstInServer | None = None
    orders: Bulletin | None = None
    peer_keys: SharedKeys | None = None
    journal: ChangeJournal | None = None
    written_reports: WrittenReports | None = None


NOTHING_SHARED = SharedState()


def workers_share(settings: Settings, *, workers: int) -> SharedState:
    """The state shared by this number of workers, which must be forked after this call."""
    counters, checks = workers_counters(settings, workers=workers), workers_checks(settings, workers=workers)
    try:
        first_line = FirstInServer(monotonic=time.monotonic)
        journal = ChangeJournal(shared=True)
        written = WrittenReports(shared=True)
        return SharedState(counters, checks, Bulletin(), first_line, Bulletin(), SharedKeys(), journal, written)
    except OSError as error:
        logger.warning("configuration: processes cannot share memory (%s); a change of it shows only in the log", error)
        return SharedState(counters, checks)


def workers_counters(settings: Settings, *, workers: int) -> WorkersTogether | None:
    """The counters shared by all workers. None if each worker counts by itself: if there is only one, or if the limits
    are so high that it is enough for each worker to allow its part of them.
    """
    if workers < 2 or not settings.throttle.enabled:
        return None
    limits = limits_for(settings.throttle, workers=1)
    try:
        return WorkersTogether(limits, repeat=repeat_seconds(settings), monotonic=time.monotonic)
    except TooManyToShare:
        return None
    except OSError as error:
        logger.warning("throttle: workers cannot share memory (%s); each allows its part of the limits", error)
        return None


def workers_checks(settings: Settings, *, workers: int) -> SharedChecks | None:
    """The password checks shared by all workers. None if each worker hashes by itself: if there is only one, or if no
    login may be cached.
    """
    files = [source.htpasswd for source in settings.authentication if source.htpasswd is not None]
    if workers < 2 or not any(file.cache for file in files):
        return None
    try:
        return SharedChecks(monotonic=time.monotonic)
    except OSError as error:
        logger.warning("logins: workers cannot share memory (%s); each hashes by itself", error)
        return None


def shared_counters(settings: Settings, *, workers: int, fallback: Together | None = None) -> Together | None:
    """The counters in Redis, with those of this server's workers as a `fallback`.

    None if there are neither. Redis need not answer yet.

    Raises:
        LoadError: a file of its secrets is missing, unsafe or too short, the libraries for it are not installed, or
            they do not accept the URL.
    """
    throttle = settings.throttle
    if not throttle.enabled:
        return None
    if throttle.redis is None:
        return fallback
    faults: list[Fault] = []
    password = _secret_in(throttle.redis_password_file, "must contain the password of redis, but is empty", faults)
    needed = f"must contain a secret of at least {MIN_SECRET} characters; make one with: openssl rand -base64 32"
    secret = _secret_in(throttle.secret_file, needed, faults, least=MIN_SECRET)
    redis: Together | None = None
    try:
        from tokenserver.authn.protection.redis_counters import SharedFailures  # noqa: PLC0415 - an optional extra

        redis = SharedFailures(
            throttle.redis,
            password,
            limits_for(throttle, workers=1),
            key=_key(secret or password),
            repeat=repeat_seconds(settings),
            workers=workers,
            monotonic=time.monotonic,
        )
    except ImportError:
        problem = "needs libraries that are not installed: pip install 'limits[redis]'"
        faults.append(Fault("throttle", 0, "redis", problem))
    except ValueError as error:
        faults.append(Fault("throttle", 0, "redis", f"has options that the Redis client cannot use: {error}"))
    if faults or redis is None:
        raise LoadError(faults)
    return redis if fallback is None else Counters(redis, fallback)


def sharing_warnings(settings: Settings) -> list[str]:
    """A warning if replicas share counters in Redis without a common secret."""
    throttle = settings.throttle
    has_secret = throttle.secret_file is not None or throttle.redis_password_file is not None
    return [UNSHARED] if throttle.enabled and throttle.redis is not None and not has_secret else []


def _secret_in(file: Path | None, problem: str, faults: list[Fault], *, least: int = 1) -> Secret | None:
    """The content of a private file, without its line end; None if no file is named, or after noting a fault."""
    if file is None:
        return None
    try:
        text = read_text(file, private=True).rstrip("\r\n")
    except LoadError as error:
        faults.extend(error.faults)
        return None
    if len(text) < least:
        faults.append(Fault(str(file), 0, "", problem))
        return None
    return Secret(text)


def _key(secret: Secret | None) -> bytes:
    """The key with which processes recognise a login that another one has rejected (HKDF, RFC 5869).

    It is derived from a secret that all replicas have and that does not rotate by itself, or else is generated by this
    server. Replicas with different secrets count the same login once each.
    """
    if secret is None:
        return _OWN_SECRET
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"tokenserver throttle: the same login again")
    return derive.derive(secret.reveal().encode("utf-8"))


def repeat_seconds(settings: Settings) -> float:
    """Seconds for which repeating a rejected login does not count again. A directory counts every attempt it sees."""
    if any(source.remote is not None for source in settings.authentication):
        return REPEAT_SECONDS
    return forgotten_after(limits_for(settings.throttle, workers=1))
