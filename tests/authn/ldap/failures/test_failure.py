"""The table of failures: every cause has a sentence and a fix, with facts for the log and without for /readyz."""

from __future__ import annotations

from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.failures.advice import GENERAL
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import ADVICE, DirectoryError, DirectoryFailure

SECRET = "ldap.internal"


def fields(template: str) -> set[str]:
    """The facts that a template wants."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("cause", FailureCause)
@pytest.mark.parametrize("is_service", [False, True])
def test_every_cause_has_a_row(cause: FailureCause, is_service: bool) -> None:
    """With and without facts there is a sentence and a fix, and nothing is left to fill in."""
    row = ADVICE[cause]
    wanted = set().union(*map(fields, (row.title, row.fix, row.service_fix, *row.more)))
    known = DirectoryFailure(cause, dict.fromkeys(wanted, SECRET), is_service)
    for failure in (known, DirectoryFailure(cause, {}, is_service)):
        assert failure.text
        assert failure.fix
        assert "{" not in failure.text
        assert str(failure) == f"{failure.text}; fix: {failure.fix}"
    assert (SECRET in str(known)) is bool(wanted - (set() if is_service or not row.service_fix else fields(row.fix)))
    assert SECRET not in known.summary
    assert fields(row.title) | fields(row.fix) | fields(row.service_fix) <= GENERAL.keys()


def test_the_facts() -> None:
    """A fragment of the sentence follows only if all of its facts are known."""
    cause = FailureCause.CERTIFICATE_NOT_YET_VALID
    title = "the server's certificate is not valid yet"
    assert DirectoryFailure(cause).text == title
    assert DirectoryFailure(cause, {"begin": "2027", "now": ""}).text == f"{title}: it begins 2027"
    assert DirectoryFailure(cause, {"begin": "2027", "now": "2026"}).text == (
        f"{title}: it begins 2027, and it is 2026 on this machine"
    )


def test_the_service_account_has_its_own_fix() -> None:
    """A user types a password again; the operator corrects a file."""
    user, service = (DirectoryFailure(FailureCause.WRONG_PASSWORD, is_service=one) for one in (False, True))
    assert user.text == service.text == "wrong password"
    assert user.fix.startswith("type the password again")
    assert service.fix == "correct bind_dn and its password (bind_password_file)"
    assert service.summary == f"wrong password; fix: {service.fix}"


@given(st.text())
def test_a_fact_is_on_one_line(text: str) -> None:
    """Whatever a server says: one line, of limited length, and braces in it mean nothing."""
    failure = DirectoryFailure(FailureCause.OTHER_RESULT, {"code": "80", "said": text})
    assert len(str(failure).splitlines()) == 1
    assert len(str(failure)) < 500


def test_the_error() -> None:
    """It carries the failure, made of a cause and facts or as it is."""
    failure = DirectoryFailure(FailureCause.UNREACHABLE, {"detail": "no route to host"})
    for error in (DirectoryError(failure), DirectoryError(FailureCause.UNREACHABLE, detail="no route to host")):
        assert (error.failure, error.cause, error.reason) == (failure, FailureCause.UNREACHABLE, failure.text)
        assert str(error) == "the server is unreachable: no route to host"
