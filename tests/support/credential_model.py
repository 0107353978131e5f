"""A model of stored credentials and their owners: what a use at a moment must do, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.credential import LAG_SECONDS

OWNERS = ("ann", "ben")
OK, LOCKED, DISABLED, GONE = "ok", "locked", "disabled", "gone"


@dataclass(frozen=True)
class Account:
    """A person in the user source."""

    state: str = OK
    proof: bytes = b"p0"


@dataclass(frozen=True)
class Life:
    """What the model knows of a credential.

    A use that comes after the idle time, and succeeds all the same since it might be in time, is known to all workers
    at `known_at`; until then another one may refuse the next use.
    """

    form: AccessKeyForm
    owner: str
    proof: bytes | None
    ends: int
    idle: int | None
    last: float
    ended: bool = False
    replaces: str | None = None
    known_at: float = 0.0

    def used(self, now: float) -> Life:
        """The same after a use that has succeeded at this moment."""
        is_late = self.idle is not None and now >= self.last + self.idle
        return replace(self, last=max(self.last, now), known_at=now + LAG_SECONDS if is_late else self.known_at)

    def surely_passes_gate(self, now: float) -> bool:
        """Whether it can be used at this moment at every worker, whoever owns it."""
        return self.passes_gate(now, 0) and now >= self.known_at

    def passes_gate(self, now: float, lag: float) -> bool:
        """Whether it may be used at this moment, whoever owns it; `lag` is added to the end of an idle one."""
        is_idle = self.idle is not None and now >= self.last + self.idle + lag
        return not self.ended and now < self.ends and not is_idle

    def is_over(self, account: Account) -> bool:
        """Whether the account ends it for good at its next use."""
        has_left = account.state in (DISABLED, GONE)
        return self.form is AccessKeyForm.REFRESH and (
            has_left or (account.state == OK and account.proof != self.proof)
        )

    def has_owner(self, account: Account) -> bool:
        """Whether the owner could log in, with the same password if that matters."""
        return account.state == OK and self.proof in (None, account.proof)


@dataclass(frozen=True)
class Model:
    """Everything at one moment."""

    lives: dict[str, Life] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=lambda: dict.fromkeys(OWNERS, Account()))

    def verdict(self, identifier: str, now: float, account: Account) -> tuple[bool, bool]:
        """Whether a use must succeed whose owner has this account, and whether it may."""
        life = self.lives.get(identifier)
        if life is None or not life.has_owner(account):
            return False, False
        return life.surely_passes_gate(now), life.passes_gate(now, LAG_SECONDS)
