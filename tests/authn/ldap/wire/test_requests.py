"""Encoded requests: their bytes, and input that has none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.ber import message_size, values
from tokenserver.authn.ldap.deadline import Unanswerable
from tokenserver.authn.ldap.wire import requests

POLICY = b"\xa0\x1d\x30\x1b\x04\x191.3.6.1.4.1.42.2.27.8.5.1"
"""The control of the password policy, which is not critical."""


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(
            requests.simple_bind(1, "cn=a", b"pw"),
            b"\x30\x31\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw" + POLICY,
            id="simple bind",
        ),
        pytest.param(
            requests.external_bind(2),
            b"\x30\x37\x02\x01\x02\x60\x13\x02\x01\x03\x04\x00\xa3\x0c\x04\x08EXTERNAL\x04\x00" + POLICY,
            id="SASL EXTERNAL, with empty credentials",
        ),
        pytest.param(
            requests.start_tls(3), b"\x30\x1d\x02\x01\x03\x77\x18\x80\x161.3.6.1.4.1.1466.20037", id="StartTLS"
        ),
        pytest.param(
            requests.who_am_i(4), b"\x30\x1e\x02\x01\x04\x77\x19\x80\x171.3.6.1.4.1.4203.1.11.3", id="Who am I?"
        ),
        pytest.param(requests.unbind(5), b"\x30\x05\x02\x01\x05\x42\x00", id="unbind"),
        pytest.param(
            requests.search(6, "dc=a", "(uid=b)", ["cn"], limit=2, seconds=5, is_read=True),
            b"\x30\x2a\x02\x01\x06\x63\x25\x04\x04dc=a\x0a\x01\x00\x0a\x01\x00\x02\x01\x02\x02\x01\x05\x01\x01\x00"
            b"\xa3\x08\x04\x03uid\x04\x01b\x30\x04\x04\x02cn",
            id="read",
        ),
    ],
)
def test_a_request(request_: bytes, expected: bytes) -> None:
    """Byte for byte as RFC 4511 has it."""
    assert request_ == expected


@pytest.mark.parametrize(
    ("limit", "cookie", "is_critical"),
    [
        pytest.param(0, b"", True, id="first page of all"),
        pytest.param(9, b"", False, id="first page with a limit"),
        pytest.param(9, b"c", True, id="later page"),
    ],
)
def test_a_page(limit: int, cookie: bytes, is_critical: bool) -> None:
    """Not critical where a server without paging can answer as well."""
    encoded = requests.search(1, "dc=a", "(uid=b)", ["cn"], limit=limit, seconds=5, page=(7, cookie))
    assert (b"1.2.840.113556.1.4.319\x01\x01\xff" in encoded) is is_critical
    assert encoded.endswith(b"\x02\x01\x07\x04" + bytes([len(cookie)]) + cookie)


@given(st.integers(1, 2**31 - 1), st.text(max_size=20), st.text(max_size=20))
def test_any_search_is_one_message_or_none(number: int, base: str, search_filter: str) -> None:
    """Input that cannot be encoded is an error, never half a message."""
    with contextlib.suppress(Unanswerable):
        encoded = requests.search(number, base, search_filter, ["cn"], limit=1, seconds=1)
        assert message_size(encoded) == len(encoded)
        assert len(values(encoded)) == 1


def test_what_cannot_be_encoded() -> None:
    """The error says what to correct."""
    with pytest.raises(Unanswerable, match="the request cannot be encoded") as caught:
        requests.search(1, "dc=a", "(uid=b", ["cn"], limit=1, seconds=1)
    assert caught.value.failure.fix == "correct user_filter and the names of attributes"
