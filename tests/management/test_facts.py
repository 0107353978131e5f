"""States, limits and facts of stored credentials."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.management.facts import facts_of, is_live, registries_of, spell_limits, spelled, state_at, state_of
from tokenserver.patterns import parse_pattern
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import Listed, Use

NOW = datetime(2026, 11, 29, tzinfo=UTC)
DAY = 86400
AT = int(NOW.timestamp())
KEY = StoredCredential("a" * 12, AccessKeyForm.PERSONAL, "ann", Sort.USER, "staff", AT, "cli:root", AT + 90 * DAY)


def listed(use: Use | None = None, ended: int | None = None, **changes: object) -> Listed:
    """A credential as lists have it."""
    return Listed(replace(KEY, **changes), use, ended, None, None)  # type: ignore[arg-type]  # fields of many types


@pytest.mark.parametrize(
    ("before_the_end", "state"),
    [
        pytest.param(timedelta(0), "expired", id="end"),
        pytest.param(timedelta(seconds=1), "expires soon", id="last-second"),
        pytest.param(timedelta(days=14), "expires soon", id="two-weeks"),
        pytest.param(timedelta(days=14, seconds=1), "active", id="more-than-two-weeks"),
    ],
)
def test_states(before_the_end: timedelta, state: str) -> None:
    """What ends within two weeks is marked."""
    assert state_at(NOW, NOW - before_the_end) == state
    assert state_of(listed(ends=AT), NOW - before_the_end) == state


def test_an_unused_credential_expires() -> None:
    """After `idle` without a use, from when it was made or last used."""
    later = NOW + timedelta(days=40)
    assert state_of(listed(idle=30 * DAY), later) == "expired"
    used = Use(AT + 39 * DAY, "192.0.2.7", "192.0.2.1", 3)
    assert state_of(listed(used, idle=30 * DAY), later) == "active"
    assert is_live(listed(used, idle=30 * DAY), later)


def test_an_altered_row() -> None:
    """It is never accepted, so it is not live whatever else it says."""
    assert state_of(replace(listed(), is_genuine=False), NOW) == "altered"
    assert not is_live(replace(listed(), is_genuine=False), NOW)


def test_what_was_revoked() -> None:
    """Whatever its end says."""
    assert state_of(listed(ended=AT), NOW) == "revoked"
    assert not is_live(listed(ended=AT), NOW)


WEB = Bound((parse_pattern("web/**"), parse_pattern("api/*")), frozenset({"push", "pull"}))
EVERYWHERE = Bound((parse_pattern("**"),), frozenset({"pull"}))
WHOLE = (
    Bound((parse_pattern("**"),), frozenset({"pull", "push", "delete", "*"})),
    Bound((parse_pattern("catalog"),), frozenset({"*"}), "registry"),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"ceiling": Ceiling((WEB,))}, "pull, push on web/**, api/*", id="patterns"),
        pytest.param({"ceiling": Ceiling((EVERYWHERE,))}, "pull", id="actions"),
        pytest.param({"ceiling": Ceiling((EVERYWHERE, WEB))}, "pull; pull, push on web/**, api/*", id="two"),
        pytest.param({"ceiling": Ceiling(())}, "nothing", id="nothing"),
        pytest.param({"ceiling": Ceiling(WHOLE, frozenset({"b", "a"}))}, "at a, b", id="registries"),
        pytest.param(
            {"ceiling": Ceiling((EVERYWHERE,), frozenset({"a", "b"})), "services": frozenset({"b", "c"})},
            "pull at b",
            id="both limits of registries",
        ),
        pytest.param({"networks": (ip_network("10.0.0.0/8"),)}, "from 10.0.0.0/8", id="networks"),
    ],
)
def test_limits(changes: dict[str, Any], expected: str) -> None:
    """In a few words, as they are in a table."""
    assert spell_limits(listed(**changes)) == expected


def test_registries() -> None:
    """None is all of them, and no registry in common is none."""
    assert registries_of(listed()) is None
    found = registries_of(listed(services=frozenset({"a"}), ceiling=Ceiling((), frozenset({"b"}))))
    assert found == frozenset()


def test_facts() -> None:
    """All columns but those that are secret."""
    facts = facts_of(listed(Use(AT + 60, "192.0.2.7", "192.0.2.1", 3), proof=b"proof", claims=frozenset()), NOW)
    assert (facts["last_used"], facts["uses"]) == ("2026-11-29T00:01:00Z", 3)
    assert (facts["first_used_from"], facts["last_used_from"]) == ("192.0.2.1", "192.0.2.7")
    assert (facts["created"], facts["expires"]) == ("2026-11-29", spelled(AT + 90 * DAY))
    assert not {"proof", "digest", "seal", "secret"} & facts.keys()
