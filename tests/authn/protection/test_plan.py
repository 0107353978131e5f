"""The plan of login protection: it has enough threads for whatever may wait."""

from __future__ import annotations

import pytest

from tokenserver.authn.equal_work import SLEEPERS
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.plan import FOLLOWERS, SPARE_THREADS, Plan


@pytest.mark.parametrize("hashers", [1, 2, 64])
@pytest.mark.parametrize("waiters", [0, 5])
@pytest.mark.parametrize("databases", [(), ("three",)])
def test_threads_are_never_all_waiting(hashers: int, waiters: int, databases: tuple[str, ...]) -> None:
    """However many logins hash, call, follow and wait, threads remain for requests that do none of it."""
    plan = Plan({}, ("one", "two"), None, hashers, waiters, databases)
    protection = Protection(plan, secret=b"s", monotonic=lambda: 0.0)
    held = FOLLOWERS + sum(room.workers + room.queue for room in (protection.hashing, *protection._calls.values()))
    held += SLEEPERS
    assert plan.threads - held - waiters == SPARE_THREADS


def test_a_database_locks_nobody() -> None:
    """Repeating one wrong password counts once, as for files; but it is sheltered like a directory."""
    plan = Plan({}, (), None, 1, databases=("people",))
    assert (plan.repeats_count, plan.remote) == (False, ("people",))
    assert Protection(plan, secret=b"s", monotonic=lambda: 0.0).breakers.keys() == {"people"}
