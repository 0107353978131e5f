"""The settings of a workload source: what is trusted, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.config.settings import Settings
from tokenserver.config.sources.workload import WorkloadSettings

LEAST = {"name": "ci", "preset": "github_actions", "issuer": "https://issuer.example.com"}
URL = "https://auth.example.com"


def settings(**changes: Any) -> WorkloadSettings:
    """The shortest settings with these changes; None takes a key out."""
    values = {key: value for key, value in (LEAST | changes).items() if value is not None}
    return WorkloadSettings.model_validate(values, context={"base": Path("/etc/tokenserver")})


def test_three_lines_are_enough() -> None:
    """The preset and the server say the rest."""
    found = settings()
    assert (found.keys, found.ca_file, found.session, found.cache) == (None, None, 3600, 60)
    trusted = found.trusted(URL)
    assert (trusted.name, trusted.issuer, trusted.audiences) == ("ci", LEAST["issuer"], frozenset({URL}))
    assert (trusted.preset, trusted.algorithms) == (PRESETS["github_actions"], frozenset({"RS256"}))
    assert (trusted.trust_domain, trusted.leeway, trusted.max_age) == (None, 30, 86400)


def test_everything() -> None:
    """Each key has its effect."""
    found = settings(
        preset="spiffe",
        audience=["a", "b"],
        algorithms="ES256",
        trust_domain="example.org",
        keys={"url": "https://keys.example.com/jwks", "token_file": "token"},
        ca_file="ca.crt",
        leeway="0s",
        max_age="1h",
        session="6h",
        cache=0,
    )
    trusted = found.trusted(URL)
    assert (trusted.audiences, trusted.algorithms) == (frozenset({"a", "b"}), frozenset({"ES256"}))
    assert (trusted.trust_domain, trusted.leeway, trusted.max_age) == ("example.org", 0, 3600)
    assert (found.ca_file, found.session, found.cache) == (Path("/etc/tokenserver/ca.crt"), 21600, 0)
    assert found.keys is not None
    assert (found.keys.url, found.keys.file) == ("https://keys.example.com/jwks", None)
    assert found.keys.token_file == Path("/etc/tokenserver/token")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    """Each of them has its algorithms; all can be named."""
    domain = "example.org" if PRESETS[preset].needs_trust_domain else None
    found = settings(preset=preset, trust_domain=domain)
    assert (found.kind.name, found.trusted(URL).algorithms) == (preset, frozenset(PRESETS[preset].algorithms))
    assert settings(preset=preset, trust_domain=domain, algorithms=list(ALGORITHMS)).trusted(URL).algorithms == set(
        ALGORITHMS
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"issuer": "https://issuer.example.com/realms/a/"}, id="a slash at the end of the issuer"),
        pytest.param({"issuer": "http://localhost:8080"}, id="an issuer on this machine"),
        pytest.param(
            {"issuer": "kubernetes/serviceaccount", "keys": {"file": "keys.json"}}, id="an issuer that is no URL"
        ),
        pytest.param({"issuer": "http://a.internal", "keys": {"url": "https://b/keys"}}, id="keys at another place"),
        pytest.param({"keys": {"url": "http://127.0.0.1:8001/openid/v1/jwks"}}, id="keys on this machine"),
        pytest.param({"max_age": "5m"}, id="a short age"),
        pytest.param({"audience": "x" * 255}, id="a long audience"),
    ],
)
def test_what_is_possible(changes: dict[str, Any]) -> None:
    """The issuer stays as it is written, since it is compared byte for byte."""
    assert settings(**changes).issuer == (LEAST | changes)["issuer"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"name": None}, "name\n  Field required", id="no name"),
        pytest.param({"name": "Git Hub"}, "must be lower-case letters", id="a name with a blank"),
        pytest.param({"preset": None}, "preset\n  Field required", id="no preset"),
        pytest.param({"preset": "jenkins"}, "Input should be 'github_actions'", id="an unknown preset"),
        pytest.param({"issuer": ""}, "must be 1 to 255 printable ASCII", id="an empty issuer"),
        pytest.param({"issuer": "https://a b"}, "must be 1 to 255 printable ASCII", id="an issuer with a blank"),
        pytest.param({"issuer": "issuer.example.com"}, "must be a URL such as", id="an issuer without a scheme"),
        pytest.param({"issuer": "http://issuer.example.com"}, "must be https", id="an issuer in plain http"),
        pytest.param({"issuer": "x"}, "say where its keys are: keys: {url: …}", id="an issuer that is no URL"),
        pytest.param({"audience": []}, "at least 1 item", id="no audience"),
        pytest.param({"audience": [""]}, "must be 1 to 255 printable ASCII", id="an empty audience"),
        pytest.param({"audience": ["x"] * 17}, "at most 16 items", id="very many audiences"),
        pytest.param({"algorithms": []}, "at least 1 item", id="no algorithm"),
        pytest.param({"algorithms": ["RS256", "HS256"]}, "only asymmetric algorithms", id="a symmetric algorithm"),
        pytest.param({"algorithms": "none"}, "only asymmetric algorithms", id="no signature"),
        pytest.param({"keys": {}}, "must name one place of the keys", id="no place"),
        pytest.param({"keys": {"url": "https://a/b", "file": "c"}}, "must name one place", id="two places"),
        pytest.param({"keys": {"file": "c", "token_file": "d"}}, "has no effect without url", id="a token for a file"),
        pytest.param({"keys": {"url": "http://a/b"}}, "must be https", id="keys in plain http"),
        pytest.param({"keys": {"url": "file:///a"}}, "must be a URL such as", id="a file as URL"),
        pytest.param({"keys": {"file": "c"}, "ca_file": "d"}, "has no effect with keys in a file", id="a useless CA"),
        pytest.param(
            {"trust_domain": "example.org"}, "has no effect with preset github_actions", id="a useless domain"
        ),
        pytest.param({"issuer": None}, "is missing; preset github_actions has none by default", id="no issuer"),
        pytest.param({"preset": "spiffe"}, "is missing; preset spiffe accepts", id="no trust domain"),
        pytest.param(
            {"preset": "spiffe", "issuer": None, "keys": {"file": "bundle.json"}},
            "is missing; preset spiffe accepts",
            id="neither issuer nor trust domain",
        ),
        pytest.param(
            {"preset": "spiffe", "issuer": None, "trust_domain": "example.org"},
            "only an issuer has a discovery document",
            id="no issuer and no keys",
        ),
        pytest.param(
            {"preset": "spiffe", "trust_domain": "spiffe://a"}, "must be a trust domain", id="a URL as domain"
        ),
        pytest.param({"leeway": 61}, "must be from 0s to 60s, not 61s", id="a long leeway"),
        pytest.param({"leeway": -1}, "must be from 0s to 60s, not -1s", id="a negative leeway"),
        pytest.param({"session": "361m"}, "must be from 0s (no sessions) to 6h, not 21660s", id="a long session"),
        pytest.param({"session": -1}, "must be from 0s (no sessions) to 6h, not -1s", id="a negative session"),
        pytest.param({"max_age": 299}, "must be from 5m to 7d, not 299s", id="a short age"),
        pytest.param({"max_age": "8d"}, "must be from 5m to 7d, not 691200s", id="a long age"),
        pytest.param({"cache": 61}, "must be from 0s (never) to 60s, not 61s", id="a long cache"),
        pytest.param({"jwks": "x"}, "Extra inputs are not permitted", id="an unknown key"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], problem: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert problem in str(caught.value)


def whole(*sources: dict[str, Any]) -> Settings:
    """A configuration with these entries of `authentication`."""
    return Settings.model_validate(
        {
            "issuer": "auth.example.com",
            "server": {"url": URL},
            "registries": [{"service": "reg"}],
            "authentication": sources,
            "policies": "policies",
            "keys": {"folder": "keys"},
        }
    )


@pytest.mark.parametrize("keys", [{"file": "bundle.json"}, {"url": "https://spire.example.org/bundle"}])
def test_a_trust_domain_without_an_issuer(keys: dict[str, str]) -> None:
    """Its own ID stands for the issuer."""
    found = settings(preset="spiffe", issuer=None, trust_domain="example.org", keys=keys)
    assert (found.issuer, found.issuer_name, found.trusted(URL).issuer) == (None, *["spiffe://example.org"] * 2)


def test_two_trust_domains() -> None:
    """They are told apart by name, and two sources of one by their audiences."""
    one = {"name": "a", "preset": "spiffe", "trust_domain": "example.org", "keys": {"file": "bundle.json"}}
    assert len(whole({"workload": one}, {"workload": {**one, "name": "b", "trust_domain": "b"}}).workload_sources) == 2
    assert len(whole({"workload": one}, {"workload": {**one, "name": "b", "audience": "b"}}).workload_sources) == 2
    for issuer in (None, "spiffe://example.org"):
        same = {**one, "name": "b", **({} if issuer is None else {"issuer": issuer})}
        with pytest.raises(ValidationError, match="issuer and an audience of a"):
            whole({"workload": one}, {"workload": same})


def test_sources_of_users_and_workloads() -> None:
    """In one list; workloads are never asked for passwords."""
    settings = whole({"htpasswd": {"file": "users"}}, {"workload": LEAST})
    assert [source.name for source in settings.authentication] == ["htpasswd", "ci"]
    assert [source.name for source in settings.user_sources] == ["htpasswd"]
    assert [source.name for source in settings.workload_sources] == ["ci"]
    assert settings.authentication[1].names is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, r"authentication\[1\]\.workload\.audience|issuer and an audience of ci", id="the same"),
        pytest.param({"audience": ["x", URL]}, "issuer and an audience of ci", id="the default among others"),
        pytest.param({"name": "ci", "audience": "x"}, "the name 'ci' is used twice", id="the same name"),
    ],
)
def test_two_sources_of_one_issuer(more: dict[str, Any], expected: str) -> None:
    """They need different names and audiences, by which their JWTs are told apart."""
    second = {**LEAST, "name": "second", **more}
    with pytest.raises(ValidationError, match=expected):
        whole({"workload": LEAST}, {"workload": second})
    assert len(whole({"workload": LEAST}, {"workload": {**second, "name": "b", "audience": "b"}}).workload_sources) == 2


def test_a_workload_source_may_follow_a_directory_without_an_account() -> None:
    """Only sources of users are asked one after the other."""
    directory = {
        "preset": "active_directory",
        "url": "ldaps://ldap.example.com",
        "base": "dc=example,dc=com",
        "user_dn_template": "uid={user},dc=example,dc=com",
    }
    assert len(whole({"ldap": directory}, {"workload": LEAST}).authentication) == 2
