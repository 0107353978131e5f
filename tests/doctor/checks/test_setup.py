"""What a registry announces against what we are: each fault is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from doctor_worlds import ISSUER, REALM, SERVICE, ours_of, ring_of, setup_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.setup import (
    check_algorithms,
    check_realm,
    check_service,
    check_setup,
    find_registry,
    kinds_for,
)
from tokenserver.doctor.facts import OurRegistry, RegistryKind
from tokenserver.doctor.findings import Finding
from tokenserver.keys.ring import Algorithm

BOTH = (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3)


def wrong(findings: Iterable[Finding]) -> dict[str, bool | None]:
    return {finding.check: finding.ok for finding in findings if finding.is_actionable}


def test_a_right_setup_has_no_finding() -> None:
    """Everything is compared, and everything is well."""
    ours = ours_of(url="https://registry.example.com")
    found = check_setup(setup_of(), ours, BOTH, ours.registries[0])
    assert [finding.check for finding in found] == ["auth", "realm", "service", "issuer", "algorithm"]
    assert all(finding.ok for finding in found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"auth": "none"}, {"auth": False}, id="no token auth"),
        pytest.param({"auth": "htpasswd"}, {"auth": False}, id="basic"),
        pytest.param({"auth": "htpasswd", "is_zot": True}, {"auth": False}, id="zot with htpasswd"),
        pytest.param({"realm": None}, {"realm": False}, id="no realm"),
        pytest.param({"service": None}, {"service": False}, id="no service"),
        pytest.param({"service": "other"}, {"service": False}, id="another service"),
        pytest.param({"service": "Registry.example.com"}, {"service": False}, id="service in capitals"),
        pytest.param({"issuer": None}, {"issuer": False}, id="no issuer"),
        pytest.param({"issuer": ISSUER + "/"}, {"issuer": False}, id="another issuer"),
        pytest.param({"issuer": None, "is_zot": True}, {}, id="zot looks at no issuer"),
        pytest.param({"algorithms": ("RS256",)}, {"algorithm": False}, id="our algorithm left out"),
        pytest.param({"algorithms": ("RS256", "ES256")}, {}, id="our algorithm among others"),
        pytest.param({"unknown_keys": (("rootCertBundle", "did you mean"),)}, {"keys": None}, id="misspelt key"),
        pytest.param({"autoredirect": True, "realm": "x"}, {"autoredirect": False}, id="autoredirect"),
        pytest.param(
            {"autoredirect": True, "autoredirect_path": "/x"}, {"autoredirect": False}, id="autoredirect elsewhere"
        ),
    ],
)
def test_each_fault_is_named(changes: dict[str, Any], expected: dict[str, bool | None]) -> None:
    """One fault gives one finding, by its name."""
    ours = ours_of(url="https://registry.example.com")
    found = check_setup(setup_of(**changes), ours, BOTH, ours.registries[0])
    assert wrong(found) == expected


def test_a_mend_names_value_and_place() -> None:
    """What to write, where, and that the registry has to be restarted."""
    ours = ours_of()
    (finding,) = [one for one in check_setup(setup_of(realm="http://x/token"), ours, BOTH, None) if one.is_actionable]
    assert finding.fix == f"set realm to {REALM} in config.yml:5 and restart the registry"
    assert (finding.ours, finding.theirs) == (REALM, "http://x/token")


@pytest.mark.parametrize("registry", [True, False], ids=["known", "unknown"])
def test_an_open_registry_is_the_first_finding(registry: bool) -> None:
    """Its empty keys are listed with their values, before other faults."""
    ours = ours_of()
    setup = setup_of(
        is_zot=True, auth="none", realm="http://elsewhere/token", service=None, empty=("service",), remark="why"
    )
    found = check_setup(setup, ours, (RegistryKind.ZOT,), ours.registries[0] if registry else None)
    assert [(one.check, one.ok, one.is_open) for one in found if one.is_actionable] == [
        ("auth", False, True),
        ("realm", False, False),
    ]
    assert "(why)" in found[0].message
    value = SERVICE if registry else "its service name"
    assert str(found[0].fix).startswith(f"set service to {value} in config.yml")


def test_a_registry_that_may_be_any_of_ours() -> None:
    """The command does not name one of them at random."""
    ours = ours_of()
    several = replace(ours, registries=(*ours.registries, replace(ours.registries[0], service="other")))
    for side, name in ((ours, SERVICE), (several, "SERVICE")):
        (found,) = check_setup(setup_of(auth="none"), side, (), None)
        assert f"`tokenserver registry-config {name} --for distribution3`" in str(found.fix)


def test_the_service_of_another_registry_of_ours() -> None:
    """It is ours, and not that one's."""
    ours = ours_of()
    ours = replace(ours, registries=(*ours.registries, replace(ours.registries[0], service="other")))
    found = check_service("other", ours, ours.registries[0], "there")
    assert (found.ok, "another registry of ours" in found.message) == (False, True)
    assert found.fix == f"set service to {SERVICE} in there and restart the registry"


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        pytest.param("https://10.1.2.3/token", "IP address", id="address"),
        pytest.param("https://[::1]/token", "IP address", id="IPv6 address"),
        pytest.param("https://ann@auth.example.com/token", "not to its token endpoint", id="user"),
        pytest.param("https://auth.example.com/token?x", "not to its token endpoint", id="query"),
        pytest.param("https://auth.example.com/TOKEN", "not to its token endpoint", id="path in capitals"),
        pytest.param("https://localhost/token", "localhost", id="localhost"),
        pytest.param("https://other.example.com/token", "another host", id="another host"),
        pytest.param("http://auth.example.com/token", "wrong scheme: http instead of https", id="scheme"),
        pytest.param("https://auth.example.com:5001/token", "another port", id="port"),
        pytest.param("https://auth.example.com/v2/token", "not to its token endpoint", id="path"),
        pytest.param("https://auth.example.com/token/", "not to its token endpoint", id="slash"),
        pytest.param("auth.example.com/token", "not an http or https URL", id="no scheme"),
        pytest.param("ftp://auth.example.com/token", "not an http or https URL", id="ftp"),
        pytest.param("https:///token", "not an http or https URL", id="no host"),
        pytest.param("https://auth.example.com:x/token", "not an http or https URL", id="no port number"),
        pytest.param("https://[auth/token", "not an http or https URL", id="broken brackets"),
    ],
)
def test_wrong_realms(realm: str, reason: str) -> None:
    """Each says what is wrong with it, and what it must be."""
    (finding,) = check_realm(realm, ours_of(), "config.yml")
    assert (finding.check, finding.ok, finding.ours) == ("realm", False, REALM)
    assert reason in finding.message


@pytest.mark.parametrize("path", ["/token", "/auth/token", "/auth"])
def test_every_path_of_the_endpoint_will_do(path: str) -> None:
    """Existing installations point their realm at /auth or /auth/token."""
    assert wrong(check_realm(f"https://auth.example.com{path}", ours_of(), "config.yml")) == {}


@pytest.mark.parametrize(
    ("url", "realm"),
    [
        pytest.param("https://auth.example.com", "https://AUTH.example.com/token", id="capitals"),
        pytest.param("https://Auth.Example.com", "https://auth.example.com/token", id="capitals of ours"),
        pytest.param("https://auth.example.com", "https://auth.example.com./token", id="the dot of the root"),
        pytest.param("https://auth.example.com", "https://auth.example.com:443/token", id="the port of https"),
        pytest.param("https://[2001:db8::1]:5001", "https://[2001:DB8:0::1]:5001/token", id="spellings of IPv6"),
        pytest.param("https://auth.example.com/login", "https://auth.example.com/login/token", id="below a path"),
    ],
)
def test_another_spelling_of_the_host_is_the_same_realm(url: str, realm: str) -> None:
    """Hosts are compared as what they are (RFC 3986, section 6.2.2), the path as text."""
    ours = replace(ours_of(), url=url, realm=f"{url}/token")
    assert check_realm(realm, ours, "config.yml")[0].ok is True


@pytest.mark.parametrize(
    ("url", "registry_host", "is_fine", "says"),
    [
        pytest.param("http://10.0.0.5:5000", "10.0.0.5:5000", True, "", id="one host and port for both"),
        pytest.param("http://10.0.0.5:5001", "10.0.0.5:5000", False, "crane rejects 10.0.0.5", id="another port"),
        pytest.param("http://10.0.0.5:5001", "r.example.com", False, "oras and helm", id="a registry with a name"),
        pytest.param("http://[fd00::5]:5001", "[fd00::5]:5000", False, "crane rejects fd00::5", id="IPv6"),
        pytest.param("http://[fd00::5]:5000", "[fd00::5]:5000", True, "", id="IPv6, one for both"),
        pytest.param("https://203.0.113.5", "r.example.com", True, "", id="a public address"),
        pytest.param("http://127.0.0.1:5001", "127.0.0.1:5000", False, "crane rejects 127.0.0.1", id="loopback"),
        pytest.param("http://127.0.0.1:5001", "r.example.com", False, "a different machine", id="loopback for others"),
    ],
)
def test_a_realm_at_an_ip_address(url: str, registry_host: str, is_fine: bool, says: str) -> None:
    """It is our endpoint, so it passes; a warning names the clients that reject it at this registry."""
    ours = replace(ours_of(), url=url, realm=f"{url}/token")
    found = check_realm(ours.realm, ours, "config.yml", registry_host=registry_host)
    assert found[0].ok is True
    assert [one.ok for one in found[1:]] == ([] if is_fine else [None])
    assert says in found[-1].message
    assert all(one.is_actionable for one in found[1:])


def test_a_realm_at_an_ip_address_of_an_unknown_registry() -> None:
    """Which clients may reject it is a note: nothing shows that anything is wrong."""
    ours = replace(ours_of(), url="http://10.0.0.5:5001", realm="http://10.0.0.5:5001/token")
    realm, about = check_realm(ours.realm, ours, "config.yml")
    assert (realm.ok, about.ok, about.is_actionable) == (True, None, False)
    assert "crane rejects 10.0.0.5 in a realm unless the registry has the same host and port" in about.message


@pytest.mark.parametrize(
    ("host", "is_https", "expected"),
    [
        pytest.param("localhost", False, {}, id="all local"),
        pytest.param("localhost:5000", False, {}, id="all local, with a port"),
        pytest.param("[::1]:5000", False, {}, id="all local, IPv6"),
        pytest.param("127.0.0.1", None, {}, id="local by address"),
        pytest.param(None, None, {}, id="nothing known"),
        pytest.param("registry.example.com", False, {"transport": None}, id="a name of this machine alone"),
        pytest.param("localhost", True, {"transport": None}, id="http realm of an https registry"),
    ],
)
def test_realms_that_work_for_some(host: str | None, is_https: bool | None, expected: dict[str, None]) -> None:
    """Some clients reject even our own realm."""
    ours = replace(ours_of(), url="http://localhost:5001", realm="http://localhost:5001/token")
    found = check_realm(ours.realm, ours, "config.yml", registry_host=host, is_https=is_https)
    assert wrong(found) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://auth.example.com", {}, id="one host for both"),
        pytest.param("https://registry.example.com", {"autoredirect": False}, id="two hosts"),
        pytest.param(None, {"autoredirect": None}, id="not known"),
    ],
)
def test_autoredirect_is_right_where_the_host_is_shared(url: str | None, expected: dict[str, bool | None]) -> None:
    """A proxy that passes /auth/token on to us makes it right."""
    ours = ours_of(url=url)
    found = check_setup(setup_of(autoredirect=True), ours, BOTH, ours.registries[0])
    assert wrong(found) == expected


def test_an_unknown_registry_is_told_what_is_known() -> None:
    """With several registries of ours and a service of none, no one is guessed at."""
    one = ours_of().registries[0]
    ours = replace(ours_of(), registries=(one, replace(one, service="b.example.com")))
    assert find_registry(ours, "zzz") is None
    found = check_setup(setup_of(service="zzz"), ours, (), None)
    assert wrong(found) == {"service": False}
    assert "registry.example.com, b.example.com" in str(check_service("zzz", ours, None, "config.yml").fix)
    near = check_service("registry.example.co", ours, None, "config.yml")
    assert near.ours == SERVICE
    assert check_service(None, ours, one, "config.yml").fix == (
        f"set service to {SERVICE} in config.yml and restart the registry"
    )


def test_which_registry_is_meant() -> None:
    """By its service, else by its URL, else the only one."""
    one = OurRegistry("a", ISSUER, "universal", 900, "https://a.example.com")
    two = OurRegistry("b", ISSUER, "universal", 900, "https://b.example.com")
    ours = replace(ours_of(), registries=(one, two))
    assert find_registry(ours, "b") is two
    assert find_registry(ours, "x", "https://a.example.com/") is one
    assert find_registry(ours, "x", "https://c.example.com") is None
    assert find_registry(replace(ours, registries=(two,)), "x") is two


def test_a_registry_has_several_names() -> None:
    """Each of them is its service, and it goes by the one that it is asked by."""
    one = OurRegistry("a", ISSUER, "universal", 900, None, ("b", "c"))
    ours = replace(ours_of(), registries=(one,))
    found = ours.registry("b")
    assert found is not None
    assert (found.service, found.names, ours.services) == ("b", ("b", "a", "c"), ["a", "b", "c"])
    assert wrong(check_setup(setup_of(service="c"), ours, BOTH, ours.registry("c"))) == {}


@pytest.mark.parametrize(
    ("changes", "compat", "asked", "kinds"),
    [
        pytest.param({}, "universal", None, BOTH, id="universal"),
        pytest.param({}, "distribution2", None, (RegistryKind.DISTRIBUTION2,), id="distribution2"),
        pytest.param({}, "jwks", None, (RegistryKind.DISTRIBUTION3,), id="jwks"),
        pytest.param({}, "something new", None, BOTH, id="unknown compat"),
        pytest.param({"only_in_3": ("jwks",)}, "universal", None, (RegistryKind.DISTRIBUTION3,), id="a key of 3"),
        pytest.param({"is_zot": True}, "universal", None, (RegistryKind.ZOT,), id="zot"),
        pytest.param(
            {"is_zot": True}, "universal", RegistryKind.DISTRIBUTION30, (RegistryKind.DISTRIBUTION30,), id="asked"
        ),
    ],
)
def test_which_verifiers_count(
    changes: dict[str, Any], compat: str, asked: RegistryKind | None, kinds: tuple[RegistryKind, ...]
) -> None:
    """As asked, as the configuration gives away, else as `compat` is meant."""
    assert kinds_for(setup_of(**changes), ours_of(compat=compat).registries[0], asked) == kinds


@pytest.mark.parametrize(
    ("algorithm", "kinds", "theirs", "ok"),
    [
        pytest.param(Algorithm.ES256, BOTH, None, True, id="ES256"),
        pytest.param(Algorithm.EdDSA, (RegistryKind.DISTRIBUTION2,), None, False, id="EdDSA at 2.8"),
        pytest.param(Algorithm.EdDSA, BOTH, None, None, id="EdDSA at 2.8 or 3"),
        pytest.param(Algorithm.EdDSA, (RegistryKind.DISTRIBUTION3,), None, True, id="EdDSA at 3"),
        pytest.param(Algorithm.ES256, (RegistryKind.DISTRIBUTION2,), ("RS256",), True, id="2.8 passes the option over"),
        pytest.param(Algorithm.RS256, (RegistryKind.DISTRIBUTION3,), ("ES256", "EdDSA"), False, id="left out"),
    ],
)
def test_algorithms(
    algorithm: Algorithm, kinds: tuple[RegistryKind, ...], theirs: tuple[str, ...] | None, ok: bool | None
) -> None:
    """The registry's list counts for those generations that know it."""
    ours = ours_of(ring_of(algorithm))
    assert check_algorithms(theirs, ours, ours.registries[0], kinds, "config.yml").ok is ok


@given(realm=st.one_of(st.text(), st.from_regex(r"https?://[^/]{0,20}(/[a-z]{0,9}){0,3}")))
def test_any_realm_is_judged(realm: str) -> None:
    """No text breaks the check; only our endpoint's own addresses pass, and what is shown is printable."""
    found = check_realm(realm, ours_of(), "config.yml")
    ours = {f"https://auth.example.com{path}" for path in ("/token", "/auth/token", "/auth")}
    assert (found[0].ok is True) == (realm in ours)
    assert all(str(one.theirs).isprintable() and one.message.isprintable() for one in found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"service": SERVICE + " "}, "the registry's service ends in a blank", id="service"),
        pytest.param({"issuer": f'"{ISSUER}"'}, "the registry's issuer has quotes (\") around it", id="issuer"),
        pytest.param({"realm": REALM + "\n"}, "the registry's realm ends in a line break", id="realm"),
        pytest.param({"auth": "none", "stray": "http.auth"}, "stand at http.auth, where it ignores them", id="stray"),
    ],
)
def test_values_that_look_right(changes: dict[str, Any], expected: str) -> None:
    """The difference is in the message, and both values are quoted where they look alike."""
    ours = ours_of()
    (finding,) = [one for one in check_setup(setup_of(**changes), ours, BOTH, ours.registries[0]) if one.ok is False]
    assert expected in finding.message
    if changes.get("service") or changes.get("realm"):
        assert finding.theirs is not None
        assert finding.ours is not None
        assert finding.theirs[0] == finding.ours[0] == '"'


@pytest.mark.parametrize(
    ("algorithm", "is_old", "expected"),
    [
        (Algorithm.RS256, True, []),
        (Algorithm.ES256, True, [("algorithm", True)]),
        (Algorithm.ES256, False, [("algorithm", False)]),
    ],
)
def test_zots_algorithms(algorithm: Algorithm, is_old: bool, expected: list[tuple[str, bool]]) -> None:
    """A warning where the configuration is as old as zots that verify RS256 alone, else a note."""
    ours = ours_of(ring_of(algorithm), compat="zot")
    setup = setup_of(is_zot=True, issuer=None, is_old=is_old)
    found = check_setup(setup, ours, (RegistryKind.ZOT,), ours.registries[0])
    assert [(one.check, one.is_actionable) for one in found if one.check == "algorithm"] == expected
