"""zot's configuration: what is read of it, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.facts import Setup
from tokenserver.doctor.zot import MAX_TEXT, looks_like_zot, read_zot
from tokenserver.errors import LoadError


def config(**bearer: Any) -> str:
    return json.dumps({"http": {"tls": {"cert": "x"}, "auth": {"bearer": bearer}}}, indent=2)


def test_all_of_it_is_read() -> None:
    """Whatever the case of its keys; a key that zot does not know is named."""
    setup = read_zot(config(Realm="https://a/token", service="s", cert="/c.pem", certt="x"), "zot.json")
    assert (setup.is_zot, setup.auth, setup.https) == (True, "token", True)
    assert (setup.realm, setup.service, setup.bundle) == ("https://a/token", "s", "/c.pem")
    assert setup.strange == (("certt", "did you mean 'cert'?"),)
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
    """Without bearer it is whatever else stands there."""
    assert read_zot(json.dumps({"http": {"auth": auth}}), "zot.json").auth == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param('{"http": {},\n}', "zot.json:2: is not JSON", id="a comma too many"),
        pytest.param('{"storage": {}}', "zot.json: http: is missing", id="no http"),
        pytest.param("[]", "zot.json: http: is missing", id="a list"),
        pytest.param('{"http": {"a": 1, "A": 2}}', "zot.json: is not read: the key 'A' stands twice", id="twice"),
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
