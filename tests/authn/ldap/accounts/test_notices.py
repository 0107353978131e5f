"""Remarks about passwords: who is warned, how often, and how long a login vouches."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from tokenserver.authn.ldap.accounts.notices import GRACE_SECONDS, PasswordNotices, limited, remark
from tokenserver.authn.ldap.accounts.password_policy import NO_RESPONSE, PolicyResponse
from tokenserver.identity import Identity, Kind

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN = Identity("ann", Kind.PASSWORD, "corp")
DN = "uid=ann,dc=example,dc=com"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(NO_RESPONSE, "", id="nothing"),
        pytest.param(PolicyResponse(error=3), "", id="an error is not about an accepted password"),
        pytest.param(
            PolicyResponse(grace_left=2), "the password has expired; this was a grace login, 2 left", id="grace"
        ),
        pytest.param(
            PolicyResponse(grace_left=0), "the password has expired; this was a grace login, 0 left", id="the last one"
        ),
        pytest.param(PolicyResponse(expires_in=0), "the password expires in 0 seconds", id="now"),
        pytest.param(PolicyResponse(expires_in=119), "the password expires in 1 minute", id="minute"),
        pytest.param(PolicyResponse(expires_in=7200), "the password expires in 2 hours", id="hours"),
        pytest.param(PolicyResponse(expires_in=3 * 86400 + 5), "the password expires in 3 days", id="days"),
    ],
)
def test_a_remark(policy: PolicyResponse, expected: str) -> None:
    """In the largest unit that fits."""
    assert remark(policy) == expected


def test_the_remarks_about_users(caplog: pytest.LogCaptureFixture) -> None:
    """Each grace login is a warning; that a password expires is information, once for one password."""
    caplog.set_level(logging.INFO, "tokenserver.ldap")
    notices = PasswordNotices()
    for left in (1, 0, 0):
        notices.user("corp", DN, PolicyResponse(grace_left=left), NOW)
    for hours in range(3):
        notices.user("corp", DN, PolicyResponse(expires_in=86400 - hours * 3600), NOW + timedelta(hours=hours))
    notices.user("corp", DN, NO_RESPONSE, NOW)
    notices.user("corp", DN, PolicyResponse(expires_in=30 * 86400), NOW)
    notices.user("other", "uid=b\nc", PolicyResponse(expires_in=60), NOW)
    grace = f"corp: {DN}: the password has expired; this was a grace login"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"{grace}, 1 left"),
        ("WARNING", f"{grace}, 0 left"),
        ("WARNING", f"{grace}, 0 left"),
        ("INFO", f"corp: {DN}: the password expires in 1 day"),
        ("INFO", f"corp: {DN}: the password expires in 30 days"),
        ("INFO", "other: uid=b\\nc: the password expires in 1 minute"),
    ]


def test_the_remarks_about_the_service_account(caplog: pytest.LogCaptureFixture) -> None:
    """A warning with a fix, once for the same remark, although each new connection binds."""
    notices = PasswordNotices()
    for policy in (PolicyResponse(expires_in=60), PolicyResponse(expires_in=59), PolicyResponse(grace_left=1)) * 2:
        notices.service("corp", "cn=reader", policy, NOW)
    notices.service("corp", "cn=reader", NO_RESPONSE, NOW)
    fix = "; fix: give it a password that does not expire, or renew it here and in the directory"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"corp: service account cn=reader: the password expires in 1 minute{fix}"),
        ("WARNING", f"corp: service account cn=reader: the password has expired; this was a grace login, 1 left{fix}"),
    ]


def test_remarks_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """However many users there are, memory and log stay small."""
    caplog.set_level(logging.INFO, "tokenserver.ldap")
    notices = PasswordNotices(limit=2)
    for number in range(5):
        notices.user("corp", f"uid={number}", PolicyResponse(expires_in=60), NOW)
    assert [record.message.split()[1] for record in caplog.records] == ["uid=0:", "uid=1:"]


@pytest.mark.parametrize(
    ("policy", "ends", "expected"),
    [
        pytest.param(NO_RESPONSE, [], None, id="nothing ends"),
        pytest.param(PolicyResponse(expires_in=30), [], 30.0, id="the password expires"),
        pytest.param(PolicyResponse(grace_left=3), [], GRACE_SECONDS, id="a grace login"),
        pytest.param(NO_RESPONSE, [NOW + timedelta(seconds=9), NOW + timedelta(seconds=5)], 5.0, id="the account"),
        pytest.param(PolicyResponse(grace_left=3), [NOW + timedelta(seconds=9)], 9.0, id="whichever ends first"),
        pytest.param(NO_RESPONSE, [NOW - timedelta(seconds=1)], 0.0, id="meanwhile"),
    ],
)
def test_how_long_a_login_vouches(policy: PolicyResponse, ends: list[datetime], expected: float | None) -> None:
    """No longer than the password and the account are valid. It stays the same identity for policies."""
    found = limited(ANN, policy, ends, NOW)
    assert (found, hash(found), found.valid_for) == (ANN, hash(ANN), expected)
