"""Names of other programs: legal in policies, or why not."""

from __future__ import annotations

import pytest

from tokenserver.importers.legal_names import group_problem, repository_problem, user_problem


@pytest.mark.parametrize("name", ["ann", "robot$web+ci", "org+ci", "Ann Smith", "é"])
def test_users(name: str) -> None:
    """They can exist here."""
    assert user_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("", "the name is empty", id="nothing"),
        pytest.param("a*", "a name must not hold '*'", id="a wildcard"),
        pytest.param("everyone", "the name is reserved", id="a set"),
        pytest.param("robots", "is a set of clients", id="a set of machines"),
        pytest.param("user x, user:y", "a name must not hold ':'", id="several"),
    ],
)
def test_no_users(name: str, problem: str) -> None:
    """The reason, as a report says it."""
    assert problem in user_problem(name)


def test_groups() -> None:
    """A directory's groups may have any characters, apart from control characters."""
    assert [group_problem(name) for name in ("devs", "all*stars", " x", "${group}")] == ["", "", "", ""]
    assert "no control characters" in group_problem("a\nb")


def test_repositories() -> None:
    """As patterns."""
    assert repository_problem("web/**") == ""
    assert repository_problem("Web/**") != ""
