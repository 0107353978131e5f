"""Users of a database: what rows mean for logins. The contract of user sources: tests/authn/test_authenticator.py."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from htpasswd_users import ARGON2, GOOD, credentials, hashed, hashes

from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import EqualWork
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import describe
from tokenserver.authn.sql.backend import MAX_KINDS, SqlUsers
from tokenserver.authn.sql.row import Row, UnusableRow
from tokenserver.errors import AccountEnded, InvalidCredentials, TokenserverError
from tokenserver.identity import Identity

__all__ = ["hashes"]


class Table:
    """Rows by the name that finds them; every question is noted."""

    def __init__(self, rows: dict[str, Sequence[Row]]) -> None:
        self.rows = rows
        self.asked: list[str] = []

    def by_name(self, name: str) -> Sequence[Row]:
        """The rows of the name."""
        self.asked.append(name)
        return self.rows.get(name, ())

    by_subject = by_name

    def probe(self) -> None:
        """It always answers."""


def users(**rows: Row | list[Row]) -> SqlUsers:
    """A source with these rows by name."""
    return SqlUsers("people", Table({name: row if isinstance(row, list) else [row] for name, row in rows.items()}))


def answer(source: SqlUsers, name: str, text: str = "secret") -> str | None:
    """The subject, or the reason of a refusal."""
    try:
        found = source.authenticate(credentials(name, text))
    except InvalidCredentials as error:
        return error.reason
    return None if found is None else found.subject


def found(source: SqlUsers, subject: str) -> Identity | str | None:
    """The person found without a password, or the reason why there is none."""
    try:
        return source.find(subject)
    except InvalidCredentials as error:
        return f"{type(error).__name__}: {error.reason}"


def test_the_database_spells_the_name() -> None:
    """Its collation takes other spellings for the same name, and the identity is always its own.

    See docs/design/threats.md#threat-205.
    """
    row = {"password_hash": GOOD, "subject": "Ann", "groups": "dev"}
    source = users(**dict.fromkeys(("Ann", "ANN", "ann@example.com", "\uff41nn", "änn"), row))
    for name in ("Ann", "ANN", "ann@example.com", "\uff41nn"):
        assert answer(source, name) == "Ann"
    assert answer(source, "änn") is None  # one of many spellings, each of which the throttle would count alone
    assert isinstance(found(source, "Ann"), Identity)
    assert found(source, "ANN") is None


def test_without_a_subject_only_canonical_names() -> None:
    """A name that another spelling could stand for is nobody's (docs/design/threats.md#threat-205)."""
    row = {"password_hash": GOOD}
    source = users(**{"ann": row, "ANN": row, "ann ": row, "\uff41nn": row})
    assert [answer(source, name) for name in ("ann", "ANN", "ann ", "\uff41nn")] == ["ann", None, None, None]
    assert found(source, "ANN") is None


@pytest.mark.parametrize(
    ("row", "reason", "ended"),
    [
        ({"password_hash": None}, "no password is set", False),
        ({"password_hash": ""}, "no password is set", False),
        ({"password_hash": "secret"}, "the password hash is refused: the password is in plain text", False),
        ({"password_hash": "\\x2432"}, "the password hash is refused: the password is in plain text", False),
        ({"password_hash": GOOD, "enabled": "0"}, "the account is disabled", True),
        (
            {"password_hash": GOOD, "disabled": None},
            "the account counts as disabled: the column disabled is NULL",
            True,
        ),
        ({"password_hash": GOOD, "groups": "[1]"}, "the column groups has a name that is no text", False),
        ({"password_hash": GOOD, "subject": "\0"}, "the column subject cannot be a user name", False),
    ],
)
def test_refused_rows(row: Row, reason: str, *, ended: bool) -> None:
    """With the right password; and the same person is not found for a credential that acts for them.

    See docs/design/threats.md#threat-206.
    """
    source = users(ann=row)
    assert (answer(source, "ann") or "").startswith(reason)
    kind = "AccountEnded" if ended else "InvalidCredentials"
    assert str(found(source, "ann")).startswith(f"{kind}: {reason}")
    for password in ("", "wrong", str(row["password_hash"])):
        assert (answer(source, "ann", password) or "").removeprefix("wrong password, and ").startswith(reason)


def test_two_rows_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Never the first of them, and the log says so once (docs/design/threats.md#threat-205)."""
    row = {"password_hash": GOOD}
    source = users(ann=[row, row], ANN=[row, row])
    with caplog.at_level(logging.ERROR):
        assert [answer(source, name) for name in ("ann", "ann", "ANN")] == [
            "the query returns several rows for one name; fix: make the name unique, or the query narrower"
        ] * 3
    assert len(caplog.records) == 1
    assert "the user 'ann' cannot log in: the query returns several rows" in caplog.text
    assert found(source, "ann") == f"InvalidCredentials: {answer(source, 'ann')}"


@pytest.mark.parametrize("name", ["", " ", "a\0", "a\nb", "\ud800", "robot:x", "x" * 256, "\u202eann"])
def test_names_that_are_not_asked(name: str) -> None:
    """They never reach the database."""
    table = Table({})
    source = SqlUsers("people", table)
    with pytest.raises(InvalidCredentials):
        source.authenticate(credentials(name))
    assert source.find(name) is None
    assert source.look_up(name) is None
    assert source.owner_of(name) is None
    assert table.asked == []


def test_questions_without_a_password() -> None:
    """Commands look for typed names, and other sources for the owner of a namespace."""
    row = {"password_hash": GOOD, "subject": "Ann"}
    source = users(Ann=row, ann=row, eve={"password_hash": GOOD, "enabled": "0"})
    known = source.look_up("ann")
    assert known is not None
    assert known.subject == "Ann"
    assert source.look_up("nobody") is None
    assert [source.owner_of(name) for name in ("Ann", "ann", "eve", "nobody")] == ["Ann", None, "eve", None]
    with pytest.raises(AccountEnded):
        source.look_up("eve")


def test_a_new_password_changes_the_proof() -> None:
    """What was derived from the old one ends."""
    proofs = {users(ann={"password_hash": hash_}).find("ann").proof for hash_ in (GOOD, hashed())}  # type: ignore[union-attr]
    assert len(proofs) == 2


def test_an_unknown_user_costs_what_was_seen(hashes: list[str]) -> None:
    """One hash of each kind that rows have had, as a wrong password costs (docs/design/threats.md#threat-19)."""
    source = users(ann={"password_hash": GOOD}, bob={"password_hash": ARGON2}, eve={"password_hash": None})
    file = Htpasswd("local", "users", parse_users(f"kim:{hashed(cost=5)}\n", "users"))
    equal = EqualWork([source, file], lambda _, question: question())
    chain = Chain([source, file], anonymous=False, decoy=equal.unknown, rest=equal)

    def cost(name: str) -> list[str]:
        hashes.clear()
        with pytest.raises(TokenserverError):
            chain.authenticate(credentials(name, "wrong"))
        return sorted(hashes)

    cost("ann")
    cost("bob")
    expected = sorted([describe(GOOD), describe(ARGON2), "bcrypt, cost 5"])
    for name in ("ann", "bob", "eve", "kim", "nobody"):
        assert cost(name) == expected


def test_the_first_unknown_user_costs_a_new_hash() -> None:
    """Nothing was seen yet."""
    assert users().hashes.kinds == ("bcrypt, cost 10",)


def test_few_kinds_are_kept() -> None:
    """Those that were seen last."""
    rows: dict[str, Row] = {f"user-{cost}": {"password_hash": f"$2b${cost:02}${'.' * 53}"} for cost in range(4, 10)}
    source = users(**rows)
    for name in rows:
        source._learn(name, str(rows[name]["password_hash"]))
    assert source.hashes.kinds == tuple(f"bcrypt, cost {cost}" for cost in range(10 - MAX_KINDS, 10))


@pytest.mark.parametrize(("is_looked_up", "questions"), [(True, 0), (False, 1)])
def test_the_decoy_asks_for_a_random_name(*, is_looked_up: bool, questions: int) -> None:
    """Not for the one that was typed."""
    table = Table({})
    SqlUsers("people", table).decoy(credentials("ann"), is_looked_up=is_looked_up)
    assert len(table.asked) == questions
    assert "ann" not in table.asked


def test_a_query_that_fails_for_a_name(caplog: pytest.LogCaptureFixture) -> None:
    """It is a refusal of this name, and no outage for the others (docs/design/threats.md#threat-206)."""

    class Picky(Table):
        def by_name(self, name: str) -> Sequence[Row]:
            if name != "ann":
                raise UnusableRow("the query fails for this name")
            return super().by_name(name)

    source = SqlUsers("people", Picky({"ann": [{"password_hash": GOOD}]}))
    assert [answer(source, name) for name in ("ann", "bob")] == ["ann", "the query fails for this name"]
    assert "the user 'bob' cannot log in: the query fails for this name" in caplog.text
    source.decoy(credentials("ann"), is_looked_up=False)
