"""Reading zot's configuration, and rejecting invalid ones."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.facts import Setup
from tokenserver.doctor.registry.zot import MAX_TEXT, looks_like_zot, read_zot
from tokenserver.errors import LoadError


def config(**bearer: Any) -> str:
    return json.dumps({"http": {"tls": {"cert": "x"}, "auth": {"bearer": bearer}}}, indent=2)


def test_all_of_it_is_read() -> None:
    """Keys are case-insensitive; an unknown key is reported."""
    setup = read_zot(config(Realm="https://a/token", service="s", cert="/c.pem", certt="x"), "zot.json")
    assert (setup.is_zot, setup.auth, setup.https) == (True, "token", True)
    assert (setup.realm, setup.service, setup.bundle) == ("https://a/token", "s", "/c.pem")
    assert setup.unknown_keys == (("certt", "did you mean 'cert'?"),)
    assert setup.place("cert") == "zot.json (http.auth.bearer.cert)"


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param({}, "none", id="nothing"),
        pytest.param(None, "none", id="null"),
        pytest.param({"htpasswd": {"path": "x"}}, "htpasswd", id="htpasswd"),
        pytest.param({"htpasswd": {}, "ldap": {}, "failDelay": 5}, "htpasswd and ldap", id="two"),
    ],
)
def test_other_ways_in(auth: Any, expected: str) -> None:
    """Without bearer the other methods are reported."""
    assert read_zot(json.dumps({"http": {"auth": auth}}), "zot.json").auth == expected


WHOLE = {"realm": "https://a/token", "service": "s", "cert": "/c.pem"}


@pytest.mark.parametrize(
    ("http", "auth", "empty"),
    [
        pytest.param({"auth": {"bearer": WHOLE}}, "token", (), id="all three"),
        pytest.param({"auth": {"bearer": {**WHOLE, "service": ""}}}, "none", ("service",), id="service empty"),
        pytest.param({"auth": {"bearer": {**WHOLE, "realm": None}}}, "none", ("realm",), id="realm null"),
        pytest.param({"auth": {"bearer": {"realm": "r", "service": "s"}}}, "none", ("cert",), id="cert absent"),
        pytest.param({"auth": {"bearer": {}}}, "none", ("realm", "service", "cert"), id="an empty section"),
        pytest.param({"auth": {"bearer": None}}, "none", (), id="no section"),
        pytest.param(
            {"auth": {"bearer": {"realm": "r", "service": "s", "awsSecretsManager": {}}}}, "token", (), id="AWS keys"
        ),
        pytest.param(
            {"auth": {"bearer": {"oidc": [{"issuer": "i", "audiences": ["z"]}]}}},
            "bearer.oidc",
            ("realm", "service", "cert"),
            id="tokens of another issuer",
        ),
        pytest.param(
            {"auth": {"bearer": {"oidc": [{"issuer": "i", "audiences": []}, 1]}}},
            "none",
            ("realm", "service", "cert"),
            id="an issuer without audiences",
        ),
        pytest.param(
            {"auth": {"bearer": {**WHOLE, "cert": ""}, "htpasswd": {"path": "x"}}},
            "htpasswd",
            ("cert",),
            id="htpasswd takes over",
        ),
        pytest.param({"auth": {"htpasswd": {"path": ""}}}, "none", (), id="htpasswd without a file"),
        pytest.param({"auth": {"htpasswd": None}}, "none", (), id="htpasswd null"),
        pytest.param({"auth": {"ldap": {}}}, "ldap", (), id="ldap"),
        pytest.param({"auth": {"ldap": None}}, "none", (), id="ldap null"),
        pytest.param({"auth": {"openid": {"providers": {"github": {}}}}}, "openid", (), id="openid"),
        pytest.param({"auth": {"openid": {"providers": {"other": {}}}}}, "none", (), id="an unknown provider"),
        pytest.param({"auth": {"apikey": True}}, "apikey", (), id="API keys"),
        pytest.param({"auth": {"apikey": False}}, "none", (), id="no API keys"),
        pytest.param({"tls": {"cacert": "/ca.pem"}}, "client certificates", (), id="client certificates"),
        pytest.param({"tls": {"cacert": ""}}, "none", (), id="no authority for them"),
    ],
)
def test_whether_anybody_is_kept_out(http: dict[str, Any], auth: str, empty: tuple[str, ...]) -> None:
    """As zot's own configuration decides it: what is incomplete is off."""
    setup = read_zot(json.dumps({"http": http}), "zot.json")
    assert (setup.auth, setup.empty) == (auth, empty)


def test_access_control_is_mentioned() -> None:
    """Without authentication it is all that is left."""
    text = json.dumps({"http": {"auth": {"bearer": {}}, "accessControl": {"repositories": {}}}})
    assert read_zot(text, "z").remark.endswith("; only its accessControl limits what they may do")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param('{"http": {},\n}', "zot.json:2: is not JSON", id="a comma too many"),
        pytest.param('{"storage": {}}', "zot.json: http: is missing", id="no http"),
        pytest.param("[]", "zot.json: http: is missing", id="a list"),
        pytest.param('{"http": {"a": 1, "A": 2}}', "zot.json: is not read: the key 'A' is duplicated", id="twice"),
        pytest.param('{"http": {"auth": [1]}}', "zot.json: http.auth: must be", id="auth a list"),
        pytest.param('{"http": {"auth": {"bearer": "x"}}}', "zot.json: http.auth.bearer: must", id="bearer a word"),
        pytest.param(config(realm=1), "zot.json: http.auth.bearer.realm: must be text", id="a number"),
        pytest.param('{"http":' + "[" * 100_000, "zot.json: is not read", id="a deep nest"),
        pytest.param(" " * (MAX_TEXT + 1), "zot.json: is larger", id="large"),
    ],
)
def test_what_is_refused(text: str, fault: str) -> None:
    """With file and place."""
    with pytest.raises(LoadError) as refused:
        read_zot(text, "zot.json")
    assert str(refused.value.faults[0]).startswith(fault)


def test_which_of_the_two_it_is() -> None:
    """JSON is zot's, YAML is Distribution's."""
    assert looks_like_zot("\ufeff \n {")
    assert not looks_like_zot("version: 0.1")


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["http", "auth", "bearer", "Bearer", "realm", "cert"]), inner)
    ),
    max_leaves=12,
)


def read_or_none(text: str) -> Setup | None:
    with suppress(LoadError):
        return read_zot(text, "z")
    return None


@given(value=_JSON, junk=st.text(max_size=30))
def test_any_text_is_read_or_refused(value: Any, junk: str) -> None:
    """Nothing but a LoadError ever leaves."""
    for text in (junk, json.dumps(value), json.dumps({"http": {"auth": value}})):
        setup = read_or_none(text)
        assert setup is None or setup.realm is None or isinstance(setup.realm, str)
