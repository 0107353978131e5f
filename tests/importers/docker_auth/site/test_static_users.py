"""Static users: who keeps a password, and who does not."""

from __future__ import annotations

import pytest

from tokenserver.authn.passwords import problem_with
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.site.static_users import take_static_users

HASH = "$2y$10$abcdefghijklmnopqrstuuOHPIzQAsu4Ky9u0EdFjk7.XW3jF1Wcm"
EXAMPLE = "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"

USERS = {
    "a password": (f'ann: {{password: "{HASH}"}}', "exact"),
    "a password of the examples": (f'ann: {{password: "{EXAMPLE}"}}', "different"),
    "none": ("ann: {}", "closed"),
    "no hash": ('ann: {password: "secret"}', "not translated"),
    "a name that is none here": (f'"a:b": {{password: "{HASH}"}}', "not translated"),
    "anonymous": ('"": {}', "exact"),
    "anonymous with a password": (f'"": {{password: "{HASH}"}}', "different"),
}


@pytest.mark.parametrize(("user", "verdict"), USERS.values(), ids=USERS)
def test_users(user: str, verdict: str) -> None:
    """With a verdict on each, which repeats no hash."""
    taken = take_static_users(read_docker_auth(f"users: {{{user}}}\n", "auth.yml"), problem_with)
    (construct,) = taken.constructs
    assert construct.verdict == verdict
    assert HASH not in repr(taken)
    assert taken.is_anonymous is ('""' in user)
    is_taken = verdict in ("exact", "different") and '""' not in user
    assert (taken.names, taken.text.partition(":")[0]) == ((("ann",), "ann") if is_taken else ((), ""))


def test_names_that_differ_in_case() -> None:
    """The first one counts."""
    text = f'users: {{ann: {{password: "{HASH}"}}, Ann: {{password: "{HASH}"}}}}\n'
    taken = take_static_users(read_docker_auth(text, "auth.yml"), problem_with)
    assert taken.text == f"ann:{HASH}\n"
    assert [str(one.verdict) for one in taken.constructs] == ["exact", "not translated"]
