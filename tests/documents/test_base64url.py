"""Base64url: one spelling is written, what others wrote is read, and tokens have exactly one spelling."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.base64url import decode_base64url, decode_canonical_base64url, encode_base64url


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", "", id="empty"),
        pytest.param(b"f", "Zg", id="one byte"),
        pytest.param(b"fo", "Zm8", id="two bytes"),
        pytest.param(b"foo", "Zm9v", id="three bytes"),
        pytest.param(b"\xfb\xff\xfe", "-__-", id="both characters of the URL-safe alphabet"),
        pytest.param(bytes([3, 236, 255, 224, 193]), "A-z_4ME", id="RFC 7515, appendix C"),
    ],
)
def test_the_encoding(content: bytes, text: str) -> None:
    """RFC 4648, sections 5 and 10, without padding; both decoders read it back."""
    assert encode_base64url(content) == text
    assert decode_base64url(text) == decode_canonical_base64url(text) == content


@given(st.binary(max_size=200))
def test_it_is_the_encoding_of_the_standard_library(content: bytes) -> None:
    """Any bytes, there and back."""
    text = encode_base64url(content)
    assert text == base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
    assert decode_base64url(text) == decode_canonical_base64url(text) == content


@pytest.mark.parametrize(
    "text", ["Zg==", "Zg=", "Zh", "Zm-", "Z", "Zm9v\n", "Zm 9v", "+//+", "Zm9v=", "=", "Zmö9", "é"]
)
def test_only_the_canonical_spelling_is_read(text: str) -> None:
    """No padding, no stray bits, no other alphabet, nothing in between: a token has one spelling."""
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what is wrong with its own text
        decode_canonical_base64url(text)


@given(st.text(max_size=40) | st.text(alphabet="AQgw-_+/=Zm9v", max_size=12))
def test_a_text_that_is_read_is_the_one_that_would_be_written(text: str) -> None:
    """Whatever the text: refused, or the only spelling of its bytes."""
    try:
        content = decode_canonical_base64url(text)
    except ValueError:
        return
    assert encode_base64url(content) == text


@pytest.mark.parametrize("text", ["Zg==", "Zg", "Zh"])
def test_padding_of_others_is_read(text: str) -> None:
    """Registries' files and pasted tokens come from other programs."""
    assert decode_base64url(text) == b"f"


@pytest.mark.parametrize("text", ["Z", "Zm 9v", "Zm9v\n", "é", "Zg=x"])
def test_no_base64url_is_an_error(text: str) -> None:
    """They are not skipped, unlike in the standard library's own URL-safe decoder."""
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what is wrong with its own text
        decode_base64url(text)
