"""Facts: registries under each of their names, key ids by verifier, and URLs of separate keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor_worlds import ours_of, setup_of

from tokenserver.doctor.facts import KINDS_OF_COMPAT, KeyNames, OurRegistry, RegistryKind
from tokenserver.tokens.claims import Compat

NAMES = KeyNames("spki", "LIBTRUST", "rfc7638", "d30", "d31")


@pytest.mark.parametrize(
    ("kind", "kid"),
    [
        (RegistryKind.DISTRIBUTION2, "LIBTRUST"),
        (RegistryKind.DISTRIBUTION30, "d30"),
        (RegistryKind.DISTRIBUTION3, "d31"),
        (RegistryKind.ZOT, ""),
    ],
)
def test_the_kid_that_a_verifier_computes(kind: RegistryKind, kid: str) -> None:
    """Each generation by its own rules; zot ignores it."""
    assert NAMES.kid(kind) == kid


def test_every_compat_has_its_verifiers() -> None:
    """A compat that is added needs an entry here."""
    assert set(KINDS_OF_COMPAT) == {compat.value for compat in Compat}


@pytest.mark.parametrize("compat", [compat.value for compat in Compat])
def test_the_kid_of_our_tokens(compat: str) -> None:
    """Only where the header names the key by it."""
    key = ours_of().active
    expected = {"distribution2": key.names.libtrust, "distribution3": key.names.rfc7638, "jwks": key.names.rfc7638}
    assert key.kid(compat) == expected.get(compat, "")


REGISTRY = OurRegistry("a", "issuer", "universal", 900, also=("b", "c"))


@pytest.mark.parametrize(("service", "names"), [("a", "abc"), ("b", "bac"), ("c", "cab")])
def test_a_registry_by_another_name(service: str, names: str) -> None:
    """The name that was asked for comes first; none is lost."""
    found = replace(ours_of(), registries=(REGISTRY,)).registry(service)
    assert found is not None
    assert found.names == tuple(names)


@pytest.mark.parametrize("service", [None, "", "A", "d"])
def test_an_unknown_registry(service: str | None) -> None:
    """Names are compared as they are."""
    assert replace(ours_of(), registries=(REGISTRY,)).registry(service) is None


def test_services_and_urls() -> None:
    """All names; and the query that names separate keys."""
    ours = replace(ours_of(), registries=(REGISTRY, OurRegistry("d", "i", "jwks", 60)), query="?service=a")
    assert ours.services == ["a", "b", "c", "d"]
    assert ours.ca_url == "https://auth.example.com/ca.pem?service=a"
    assert ours.jwks_url == "https://auth.example.com/.well-known/jwks.json?service=a"
    assert ours.active == ours.keys[0]


def test_places_of_settings() -> None:
    """Of the key itself, else of the section."""
    setup = setup_of()
    assert (setup.place("realm"), setup.place("service")) == ("config.yml:5", "config.yml:1")
