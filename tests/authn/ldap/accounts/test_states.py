"""States of accounts: one list of words and advice for every kind of directory."""

from __future__ import annotations

import pytest

from tokenserver.authn.ldap.accounts.states import ACTIVE_DIRECTORY, PASSWORD_POLICY_ERRORS, AccountState


@pytest.mark.parametrize("state", AccountState)
def test_every_state_has_advice(state: AccountState) -> None:
    """Its own one, which names the directory: nothing in this server's configuration changes it."""
    assert "directory" in state.advice
    assert [other for other in AccountState if other.advice == state.advice] == [state]


def test_both_kinds_of_directory_report_the_same_states() -> None:
    """A password policy has no state that Active Directory lacks, and each number has its own."""
    assert set(PASSWORD_POLICY_ERRORS.values()) < set(ACTIVE_DIRECTORY.values())
    assert set(ACTIVE_DIRECTORY.values()) == set(AccountState)
    assert len(set(ACTIVE_DIRECTORY.values())) == len(ACTIVE_DIRECTORY)
