"""Wishes and the terms that they come to; what a command says of a wrong one is tested with the commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from stored_sites import StoredSite

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.management.refusals import InvalidWish
from tokenserver.management.wishes import (
    InvalidTerm,
    KeyWish,
    SecretLifetimes,
    ceiling_of,
    end_of,
    parse_reason,
    spell_duration,
    terms_of,
    wished_end,
)
from tokenserver.patterns import parse_pattern

NOW = datetime(2026, 11, 29, 12, 0, 1, tzinfo=UTC)
LIFETIMES = SecretLifetimes(timedelta(days=90), timedelta(days=180))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two registries, the first with an alias."""
    return load_settings(Path(StoredSite(tmp_path).config), {})


def test_terms(settings: Settings) -> None:
    """Each term once, in the types of a credential; the end is on a whole minute, and not earlier than wished."""
    wish = KeyWish(
        "laptop", ("pull", "pull"), ("web/**", "web/**"), ("old.example.com",), ("10.0.0.0/8",), lifetime=3600
    )
    terms = terms_of(wish, settings, LIFETIMES, NOW)
    assert (terms.name, terms.networks) == ("laptop", (ip_network("10.0.0.0/8"),))
    assert terms.ends == int(datetime(2026, 11, 29, 13, 1, tzinfo=UTC).timestamp())
    assert str(terms.ceiling) == "pull on web/**, at registry.example.com only"


def test_a_wish_without_limits(settings: Settings) -> None:
    """As usual, and narrowed by nothing."""
    terms = terms_of(KeyWish(), settings, LIFETIMES, NOW)
    assert (terms.ceiling, terms.networks) == (None, ())
    assert terms.ends == int((NOW + LIFETIMES.usual).timestamp()) + 59


def test_a_wish_about_the_end_alone() -> None:
    """The same end as with other terms; a fault names the member that is wrong."""
    assert wished_end(None, LIFETIMES, NOW) == int(end_of(None, LIFETIMES, NOW).timestamp())
    assert wished_end(3600, LIFETIMES, NOW) == int(datetime(2026, 11, 29, 13, 1, tzinfo=UTC).timestamp())
    with pytest.raises(InvalidWish) as refused:
        wished_end(1, LIFETIMES, NOW)
    assert [fault.field for fault in refused.value.faults] == ["lifetime"]


def test_all_faults_of_a_wish(settings: Settings) -> None:
    """By field and number; the first one is `field`."""
    wish = KeyWish("a\n", ("pull", "x"), ("**", "a/${user}"), ("registry",), ("10.0.0.1/8",), lifetime=1)
    with pytest.raises(InvalidWish) as refused:
        terms_of(wish, settings, LIFETIMES, NOW)
    fields = ["repositories[0]", "repositories[1]", "actions[1]", "services[0]", "networks[0]", "name", "lifetime"]
    assert [fault.field for fault in refused.value.faults] == fields
    assert refused.value.field == "repositories[0]"


def test_no_action_is_no_wish(settings: Settings) -> None:
    """A secret that can do nothing is a mistake."""
    with pytest.raises(InvalidWish, match=r"^actions: is empty; write some of pull, push, delete"):
        terms_of(KeyWish(actions=()), settings, LIFETIMES, NOW)


def test_very_many_terms(settings: Settings) -> None:
    """The rest is not read."""
    with pytest.raises(InvalidWish) as refused:
        terms_of(KeyWish(networks=("x",) * 5000), settings, LIFETIMES, NOW)
    assert len(refused.value.faults) == 101
    assert refused.value.faults[-1].message == "has more than 100 items"


@pytest.mark.parametrize("lifetime", [0, 3599, -1, 180 * 86400 + 1, 10**30])
def test_lifetimes(lifetime: int) -> None:
    """An hour at least, as long as configured at most."""
    with pytest.raises(InvalidTerm, match=r"at least an hour .* and at most 180d"):
        end_of(lifetime, LIFETIMES, NOW)


def test_a_ceiling_for_registries_alone() -> None:
    """It bounds nothing else, the catalog included."""
    found = ceiling_of(None, (), ("reg",))
    assert found is not None
    assert (found.services, [bound.type for bound in found.bounds]) == (frozenset({"reg"}), ["repository", "registry"])
    assert ceiling_of(None, (), ()) is None


def test_a_ceiling_for_repositories_alone() -> None:
    """All actions there, and none on the registry itself."""
    found = ceiling_of(None, (parse_pattern("web/*"),), ())
    assert str(found) == "pull and push and delete on web/*"


@pytest.mark.parametrize("text", [None, "", "  ", "a" * 201, "a\nb"])
def test_reasons(text: str | None) -> None:
    """A short line, which must be there."""
    with pytest.raises(InvalidWish, match=r"^reason: "):
        parse_reason(text)
    assert parse_reason("lost laptop") == "lost laptop"


def test_durations_in_words() -> None:
    """In the largest unit that fits."""
    assert [spell_duration(timedelta(seconds=one)) for one in (86400, 5400, 61)] == ["1d", "90m", "61s"]
