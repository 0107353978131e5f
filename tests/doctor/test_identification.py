"""Identification of the registry at an address, and the access of the token sent there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor_worlds import SERVICE, ours_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.facts import OurRegistry, Ours
from tokenserver.doctor.findings import by_urgency, failed, open_registry, passed
from tokenserver.doctor.identification import check_asked_scopes, identify, least_access
from tokenserver.scopes import Access, Resource, Scope, parse_scope

URL = "https://registry.example.com"


def world(*urls: str | None) -> Ours:
    """Our side with one registry for each url: `SERVICE`, then `other1`, `other2` …"""
    ours = ours_of()
    names = [SERVICE, *(f"other{number}" for number in range(1, len(urls)))]
    entries = [OurRegistry(name, "i", "universal", 900, url) for name, url in zip(names, urls, strict=True)]
    return replace(ours, registries=tuple(entries))


@pytest.mark.parametrize(
    ("urls", "chosen", "address", "service"),
    [
        pytest.param([URL, None], None, URL, SERVICE, id="by its url"),
        pytest.param([URL + "/", None], None, URL, SERVICE, id="a slash"),
        pytest.param(["https://REGISTRY.example.com:443", None], None, URL, SERVICE, id="spelt otherwise"),
        pytest.param([URL], None, "http://registry.example.com", None, id="another scheme"),
        pytest.param([URL], None, URL + ":5000", None, id="another port"),
        pytest.param([URL], None, "https://registry.example.com.evil.test", None, id="a longer name"),
        pytest.param([URL], None, URL + "/other", None, id="another path"),
        pytest.param([None], None, URL, None, id="the only one, without a url"),
        pytest.param([URL, URL], None, URL, None, id="two of that url"),
        pytest.param([None, None], SERVICE, URL, SERVICE, id="as chosen"),
        pytest.param([URL, URL], SERVICE, URL, SERVICE, id="chosen out of two"),
        pytest.param([URL, None], "other1", URL, None, id="chosen against the url"),
        pytest.param([URL, None], SERVICE, "http://localhost:5000", SERVICE, id="chosen at another address"),
    ],
)
def test_who_a_registry_is(urls: list[str | None], chosen: str | None, address: str, service: str | None) -> None:
    """By --service or by a configured url; otherwise there is a finding, whatever the registry announces."""
    ours = world(*urls)
    found = identify(ours, ours.registry(chosen), address, SERVICE)
    assert (None if found.registry is None else found.registry.service) == service
    assert (found.why is None) is (service is not None)
    assert found.why is None or found.why.is_actionable


@given(announced=st.text(max_size=20) | st.just(SERVICE))
def test_the_announced_service_chooses_nothing(announced: str) -> None:
    """Only the advice names it, and only where it is one of ours."""
    found = identify(world(None, URL), None, "http://evil.test", announced)
    assert found.registry is None
    assert found.why is not None
    assert f"--service {announced if announced in (SERVICE, 'other1') else 'NAME'} if" in str(found.why.fix)


def test_scopes_of_the_challenge_are_told() -> None:
    """And only those that were not asked for anyway."""
    one, two = parse_scope("repository:a:pull"), parse_scope("repository:b:push")
    assert check_asked_scopes([one], [one]) == []
    (found,) = check_asked_scopes([one, two], [one])
    assert (found.is_actionable, found.theirs) == (False, "repository:b:push")
    assert check_asked_scopes([two], [])[0].ours == "none"


_NAMES = st.sampled_from(["a", "b", "c"])
_ACTIONS = st.frozensets(st.sampled_from(["pull", "push", "delete", "*"]))
_RESOURCES = st.builds(Resource, st.sampled_from(["repository", "registry"]), _NAMES)


@given(
    granted=st.dictionaries(_RESOURCES, _ACTIONS), wanted=st.lists(st.builds(Scope, _RESOURCES, _ACTIONS), max_size=4)
)
def test_a_probe_only_reads_what_was_granted_and_wanted(
    granted: dict[Resource, frozenset[str]], wanted: list[Scope]
) -> None:
    """Never more than either, and never anything but pull."""
    access = least_access(granted, wanted)
    for one in access:
        assert one.actions == {"pull"}
        assert "pull" in granted[one.resource]
        assert any(scope.resource == one.resource and "pull" in scope.actions for scope in wanted)
    readable = {scope.resource for scope in wanted if scope.resource.type == "repository" and "pull" in scope.actions}
    assert access == tuple(
        Access(one, frozenset({"pull"})) for one in sorted(readable, key=str) if "pull" in granted.get(one, ())
    )


def test_open_registries_come_first() -> None:
    """The rest keeps its order."""
    one, two, three = passed("a", "a"), failed("b", "b", "b"), open_registry("c", "c", theirs="none")
    assert by_urgency([one, two, three]) == [three, two, one]
