"""What processes share about logins, as the settings name it: the counters of failed ones, and password checks."""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from tokenserver.authn.checks import SharedChecks
from tokenserver.authn.failures import forgotten_after
from tokenserver.authn.throttle import REPEAT_SECONDS, Counters, Together
from tokenserver.authn.workers import TooManyToShare, WorkersTogether
from tokenserver.config.plan import limits_for
from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_text

logger = logging.getLogger("tokenserver.counters")


class Shared(NamedTuple):
    """What the workers of one server share about logins; each is None where every worker has its own."""

    counters: Together | None = None
    checks: SharedChecks | None = None


ALONE = Shared()


def workers_share(settings: Settings, *, workers: int) -> Shared:
    """What so many workers of this server share; they must be forked after this."""
    return Shared(workers_counters(settings, workers=workers), workers_checks(settings, workers=workers))


def workers_counters(settings: Settings, *, workers: int) -> WorkersTogether | None:
    """The counters of all workers of this server. None where each counts by itself: a single one does, and where limits
    are so high that each may as well allow its part of them.
    """
    if workers < 2 or not settings.throttle.enabled:
        return None
    limits = limits_for(settings.throttle, workers=1)
    try:
        return WorkersTogether(limits, repeat=_repeat(settings), monotonic=time.monotonic)
    except TooManyToShare:
        return None
    except OSError as error:
        logger.warning("throttle: workers cannot share memory (%s); each allows its part of the limits", error)
        return None


def workers_checks(settings: Settings, *, workers: int) -> SharedChecks | None:
    """The password checks of all workers of this server. None where each hashes by itself: a single one does, and where
    no login may be remembered.
    """
    files = [source.htpasswd for source in settings.authentication if source.htpasswd is not None]
    if workers < 2 or not any(file.cache for file in files):
        return None
    try:
        return SharedChecks(monotonic=time.monotonic)
    except OSError as error:
        logger.warning("logins: workers cannot share memory (%s); each hashes what it is asked for", error)
        return None


def shared_counters(settings: Settings, *, workers: int, beside: Together | None = None) -> Together | None:
    """The counters in Redis, with those of this server's workers `beside` for when it does not answer.

    None where neither is there. Redis need not answer yet.

    Raises:
        LoadError: the file of its password is missing, unsafe or empty, or the libraries for it are not installed.
    """
    throttle = settings.throttle
    if not throttle.enabled:
        return None
    if throttle.redis is None:
        return beside
    file = throttle.redis_password_file
    password = None if file is None else Secret(read_text(file, private=True).rstrip("\r\n"))
    if password is not None and not password.reveal():
        raise LoadError([Fault(str(file), 0, "", "must hold the password of redis; it is empty")])
    try:
        from tokenserver.authn.replicas import SharedFailures  # noqa: PLC0415 - an extra that most do without
    except ImportError as error:
        problem = "needs libraries that are not installed: pip install 'tokenserver[redis]'"
        raise LoadError([Fault("throttle", 0, "redis", problem)]) from error
    limits = limits_for(throttle, workers=1)
    redis = SharedFailures(
        throttle.redis, password, limits, repeat=_repeat(settings), workers=workers, monotonic=time.monotonic
    )
    return redis if beside is None else Counters(redis, beside)


def _repeat(settings: Settings) -> float:
    """For how many seconds a login that was refused is no further try. A directory counts each one that it hears of."""
    if any(source.ldap is not None for source in settings.authentication):
        return REPEAT_SECONDS
    return forgotten_after(limits_for(settings.throttle, workers=1))
