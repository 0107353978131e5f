"""Settings of a workload source: presets, where keys are, and what is refused at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.config.settings import Settings
from tokenserver.config.sources.workload import WorkloadSettings

GITHUB = {"name": "github", "preset": "github_actions", "issuer": "https://token.actions.example.com"}
SERVER = "https://auth.example.com"


def workload(**more: Any) -> WorkloadSettings:
    """The settings of GitHub, with others in place of some."""
    values = {**GITHUB, **more}
    return WorkloadSettings.model_validate({key: value for key, value in values.items() if value is not None})


def test_defaults() -> None:
    """Three lines are enough: the preset has the algorithms, and the audience is the server."""
    trusted = workload().trusted(SERVER)
    assert (trusted.name, trusted.issuer, trusted.preset.name) == ("github", GITHUB["issuer"], "github_actions")
    assert (sorted(trusted.audiences), sorted(trusted.algorithms)) == ([SERVER], ["RS256"])
    assert (trusted.leeway, trusted.max_age, workload().cache) == (30, 86_400, 60)


def test_everything_is_said(tmp_path: Path) -> None:
    """All keys, with a list of audiences."""
    settings = workload(
        preset="spiffe",
        trust_domain="example.org",
        audience=["a", "b"],
        algorithms=["ES256"],
        keys={"url": "https://spire.example.com/keys", "token_file": str(tmp_path / "token")},
        ca_file=str(tmp_path / "ca.pem"),
        leeway="0s",
        max_age="1h",
        cache="10s",
    )
    trusted = settings.trusted(SERVER)
    assert (sorted(trusted.audiences), sorted(trusted.algorithms)) == (["a", "b"], ["ES256"])
    assert trusted.trust_domain == "example.org"
    assert (trusted.leeway, trusted.max_age, settings.cache) == (0, 3600, 10)
    assert workload(audience="a").audiences(SERVER) == {"a"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"issuer": None}, "issuer", id="no issuer"),
        pytest.param({"issuer": "http://ci.example.com"}, "must be https", id="plain http"),
        pytest.param({"issuer": "issuer"}, "must be a URL", id="no URL, and no keys"),
        pytest.param({"issuer": " x", "keys": {"file": "k"}}, "audience that the JWTs", id="blanks"),
        pytest.param({"audience": []}, "audience", id="no audience"),
        pytest.param({"audience": [""]}, "audience", id="an empty one"),
        pytest.param({"audience": [str(number) for number in range(17)]}, "audience", id="too many"),
        pytest.param({"algorithms": ["HS256"]}, "'HS256' is not accepted", id="symmetric"),
        pytest.param({"algorithms": ["none"]}, "'none' is not accepted", id="none"),
        pytest.param({"algorithms": ["ES256"]}, "RS256 are", id="not of this preset"),
        pytest.param({"algorithms": []}, "algorithms", id="no algorithm"),
        pytest.param({"keys": {}}, "must name one place", id="keys without a place"),
        pytest.param({"keys": {"url": "https://a.example.com", "file": "k"}}, "must name one place", id="two places"),
        pytest.param({"keys": {"file": "k", "token_file": "t"}}, "goes with url", id="a token for a file"),
        pytest.param({"keys": {"url": "http://a.example.com/k"}}, "must be https", id="keys by plain http"),
        pytest.param({"preset": "spiffe"}, "the trust domain whose workloads", id="spiffe without a trust domain"),
        pytest.param({"trust_domain": "example.org"}, "goes with preset: spiffe", id="a trust domain without spiffe"),
        pytest.param(
            {"preset": "spiffe", "trust_domain": "Example.org"}, "must be the name of a SPIFFE", id="upper case"
        ),
        pytest.param({"leeway": "61s"}, "must be from 0s to 60s", id="leeway"),
        pytest.param({"max_age": "59s"}, "must be from 60s", id="a short age"),
        pytest.param({"max_age": "8d"}, "to 7d", id="a long age"),
        pytest.param({"cache": "61s"}, "must be from 0s", id="cache"),
        pytest.param({"preset": "jenkins"}, "preset", id="an unknown preset"),
        pytest.param({"secret": "x"}, "secret", id="an unknown key"),
    ],
)
def test_refused(more: dict[str, Any], expected: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValidationError, match=expected):
        workload(**more)


def test_any_issuer_with_keys_in_a_file() -> None:
    """An issuer that is never asked need not be a URL."""
    assert workload(preset="none", issuer="kubernetes/serviceaccount", keys={"file": "k"}).issuer


def whole(*sources: dict[str, Any]) -> Settings:
    """A configuration with these entries of `authentication`."""
    return Settings.model_validate(
        {
            "issuer": "auth.example.com",
            "server": {"url": SERVER},
            "registries": [{"service": "reg"}],
            "authentication": sources,
            "policies": "policies",
            "keys": {"folder": "keys"},
        }
    )


def test_sources_of_users_and_workloads() -> None:
    """In one list; workloads are never asked for passwords."""
    settings = whole({"htpasswd": {"file": "users"}}, {"workload": GITHUB})
    assert [source.name for source in settings.authentication] == ["htpasswd", "github"]
    assert [source.name for source in settings.user_sources] == ["htpasswd"]
    assert [source.name for source in settings.workload_sources] == ["github"]
    assert settings.authentication[1].names is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, r"authentication\[1\]\.workload\.audience|issuer and an audience of github", id="the same"),
        pytest.param({"audience": ["x", SERVER]}, "issuer and an audience of github", id="the default among others"),
        pytest.param({"name": "github", "audience": "x"}, "the name 'github' is used twice", id="the same name"),
    ],
)
def test_two_sources_of_one_issuer(more: dict[str, Any], expected: str) -> None:
    """They need different names and audiences, by which their JWTs are told apart."""
    second = {**GITHUB, "name": "second", **more}
    with pytest.raises(ValidationError, match=expected):
        whole({"workload": GITHUB}, {"workload": second})
    assert (
        len(whole({"workload": GITHUB}, {"workload": {**second, "name": "b", "audience": "b"}}).workload_sources) == 2
    )


def test_a_workload_source_may_follow_a_directory_without_an_account() -> None:
    """Only sources of users are asked one after the other."""
    directory = {
        "preset": "active_directory",
        "url": "ldaps://ldap.example.com",
        "base": "dc=example,dc=com",
        "user_dn_template": "uid={user},dc=example,dc=com",
    }
    assert len(whole({"ldap": directory}, {"workload": GITHUB}).authentication) == 2
