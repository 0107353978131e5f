"""The counters of failed logins that replicas share, as the settings name them."""

from __future__ import annotations

import time

from tokenserver.authn.failures import forgotten_after
from tokenserver.authn.protection import Plan
from tokenserver.authn.throttle import REPEAT_SECONDS, Together
from tokenserver.config.plan import limits_for
from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_text


def shared_counters(settings: Settings, plan: Plan, *, workers: int) -> Together | None:
    """The counters in Redis, None where none is configured. It need not answer yet.

    Raises:
        LoadError: the file of its password is missing, unsafe or empty, or the libraries for it are not installed.
    """
    throttle = settings.throttle
    if throttle.redis is None or not throttle.enabled:
        return None
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
    repeat = REPEAT_SECONDS if plan.repeats_count else forgotten_after(limits)
    return SharedFailures(throttle.redis, password, limits, repeat=repeat, workers=workers, monotonic=time.monotonic)
