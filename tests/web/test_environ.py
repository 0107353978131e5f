"""The environ that granian's requests become: one variable for one name, whatever names a client sends."""

from __future__ import annotations

import pytest
from granian_requests import Headers, Lines, Scope
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.web.environ import decisive_environ, environ_of


def of(*lines: tuple[str, str]) -> dict[str, object]:
    """The variables that these header lines become."""
    environ = environ_of(Scope(Headers(lines)), {})
    return {name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))}


def test_the_request() -> None:
    """What PEP 3333 asks for, over what all requests have in common."""
    assert environ_of(Scope(), {"wsgi.version": (1, 0), "SCRIPT_NAME": ""}) == {
        "wsgi.version": (1, 0),
        "SCRIPT_NAME": "",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/token",
        "QUERY_STRING": "service=a",
        "REMOTE_ADDR": "192.0.2.7",
        "SERVER_NAME": "10.0.0.1",
        "SERVER_PORT": "5001",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "auth.example.com",
    }


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        pytest.param("192.0.2.7:1", "192.0.2.7", id="IPv4"),
        pytest.param("[2001:db8::1]:1", "2001:db8::1", id="IPv6"),
        pytest.param("[fe80::1%2]:1", "fe80::1%2", id="IPv6 with a zone"),
    ],
)
def test_the_peer(client: str, expected: str) -> None:
    """The address alone, without port and brackets."""
    assert environ_of(Scope(client=client, server=client), {})["REMOTE_ADDR"] == expected
    assert environ_of(Scope(client=client, server=client), {})["SERVER_NAME"] == expected


def test_a_path_beyond_ascii() -> None:
    """PEP 3333: bytes as Latin-1."""
    assert environ_of(Scope(path="/tökén"), {})["PATH_INFO"] == "/tökén".encode().decode("latin-1")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], {"HTTP_HOST": ""}, id="nothing"),
        pytest.param([("x-forwarded-for", "1"), ("x-forwarded-for", "2")], "1,2", id="two lines are joined"),
        pytest.param([("x-forwarded-for", "1"), ("x_forwarded_for", "2")], "1", id="an underscore behind"),
        pytest.param([("x_forwarded_for", "2"), ("x-forwarded-for", "1")], "1", id="an underscore in front"),
        pytest.param([("x-forwarded_for", "2"), ("x-forwarded-for", "1")], "1", id="one underscore"),
        pytest.param([("x_forwarded_for", "2")], None, id="an underscore alone"),
        pytest.param([("x_forwarded_for", "\xff")], None, id="an underscore alone, not ASCII"),
        pytest.param([("x-forwarded-for", "\xff")], "", id="not ASCII"),
    ],
)
def test_forwarding(lines: Lines, expected: object) -> None:
    """`X-Forwarded-For` is what was sent under that name, and nothing else."""
    found = of(*lines)
    assert (found if isinstance(expected, dict) else found.get("HTTP_X_FORWARDED_FOR")) == expected


@pytest.mark.parametrize(
    ("lines", "name", "expected"),
    [
        pytest.param([("content-type", "a"), ("content_type", "b")], "CONTENT_TYPE", "a", id="type"),
        pytest.param([("content-length", "1"), ("content_length", "2")], "CONTENT_LENGTH", "1", id="length"),
        pytest.param([("content_length", "2")], "CONTENT_LENGTH", None, id="no length"),
        pytest.param([("content-length", "1"), ("content-length", "2")], "CONTENT_LENGTH", "1,2", id="two lengths"),
        pytest.param([("authorization", "a"), ("authorization", "b")], "HTTP_AUTHORIZATION", "a,b", id="two logins"),
        pytest.param([("authorization", "\xff")], "HTTP_AUTHORIZATION", "", id="an unreadable login"),
        pytest.param([("transfer-encoding", "chunked")], "HTTP_TRANSFER_ENCODING", "chunked", id="a coding"),
        pytest.param(
            [("transfer-encoding", "\xff"), ("transfer-encoding", "chunked")],
            "HTTP_TRANSFER_ENCODING",
            "",
            id="an unreadable coding in front",
        ),
        pytest.param([("transfer_encoding", "x")], "HTTP_TRANSFER_ENCODING", None, id="no coding"),
        pytest.param([("proxy", "x")], "HTTP_PROXY", "x", id="Proxy"),
        pytest.param([("script-name", "/x")], "SCRIPT_NAME", None, id="Script-Name"),
    ],
)
def test_other_headers(lines: Lines, name: str, expected: str | None) -> None:
    """Each is a variable of its own; an unreadable value is empty and never absent."""
    assert environ_of(Scope(Headers(lines)), {}).get(name) == expected


def test_the_host_of_the_target() -> None:
    """A request line with a whole URL and no Host header (HTTP/1.0)."""
    assert environ_of(Scope(Headers([]), authority="a.example"), {})["HTTP_HOST"] == "a.example"


CONTENT = {"content-type", "content-length"}
_NAMES = st.text("abx-_", min_size=1, max_size=4) | st.sampled_from(["content-type", "content_type", "host"])


@given(st.lists(st.tuples(_NAMES, st.text(st.characters(max_codepoint=255), max_size=5)), max_size=8))
def test_any_headers(lines: Lines) -> None:
    """No variable without a header of its very name, and no value that another name brought."""
    found = of(*lines)
    names = {name for name, _ in lines if "_" not in name}
    spelled = {name: ("" if name in CONTENT else "HTTP_") + name.upper().replace("-", "_") for name in names}
    assert len(set(spelled.values())) == len(names)
    assert set(found) == {*spelled.values(), "HTTP_HOST"}
    for name in names:
        readable = [value for known, value in lines if known == name and value.isascii()]
        assert found[spelled[name]] == ",".join(readable)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("authorization", "x-forwarded-for", "x-forwarded-proto", "transfer-encoding", "content-type"),
                    *("content_type", "x_forwarded_for", "x-forwarded_proto", "authorization_", "host", "x"),
                ]
            ),
            st.text(st.characters(max_codepoint=255), max_size=3),
        ),
        max_size=8,
    )
)
def test_requests_for_tokens_are_decided_by_the_same(lines: Lines) -> None:
    """The part of the environ for them has the same values as the whole one, and no other header."""
    scope = Scope(Headers(lines))
    whole = environ_of(scope, {"wsgi.input_terminated": True})
    part = decisive_environ(scope, scope.method, scope.path)
    assert part.items() <= whole.items()
    decisive = {"HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_TRANSFER_ENCODING"}
    decisive |= {"CONTENT_TYPE", "CONTENT_LENGTH"}
    assert whole.keys() & decisive == part.keys() & decisive
