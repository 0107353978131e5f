"""Workers that count failed logins together, and a clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from ipaddress import ip_address

from tokenserver.authn.protection.failure_counters import Limit, Limits, growing, shared
from tokenserver.authn.protection.login_cache import LoginKey
from tokenserver.authn.protection.throttle import REPEAT_SECONDS, Counted, Throttle
from tokenserver.authn.protection.worker_counters import WorkersTogether
from tokenserver.credentials import Password, Secret
from tokenserver.errors import InvalidCredentials, Throttled

X, Y, Z = "192.0.2.1", "198.51.100.7", "203.0.113.9"


LIMITS = Limits(growing(5, 300), (Limit(20, 300),), (Limit(100, 300),))


NUMBERS = itertools.count()


@dataclass
class Worker:
    """One worker's throttle; alone it would allow its part, as one of eight."""

    world: World
    checked: int = 0

    def __post_init__(self) -> None:
        part = Limits(*(shared(limit, 8) for limit in (LIMITS.user, LIMITS.address, LIMITS.total)))
        self.throttle = Throttle(
            part,
            monotonic=lambda: self.world.now,
            repeats_count=self.world.repeats_count,
            together=self.world.counters,
        )

    def attempt(self, user: str = "ann", password: str | None = None, *, right: bool = False, address: str = X) -> str:
        """The outcome of one login as the server performs it."""
        login = Password(user, Secret(password or f"p-{next(NUMBERS)}"))
        key, tag = LoginKey(id(self).to_bytes(8, "big"))(login), LoginKey(b"throttle")(login)
        try:
            self.throttle.repeated(key)
            with self.throttle.attempt(user, ip_address(address), key, tag):
                self.checked += 1
                if not right:
                    raise InvalidCredentials("wrong password")  # noqa: TRY301 - as a source does
        except Throttled as error:
            return f"wait {error.retry_after}"
        except InvalidCredentials:
            return "wrong"
        return "ok"


@dataclass
class World:
    """The common counters and a clock."""

    repeats_count: bool = True
    now: float = 1000.0
    counters: WorkersTogether = field(init=False)

    def __post_init__(self) -> None:
        repeat = REPEAT_SECONDS if self.repeats_count else 7200.0
        self.counters = WorkersTogether(LIMITS, repeat=repeat, monotonic=lambda: self.now)

    def workers(self) -> tuple[Worker, Worker]:
        """Two of them."""
        return Worker(self), Worker(self)


def counted_as(name: str, user: int = 1) -> Counted:
    """The counters of one login of this user."""
    return Counted(name, X, user, 1, 1, b"ab")
