"""The users file of a registry: what the registry makes of each line, and what is taken over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import problem_with
from tokenserver.errors import LoadError
from tokenserver.importers.report import Verdict
from tokenserver.importers.users_file.users import RegistryUsers, take_users

HASH = f"$2y$05${'.' * 53}"
OTHER = f"$2a$10${'.' * 53}"


def taken(text: str) -> RegistryUsers:
    """The users of a file."""
    return take_users(text, "users", problem_with)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param(f"ann:{HASH}\nbob:{OTHER}\n", f"ann:{HASH}\nbob:{OTHER}\n", id="as it is"),
        pytest.param(f"  ann:{HASH} \r\n\n\t\n", f"ann:{HASH}\n", id="blanks and ends of lines"),
        pytest.param(f"# ann:{OTHER}\nann:{HASH}", f"ann:{HASH}\n", id="a comment"),
        pytest.param(f"ann:{HASH}\nann:{OTHER}\n", f"ann:{OTHER}\n", id="the last line counts"),
        pytest.param(f"robot$web+ci:{HASH}\n", f"robot$web+ci:{HASH}\n", id="a robot of Harbor"),
        pytest.param("", "", id="nobody"),
    ],
)
def test_users_keep_their_hashes(text: str, kept: str) -> None:
    """As the registry reads the file."""
    found = taken(text)
    assert found.text == kept
    assert [line.partition(":")[0] for line in kept.splitlines()] == list(found.names)
    assert {construct.verdict for construct in found.constructs} <= {Verdict.EXACT}


@pytest.mark.parametrize(
    ("line", "shown", "problem"),
    [
        pytest.param("ann:$apr1$abcdefgh$0123456789abcdefghijk/", "ann", "never let this user in", id="apr1"),
        pytest.param("ann:secret", "ann", "never let this user in", id="plain text"),
        pytest.param(f"ann:$2y$31${'.' * 53}", "ann", "takes too long", id="a cost without limit"),
        pytest.param(f"everyone:{HASH}", "a user", "is reserved", id="a reserved name"),
        pytest.param(f":{HASH}", "a user", "is empty", id="no name"),
        pytest.param(f"{HASH}:ann", "a user", "looks like a password hash", id="the wrong way round"),
        pytest.param(f"BOB:{HASH}", "BOB", "differs only in case or width from bob", id="a twin"),
    ],
)
def test_users_that_are_left_out(line: str, shown: str, problem: str) -> None:
    """With the reason and what to do, and without a hash."""
    found = taken(f"bob:{HASH}\n{line}\n")
    assert found.names == ("bob",)
    (construct,) = [one for one in found.constructs if one.verdict is not Verdict.EXACT]
    assert (construct.place, construct.text, construct.verdict) == ("users:2", shown, Verdict.NOT_TRANSLATED)
    assert problem in construct.note
    assert "tokenserver users set NAME" in construct.instead
    assert "$" not in str(construct)


def test_a_file_that_stops_the_registry() -> None:
    """Every such line is a fault, which does not repeat it."""
    with pytest.raises(LoadError) as refused:
        taken(f"ann:{HASH}\nsecret\n{HASH}\n")
    assert [(fault.line, "NAME:HASH" in fault.message) for fault in refused.value.faults] == [(2, True), (3, True)]
    assert "secret" not in str(refused.value)
    assert "$2y" not in str(refused.value)


_NAMES = st.sampled_from(["ann", "ANN", "bob", "no", "robot$a+b", "everyone", "x y", "*", "é", ""]) | st.text(
    max_size=5
)
_HASHES = st.sampled_from([HASH, OTHER, "$apr1$x$y", "", f"!{HASH}", f"$2y$99${'a' * 53}"])
_LINES = st.builds("{}:{}".format, _NAMES, _HASHES) | st.sampled_from(["", "# x", "#ann:x"])


@given(st.lists(_LINES, max_size=8))
def test_the_file_is_one_of_ours(lines: list[str]) -> None:
    """Whatever was in it: each user is taken over or reported, once, and the strict parser accepts the result."""
    try:
        found = taken("\n".join(lines))
    except LoadError:
        return
    assert [entry.name for entry in parse_users(found.text, "users")] == list(found.names)
    assert len([one for one in found.constructs if one.verdict is Verdict.EXACT]) == len(found.names)
