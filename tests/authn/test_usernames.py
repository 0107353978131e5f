"""User names: which are legal, and which count as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.authn.usernames import canonical, is_machine_name, name_problem
from tokenserver.credentials import AccessKeyForm
from tokenserver.policy.misspellings import mistake_in_name
from tokenserver.policy.terms import parse_principal

VARIABLE = "a name must not hold '${', which begins a variable in policies"
WILDCARD = "a name must not hold '*', a wildcard in policies"
HASH = "the name looks like a password hash"
KEY = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES))).text.reveal()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("ann", None, id="plain"),
        pytest.param("ann.smith-1_x@example.com", None, id="punctuation"),
        pytest.param("zoë", None, id="not ASCII"),
        pytest.param("", "the name is empty", id="empty"),
        pytest.param("a" * 256, "the name is longer than 255 characters", id="too long"),
        pytest.param(" ann", "the name begins or ends with a blank", id="leading blank"),
        pytest.param("\u3000", "the name contains non-printable characters", id="ideographic blank"),
        pytest.param("\ufeffann", "the name contains non-printable characters", id="BOM"),
        pytest.param("a\u0308", "the name is not in Unicode normal form C, in which names are compared", id="NFD"),
        pytest.param("a:b", "a name must not hold ':' or begin with '#'", id="colon"),
        pytest.param("#ann", "a name must not hold ':' or begin with '#'", id="like a comment"),
        pytest.param("robot$ci", None, id="a robot of Harbor"),
        pytest.param("robot$web+ci", None, id="a robot of a project of Harbor"),
        pytest.param("$oauthtoken", None, id="Quay's name for a token"),
        pytest.param("PC1$", None, id="a machine of Active Directory"),
        pytest.param("$", None, id="a dollar"),
        pytest.param("a$b$c$", None, id="several dollars"),
        pytest.param("$user", None, id="no variable without braces"),
        pytest.param("{user}", None, id="no variable without a dollar"),
        pytest.param("$ {user}", None, id="apart"),
        pytest.param("${user}", VARIABLE, id="variable"),
        pytest.param("a${group}b", VARIABLE, id="variable inside"),
        pytest.param("$${", VARIABLE, id="variable, not closed"),
        pytest.param("*", WILDCARD, id="wildcard"),
        pytest.param("robot$*", WILDCARD, id="wildcard of robots"),
        pytest.param("$2b$10$abc", HASH, id="bcrypt"),
        pytest.param("ann$6$abc", HASH, id="sha512-crypt behind a name"),
        pytest.param("$argon2id$v=19$m", HASH, id="argon2id"),
        pytest.param("$apr1$lZL6V/ci$eIMz", HASH, id="apr1"),
        pytest.param("!$y$j9T$abc", HASH, id="a locked yescrypt"),
        pytest.param("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", HASH, id="RFC 2307"),
        pytest.param(KEY, "the name looks like an access key", id="an access key"),
        pytest.param(f"x{KEY[:30]}", "the name looks like an access key", id="a part of an access key"),
        pytest.param("tkna_ann", None, id="the beginning of an access key"),
        *(
            pytest.param(
                name, "the name is reserved, as are <token>, anonymous, authenticated, everyone", id=f"reserved {name}"
            )
            for name in ("anonymous", "Everyone", "AUTHENTICATED", "<token>", "\uff41nonymous")
        ),
    ],
)
def test_names(name: str, problem: str | None) -> None:
    """Which names a user can have, and why not the others."""
    assert name_problem(name) == problem


@given(st.text(alphabet="robt$+-_.{}*1ab") | st.text())
def test_policies_can_name_whoever_can_be_a_user(name: str) -> None:
    """A rule can be written for every user, unless the name reads as a principal or a capture in it."""
    if name_problem(name) is None and mistake_in_name(name, "user") is None:
        assert parse_principal(f"user:{name}").name == name


@given(st.text())
def test_canonical_names_are_stable(name: str) -> None:
    """A name that was folded and is folded again goes to a counter that it always goes to."""
    assert canonical(name) == canonical(f" {name}  ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("robot:ci", True, id="robot"),
        pytest.param("workload:github:x", True, id="workload"),
        pytest.param("ROBOT:ci", True, id="capitals"),
        pytest.param(" robot:", True, id="blank"),
        pytest.param("\uff52obot\uff1aci", True, id="wide letters"),
        pytest.param("robot", False, id="no colon"),
        pytest.param("robot$ci", False, id="Harbor"),
        pytest.param("robot/ci", False, id="slash"),
        pytest.param("my-robot:ci", False, id="elsewhere"),
        pytest.param("zoë", False, id="not ASCII"),
    ],
)
def test_names_of_machines(name: str, *, expected: bool) -> None:
    """What begins like a machine's subject, in any spelling that counts as the same."""
    assert is_machine_name(name) is expected
