"""The password policy control: as the draft has it, as servers send it, damaged, and any bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rogue_directory import tagged

from tokenserver.authn.ldap.accounts.password_policy import (
    NO_RESPONSE,
    BindResult,
    PolicyResponse,
    parse_policy_response,
)
from tokenserver.authn.ldap.ber import Malformed
from tokenserver.authn.ldap.failures.causes import FailureCause

GRACE = b"\xa0\x03\x81\x01\x02"
EXPIRING = b"\xa0\x05\x80\x03\x01\x51\x80"
EXPIRED = b"\x81\x01\x00"


def _short(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return b"\x30" + bytes([len(content)]) + content


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"", NO_RESPONSE, id="no control"),
        pytest.param(_short(), NO_RESPONSE, id="nothing to say"),
        pytest.param(_short(EXPIRED), PolicyResponse(error=0), id="expired, as slapd sends it"),
        pytest.param(_short(GRACE), PolicyResponse(grace_left=2), id="a grace login, as slapd sends it"),
        pytest.param(_short(EXPIRING), PolicyResponse(expires_in=86400), id="expires in a day, as slapd sends it"),
        pytest.param(_short(b"\x81\x01\x02"), PolicyResponse(error=2), id="must be changed"),
        pytest.param(_short(GRACE, b"\x81\x01\x02"), PolicyResponse(error=2, grace_left=2), id="both"),
        pytest.param(_short(b"\x81\x01\x02", GRACE), PolicyResponse(error=2, grace_left=2), id="in the other order"),
        pytest.param(_short(b"\xa0\x03\x81\x01\x00"), PolicyResponse(grace_left=0), id="the last grace login"),
        pytest.param(tagged(0x30, tagged(0x81, b"\x01")), PolicyResponse(error=1), id="long lengths"),
        pytest.param(_short(b"\x82\x01\x07", EXPIRED), PolicyResponse(error=0), id="an element of a later draft"),
        pytest.param(_short(b"\xa0\x03\x82\x01\x07"), NO_RESPONSE, id="a warning of a later draft"),
    ],
)
def test_a_response(value: bytes, expected: PolicyResponse) -> None:
    """Warning and error are both optional."""
    assert parse_policy_response(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"\x31\x00", id="another kind"),
        pytest.param(_short() + b"\x00", id="more than one value"),
        pytest.param(b"\x30\x80", id="no length"),
        pytest.param(b"\x30\x05" + EXPIRED, id="cut"),
        pytest.param(_short(b"\x81\x00"), id="an error without a number"),
        pytest.param(_short(b"\x81\x05\x00\x00\x00\x00\x00"), id="an error of five bytes"),
        pytest.param(_short(b"\x81\x01\xff"), id="a negative error"),
        pytest.param(_short(b"\xa0\x03\x80\x01\x80"), id="negative seconds"),
        pytest.param(_short(b"\xa0\x00"), id="a warning without a choice"),
        pytest.param(_short(b"\xa0\x06\x80\x01\x01\x81\x01\x01"), id="two choices"),
        pytest.param(_short(GRACE, GRACE), id="the same twice"),
        pytest.param(_short(EXPIRED, EXPIRED), id="two errors"),
    ],
)
def test_a_damaged_response(value: bytes) -> None:
    """Rejected, and not taken for silence: a success might hide `changeAfterReset` behind it."""
    with pytest.raises(Malformed):
        parse_policy_response(value)


@given(st.binary(max_size=30) | st.binary(max_size=30).map(_short))
def test_any_bytes(value: bytes) -> None:
    """Any bytes are a response with numbers that are not negative, or malformed."""
    with contextlib.suppress(Malformed):
        found = parse_policy_response(value)
        numbers = (found.error, found.expires_in, found.grace_left)
        assert all(number is None or 0 <= number < 2**31 for number in numbers)


@given(
    st.none() | st.integers(0, 2**31 - 1),
    st.none() | st.tuples(st.sampled_from([0x80, 0x81]), st.integers(0, 2**31 - 1)),
)
def test_any_response(error: int | None, warning: tuple[int, int] | None) -> None:
    """What the draft allows is read as it was written."""
    parts = []
    if warning is not None:
        kind, number = warning
        parts.append(tagged(0xA0, tagged(kind, number.to_bytes(4, "big"))))
    if error is not None:
        parts.append(tagged(0x81, error.to_bytes(4, "big")))
    expected = PolicyResponse(
        error,
        warning[1] if warning is not None and warning[0] == 0x80 else None,
        warning[1] if warning is not None and warning[0] == 0x81 else None,
    )
    assert parse_policy_response(tagged(0x30, b"".join(parts))) == expected


@pytest.mark.parametrize(
    ("code", "policy", "is_accepted", "cause"),
    [
        pytest.param(0, NO_RESPONSE, True, None, id="success"),
        pytest.param(0, PolicyResponse(grace_left=0), True, None, id="a grace login"),
        pytest.param(0, PolicyResponse(error=2), False, FailureCause.MUST_CHANGE, id="must change"),
        pytest.param(0, PolicyResponse(error=7), False, FailureCause.PASSWORD_POLICY, id="a success with an odd error"),
        pytest.param(49, NO_RESPONSE, False, None, id="wrong"),
        pytest.param(49, PolicyResponse(error=0), False, FailureCause.PASSWORD_EXPIRED, id="expired"),
        pytest.param(49, PolicyResponse(error=1), False, FailureCause.LOCKED, id="locked"),
        pytest.param(49, PolicyResponse(error=7), False, None, id="wrong, with an odd error"),
    ],
)
def test_a_bind_that_counts(code: int, policy: PolicyResponse, is_accepted: bool, cause: FailureCause | None) -> None:
    """Only a success without any error is a login."""
    found = BindResult(code, "", policy=policy)
    assert (found.is_accepted, found.cause) == (is_accepted, cause)
