"""A workload's token that comes again in the same header."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tokenserver.authn.token_uses import TokenUse
from tokenserver.credentials import Secret
from tokenserver.errors import InvalidCredentials
from tokenserver.identity import Identity, Kind

JOB = Identity("workload:ci:repo", Kind.WORKLOAD, "ci", claims=frozenset({("ref", "main")}))


@dataclass
class Jobs:
    """A `WorkloadAuthenticator` that declares all workloads or none, and a login cache of one entry."""

    is_declared: bool = True
    cached: Identity | None = JOB
    asked: list[Identity] = field(default_factory=list)

    def authenticate(self, _text: Secret, _verified: int | None = None, /) -> Identity:
        """No token is verified here."""
        raise AssertionError

    def require_declared(self, identity: Identity) -> None:
        """See `WorkloadAuthenticator.require_declared`."""
        self.asked.append(identity)
        if not self.is_declared:
            raise InvalidCredentials("is no declared workload")

    def use(self) -> TokenUse:
        """The use of the token in the cache."""
        return TokenUse(lambda: self.cached, self)


def test_what_is_asked_at_each_use() -> None:
    """The cache each time; the policies once for each identity (docs/design/threats.md#threat-262)."""
    jobs = Jobs()
    use = jobs.use()
    assert [use.again(None, 0.0) for _ in range(2)] == [JOB] * 2
    jobs.cached = replace(JOB, claims=frozenset({("ref", "other")}))
    assert [use.again(None, 0.0) for _ in range(2)] == [jobs.cached] * 2
    assert jobs.asked == [JOB, jobs.cached]
    jobs.cached = None
    assert use.again(None, 0.0) is None


def test_a_workload_that_is_not_declared() -> None:
    """Refused each time."""
    jobs = Jobs(is_declared=False)
    use = jobs.use()
    for _ in range(2):
        with pytest.raises(InvalidCredentials, match="wrong user name"):
            use.again(None, 0.0)


def test_an_identity_that_is_no_workload() -> None:
    """It is verified again, which says what is wrong with its source."""
    jobs = Jobs(cached=Identity("ann", Kind.PASSWORD, "ci"))
    assert jobs.use().again(None, 0.0) is None
    assert jobs.asked == []
