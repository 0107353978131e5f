"""Hints about typed domains: for whoever tests a login, and in the log without the name."""

from __future__ import annotations

import logging

import pytest
from directory_entries import directory

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.users.domain_hints import DomainHintLog, not_found


@pytest.mark.parametrize(
    ("user", "domains", "expected"),
    [
        pytest.param(
            "CORP\\jdoe",
            (),
            "the name has a domain before it; people type jdoe; fix: strip_domain: [CORP]",
            id="before",
        ),
        pytest.param(
            "jdoe@corp.example.com",
            (),
            "the name has a domain after it; people type jdoe; fix: strip_domain: [corp.example.com], or compare it in "
            "user_filter: (userPrincipalName={user}) or (mail={user})",
            id="after",
        ),
        pytest.param(
            "NEW\\jdoe",
            ("CORP",),
            "the name has a domain before it; people type jdoe; fix: strip_domain: [CORP, NEW]",
            id="one more",
        ),
        pytest.param("jdoe", (), None, id="none"),
    ],
)
def test_the_hint(user: str, domains: tuple[str, ...], expected: str | None) -> None:
    """It says what is wrong, what works now, and what to configure."""
    failure = not_found(directory(domains=domains), user)
    if expected is None:
        assert failure.cause is FailureCause.NO_USER
    else:
        assert str(failure) == f"no entry matches: {expected}"


def test_the_log_has_each_domain_once(caplog: pytest.LogCaptureFixture) -> None:
    """And never the rest of the name, which may be a password typed into the wrong field."""
    caplog.set_level(logging.WARNING)
    log = DomainHintLog(limit=3)
    for user in ("CORP\\canary-1", "corp\\canary-2", "canary-3@corp.example.com", "canary-4"):
        log(directory(), user)
    assert [record.getMessage() for record in caplog.records] == [
        (
            "corp: CORP\\…: no entry matches: the name has a domain before it; people type the name without it; "
            "fix: strip_domain: [CORP]"
        ),
        (
            "corp: …@corp.example.com: no entry matches: the name has a domain after it; people type the name without "
            "it; fix: strip_domain: [corp.example.com], or compare it in user_filter: (userPrincipalName={user}) or "
            "(mail={user})"
        ),
    ]
    assert "canary" not in caplog.text


def test_the_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Clients choose what they type."""
    log = DomainHintLog(limit=2)
    for number in range(10):
        log(directory(), f"D{number}\\x")
    assert len(caplog.records) == 2
