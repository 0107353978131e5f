"""The contract of every user source, at those that need no program beside this one, and that every source is tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract
from htpasswd_users import hashed
from user_tables import QUERY, make_table, users_of

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.config.sources.user_source import UserSource

TESTS = Path(__file__).parents[1]

TESTED_IN = {
    "htpasswd": "authn/test_authenticator.py",
    "ldap": "e2e/test_authenticator_contract.py",
    "http": "authn/hooks/test_http_hook.py",
    "program": "authn/hooks/test_program_hook.py",
    "sql": "authn/test_authenticator.py",
}
"""Each key of `authentication`, and the file that runs the contract for its kind of source."""


class TestHtpasswd(AuthenticatorContract):
    """An htpasswd file."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Authenticator:
        """A file with the user alice."""
        return Htpasswd(NAME, "users", parse_users(f"alice:{hashed(GOOD)}\n", "users"))


class TestSql(AuthenticatorContract):
    """A table in a file of SQLite. Servers: tests/e2e/test_sql_users.py."""

    @pytest.fixture(scope="class", params=["with subject", "without subject"])
    @classmethod
    def backend(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
        """A table with the user alice."""
        file = make_table(tmp_path_factory.mktemp("sql") / "users.db", ("alice", hashed(GOOD), "dev", 1))
        query = QUERY if request.param == "with subject" else "SELECT password_hash FROM users WHERE name = :user"
        return users_of(file, query, name=NAME)


def test_every_kind_of_source_keeps_the_contract() -> None:
    """No kind of source can be configured whose contract is not tested."""
    users = UserSource.model_fields.keys() - {"workload", "oidc"}  # which are asked for no password
    assert TESTED_IN.keys() == users
    assert all("(AuthenticatorContract)" in (TESTS / file).read_text("utf-8") for file in TESTED_IN.values())
