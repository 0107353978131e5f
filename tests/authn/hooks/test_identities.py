"""Identities of users whom hooks report: which subjects and groups are accepted."""

from __future__ import annotations

import pytest

from tokenserver.authn.hooks.exchange import HookUser
from tokenserver.authn.hooks.identities import HookTerms, hook_identity
from tokenserver.errors import Incomplete, InvalidCredentials
from tokenserver.identity import Identity, Kind

HERE = HookTerms("here")


@pytest.mark.parametrize(
    ("groups", "terms", "expected"),
    [
        pytest.param(("web", "ops"), HERE, {"web", "ops"}, id="all"),
        pytest.param(("web", "reg-ops"), HookTerms("here", ("reg-*",)), {"reg-ops"}, id="allow"),
        pytest.param(("web",), HookTerms("here", None, "p/"), {"p/web"}, id="prefix"),
        pytest.param(("web", "reg-a"), HookTerms("here", ("reg-*",), "p/"), {"p/reg-a"}, id="allow and prefix"),
        pytest.param(("team=web",), HERE, {"team=web"}, id="label"),
        pytest.param(("e\u0301",), HERE, {"\u00e9"}, id="NFC"),
        pytest.param(("", "reg-a"), HookTerms("here", ("reg-*",)), {"reg-a"}, id="bad one that is not kept"),
    ],
)
def test_groups(groups: tuple[str, ...], terms: HookTerms, expected: set[str]) -> None:
    """The groups to keep, in the form in which policies name them."""
    found = hook_identity(HookUser("ann", groups), terms)
    assert found == Identity("ann", Kind.PASSWORD, "here", frozenset(expected))


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("a\0b", "control character", id="NUL"),
        pytest.param("a\nb", "control character", id="line break"),
        pytest.param("x" * 256, "longer than 255", id="long"),
    ],
)
def test_groups_that_no_policy_can_name(group: str, problem: str) -> None:
    """A rule that denies might not match, so the user gets no token; others are not concerned."""
    with pytest.raises(Incomplete, match=problem):
        hook_identity(HookUser("ann", ("web", group)), HERE)


@pytest.mark.parametrize(
    "subject",
    [
        *("", " ann", "ann ", "a\nb", "a\0b", "x" * 256, "#ann", "e\u0301", "\u200bann"),
        *("robot:ci", "workload:x:y", "anonymous", "EVERYONE", "a*b", "${user}", "$2y$10$abcdefghijklmnopqrstuv"),
    ],
)
def test_subjects_that_nobody_can_have(subject: str) -> None:
    """A hook makes nobody a robot, a set of users, or a pattern (docs/design/threats.md#threat-209)."""
    with pytest.raises(InvalidCredentials):
        hook_identity(HookUser(subject, ()), HERE)


def test_the_proof_changes_with_what_the_hook_says() -> None:
    """What the hook sends is not kept; without it there is no proof."""
    proofs = [hook_identity(HookUser("ann", (), text), HERE).proof for text in ("", "1", "2")]
    assert proofs[0] == b""
    assert len({*proofs}) == 3
    assert hook_identity(HookUser("ann", (), "1"), HERE).proof == proofs[1]
