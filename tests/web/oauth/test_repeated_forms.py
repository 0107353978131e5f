"""Forms that come again mean the same as the first time, and nothing of their secrets is kept."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.token_tags import TAG_BYTES
from tokenserver.credentials import Credentials, NoCredentials, UnreadSecret
from tokenserver.errors import RequestError
from tokenserver.exchange.service import GrantPurpose
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import ScopeLimits, parse_scopes
from tokenserver.web.oauth import repeated_forms
from tokenserver.web.oauth.grants import granted_by
from tokenserver.web.oauth.repeated_forms import repeated_form
from tokenserver.web.parameters import READ_BODY, Parameters, parse_form
from tokenserver.web.request_reader import token_request

CANARY = "not-to-be-kept"


def body(grant: str = "password", **more: str) -> bytes:
    """A form."""
    return urlencode({"grant_type": grant, "service": "r", "scope": "repository:a/b:pull", **more}).encode()


def read(content: bytes, limits: ScopeLimits | None = None) -> Parameters:
    """The parameters of a form."""
    return repeated_form({READ_BODY: content}, *(() if limits is None else (limits,)))


Meaning = tuple[Credentials, GrantPurpose] | str


def meaning(form: Parameters) -> Meaning:
    """The credentials of a form, or why it has none."""
    try:
        return granted_by(form, NoCredentials())
    except RequestError as error:
        return str(error)


@pytest.mark.parametrize("name", ["password", "refresh_token"])
def test_a_form_that_comes_again_is_not_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody reads its secret."""
    parsed: list[bytes] = []

    def counting(environ: dict[str, bytes], *arguments: ScopeLimits) -> Parameters:
        parsed.append(environ[READ_BODY])
        return parse_form(environ, *arguments)

    monkeypatch.setattr(repeated_forms, "parse_form", counting)
    content = body(name, username="ann", **{name: f"{CANARY}-{name}"})
    first, again = read(content), read(content)
    assert (first.single, first.scopes, len(parsed)) == (again.single, again.scopes, 1)
    assert first.secret is not None
    assert again.secret is not None
    assert (type(again.secret), again.secret.tag) == (UnreadSecret, first.secret.tag)
    assert again.secret.reveal() == first.secret.reveal() == f"{CANARY}-{name}"
    assert len(parsed) == 2


def test_no_secret_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds a form again are a tag and its other parameters; see docs/design/threats.md#threat-26."""
    kept: BoundedCache[bytes, tuple[str, Parameters]] = BoundedCache(4)
    monkeypatch.setattr(repeated_forms, "_known", kept)
    for _ in range(2):
        read(body(username="ann", password=CANARY))
    assert [len(tag) for tag in kept._entries] == [TAG_BYTES]
    assert CANARY not in repr(list(kept._entries.values()))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(body(username="ann"), id="no secret"),
        pytest.param(body(username="ann", password=""), id="an empty one"),
        pytest.param(body(username="ann", password="x", refresh_token="y"), id="two"),
        pytest.param(body(username="ann", password="x", client_secret="y"), id="that of a client"),
        pytest.param(body("urn:ietf:params:oauth:grant-type:token-exchange", subject_token="eyJ"), id="an exchange"),
        pytest.param(b"password=x&username=ann", id="no grant"),
        pytest.param(body(username="ann", password="x" * 4000), id="long"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_forms_that_are_not_kept(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is parsed each time, and has its secrets where they were sent."""
    kept: BoundedCache[bytes, tuple[str, Parameters]] = BoundedCache(4)
    monkeypatch.setattr(repeated_forms, "_known", kept)
    for _ in range(2):
        found = read(content)
        assert (found, found.secret) == (parse_form({READ_BODY: content}), None)
    assert len(kept) == 0


def test_a_full_cache() -> None:
    """A form that comes once is not found again, and its secret has no tag."""
    small: BoundedCache[bytes, tuple[str, Parameters]] = BoundedCache(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeated_forms, "_known", small)
        forms = [read(body(username=name, password="x")) for name in ("ann", "ben", "ben")]
    tags = [form.secret is not None and form.secret.tag is not None for form in forms]
    assert tags == [True, False, True]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["password", "refresh_token", "other"]),
            st.dictionaries(
                st.sampled_from(["username", "password", "refresh_token", "client_id", "scope", "token"]),
                st.sampled_from(["", "ann", "é", "a b", "%2F", "eyJ"]),
            ),
        ),
        max_size=9,
    )
)
def test_forms_in_any_order(sent: list[tuple[str, dict[str, str]]]) -> None:
    """What was sent before changes nothing about what a form brings."""
    for grant, more in sent:
        content = body(grant, **more)
        found, expected = read(content), parse_form({READ_BODY: content})
        assert meaning(found) == meaning(expected)
        assert (found.scopes, found.get("service")) == (expected.scopes, expected.get("service"))


_TEXTS = [
    "repository:a/b:pull",
    "repository:a/b:push,pull",
    "repository:a:pull repository:c:*",
    "x",
    "",
    "registry:x:*",
]


@given(st.lists(st.lists(st.sampled_from(_TEXTS), max_size=3), max_size=6))
def test_what_a_form_asks_for_whenever_it_comes(sent: list[list[str]]) -> None:
    """Its scopes are parsed once or each time, and mean the same."""
    for scopes in sent:
        content = body(username="ann", password="x") + b"".join(
            b"&" + urlencode({"scope": one}).encode() for one in scopes
        )
        values = parse_form({READ_BODY: content}).scopes
        query = Parameters({}, ())
        asked = token_request({"REQUEST_METHOD": "POST"}, query, read(content), request_id="1", client=None).scopes
        assert asked == parse_scopes(values)


def test_scopes_are_parsed_once_for_a_form_that_comes_again() -> None:
    """As those of a query are."""
    content, found = body(username="ann", password="x", client_id="once"), []
    for _ in range(2):
        query = Parameters({}, ())
        found.append(
            token_request({"REQUEST_METHOD": "POST"}, query, read(content), request_id="1", client=None).scopes
        )
    assert found[0] is found[1]


def test_forms_that_break_a_rule() -> None:
    """They are refused each time."""
    for _ in range(3):
        with pytest.raises(RequestError, match="username: is given twice"):
            read(body(username="ann", password="x") + b"&username=ben")
