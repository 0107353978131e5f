"""The parameters of a request: a result or the documented error, never anything else."""

from __future__ import annotations

import contextlib
import io
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import InvalidRequest, RequestError
from tokenserver.scopes import ScopeLimits
from tokenserver.web.parameters import (
    BYTES_PER_FIELD,
    MIN_BODY,
    READ_BODY,
    SECRETS,
    SINGLE,
    Parameters,
    RequestTooLarge,
    UnsupportedMediaType,
    _decoded_fields,
    max_body,
    parse_form,
    parse_parameters,
    parse_query,
)

MAX_BODY = 128 * 1024
MAX_FIELDS = MAX_BODY // BYTES_PER_FIELD
FORM = "application/x-www-form-urlencoded"


class Trickle(io.BytesIO):
    """A body that comes a few bytes at a time and remembers how much was taken."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        """At most seven bytes."""
        chunk = super().read(min(7, size if size is not None and size >= 0 else 7))
        self.taken += len(chunk)
        return chunk


TEXTS = [
    pytest.param("", Parameters({}, ()), id="nothing"),
    pytest.param("service=a&scope=x&scope=y", Parameters({"service": "a"}, ("x", "y")), id="repeated-scope"),
    pytest.param("service=a+b%20c", Parameters({"service": "a b c"}, ()), id="both-blanks"),
    pytest.param("scope=", Parameters({}, ("",)), id="empty-scope"),
    pytest.param("unknown=1&unknown=2&service=a", Parameters({"service": "a"}, ()), id="unknown-ignored"),
    pytest.param("username=%C3%A9", Parameters({"username": "é"}, ()), id="utf-8"),
    pytest.param("service", Parameters({"service": ""}, ()), id="no-equals-sign"),
    pytest.param("a;service=b", Parameters({}, ()), id="semicolon-is-no-separator"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_texts_have_their_parameters(text: str, expected: Parameters) -> None:
    """WHATWG form decoding; unknown parameters are for others."""
    assert parse_parameters(text) == expected


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_a_single_valued_parameter_stands_once(name: str) -> None:
    """The second one is refused, equal or not, and the value is not in the error (docs/design/threats.md#threat-30)."""
    with pytest.raises(InvalidRequest) as caught:
        parse_parameters(f"{name}=canary&{name}=canary")
    assert str(caught.value) == f"{name}: is given twice"


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_in_a_query_is_refused(name: str) -> None:
    """However it is spelt in percent-encoding; the value is not in the error (docs/design/threats.md#threat-29)."""
    encoded = "".join(f"%{ord(letter):02x}" for letter in name)
    for spelling in (name, encoded):
        with pytest.raises(InvalidRequest) as caught:
            parse_query(f"service=a&{spelling}=canary")
        assert "canary" not in str(caught.value)


def test_the_number_of_fields_is_bounded() -> None:
    """As many as are allowed are read, one more is refused."""
    fields = [("scope", "x")] * MAX_FIELDS
    assert len(parse_parameters(urlencode(fields)).scopes) == MAX_FIELDS
    with pytest.raises(InvalidRequest):
        parse_parameters(urlencode([*fields, ("scope", "x")]))


@pytest.mark.parametrize(
    ("scope_bytes", "bytes_allowed"),
    [
        pytest.param(65_536, 131_072, id="default"),
        pytest.param(512, MIN_BODY, id="small"),
        pytest.param(262_144, 524_288, id="large"),
    ],
)
def test_forms_and_queries_fit_the_scope_text(scope_bytes: int, bytes_allowed: int) -> None:
    """Percent-encoding makes scope text longer: a name of single letters and slashes to twice its length."""
    limits = ScopeLimits(10_000, scope_bytes)
    assert max_body(limits) == bytes_allowed
    scope = "repository:" + "/".join("a" * (scope_bytes // 2 - 20)) + ":pull"
    text = urlencode({"scope": scope})
    assert scope_bytes < 600 or len(text) > 1.9 * len(scope)
    assert parse_query(text, limits).scopes == (scope,)
    environ = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(len(text)), "wsgi.input": io.BytesIO(text.encode())}
    assert parse_form(environ, limits).scopes == (scope,)
    with pytest.raises(InvalidRequest, match=rf"longer than {bytes_allowed} bytes; .* raise limits\.scope_bytes "):
        parse_query("scope=" + "x" * bytes_allowed, limits)
    environ["CONTENT_LENGTH"] = str(bytes_allowed + 1)
    with pytest.raises(RequestTooLarge, match=rf"larger than {bytes_allowed} bytes; .* raise limits\.scope_bytes "):
        parse_form(environ, limits)


def test_a_thousand_scopes_twice_fit_into_the_fields() -> None:
    """Each in a parameter of its own, as Go clients send them."""
    scopes = [("scope", f"repository:r{number}:pull") for number in range(1000)] * 2
    assert len(parse_query(urlencode(scopes)).scopes) == 2000


@given(
    st.lists(
        st.text("ab=&+%23AFaf:/é\x00", max_size=12)
        | st.sampled_from(["scope=repository%3Aa%2Fb%3Apull", "%2%3AF", "%253A"]),
        max_size=5,
    ).map("&".join)
)
def test_fields_are_decoded_as_the_library_does(text: str) -> None:
    """The short way for usual escapes changes nothing: every field is as `parse_qsl` has it."""
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(InvalidRequest, match="UTF-8"):
            parse_parameters(text)
    else:
        fields = text.split("&")
        decoded = zip(fields, _decoded_fields(text, fields), strict=True)
        assert [(name, value) for field, (name, _, value) in decoded if field] == expected


@given(st.text())
def test_any_text_is_parameters_or_a_request_error(text: str) -> None:
    """Nothing else ever comes out, for queries and for forms."""
    for parse in (parse_parameters, parse_query):
        with contextlib.suppress(RequestError):
            assert isinstance(parse(text), Parameters)


@given(st.binary(max_size=300), st.booleans())
def test_any_body_is_parameters_or_a_request_error(body: bytes, announces_length: bool) -> None:
    """Announced or chunked, whatever the bytes."""
    environ = {"CONTENT_TYPE": FORM, "wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    if announces_length:
        environ["CONTENT_LENGTH"] = str(len(body))
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse_form(environ), Parameters)


@pytest.mark.parametrize("length", [MAX_BODY, MAX_BODY + 1, 10 * MAX_BODY])
def test_no_more_is_read_of_a_chunked_body_than_its_limit(length: int) -> None:
    """At the limit it is read whole; beyond, one byte more than the limit is taken and it is refused."""
    body = Trickle(b"service=" + b"x" * (length - 8))
    environ = {"CONTENT_TYPE": FORM, "wsgi.input": body, "wsgi.input_terminated": True}
    if length <= MAX_BODY:
        assert len(parse_form(environ).single["service"]) == length - 8
    else:
        with pytest.raises(RequestTooLarge):
            parse_form(environ)
    assert body.taken == min(length, MAX_BODY + 1)


@pytest.mark.parametrize("length", ["131073", "8000000", "9" * 5_000])
def test_a_long_announced_body_is_not_read_at_all(length: str) -> None:
    """413 immediately (docs/design/threats.md#threat-41)."""
    body = Trickle(b"x" * (MAX_BODY + 1))
    environ = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": length, "wsgi.input": body}
    with pytest.raises(RequestTooLarge):
        parse_form(environ)
    assert body.taken == 0


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_body_that_was_cut_off_is_refused(cut: int) -> None:
    """Half a password must not be tried: it would count as a wrong one, and could lock its user out."""
    whole = b"grant_type=password&username=ann&password=secret"
    environ = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(len(whole)), "wsgi.input": Trickle(whole[:-cut])}
    with pytest.raises(InvalidRequest, match="shorter than Content-Length"):
        parse_form(environ)


def test_a_body_that_the_server_has_read_is_not_read_again() -> None:
    """Its headers were checked before it was read; those of a chunked one have no length."""
    environ = {READ_BODY: b"service=a", "wsgi.input": Trickle(b"service=b")}
    assert parse_form(environ).get("service") == "a"


def test_without_length_and_end_a_body_is_empty() -> None:
    """PEP 3333: reading on could wait for ever."""
    environ = {"CONTENT_TYPE": FORM, "wsgi.input": Trickle(b"service=a")}
    assert parse_form(environ) == Parameters({}, ())


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "0x10", "1,2"])
def test_a_strange_length_is_refused(length: str) -> None:
    """Only ASCII digits are a length."""
    environ = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"")}
    with pytest.raises(InvalidRequest):
        parse_form(environ)


@pytest.mark.parametrize("media_type", [FORM, FORM.upper(), f"{FORM}; charset=utf-8", f" {FORM} ;x"])
def test_a_form_may_name_its_charset(media_type: str) -> None:
    """containerd does."""
    environ = {"CONTENT_TYPE": media_type, "CONTENT_LENGTH": "9", "wsgi.input": io.BytesIO(b"service=a")}
    assert parse_form(environ).get("service") == "a"


@pytest.mark.parametrize("media_type", ["", "application/json", "multipart/form-data", f"{FORM}x"])
def test_anything_else_is_no_form(media_type: str) -> None:
    """See docs/design/threats.md#threat-103."""
    environ = {"CONTENT_TYPE": media_type, "CONTENT_LENGTH": "9", "wsgi.input": io.BytesIO(b"service=a")}
    with pytest.raises(UnsupportedMediaType):
        parse_form(environ)
