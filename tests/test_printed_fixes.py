"""A fix that is printed keeps what it is about: no command in a message removes a user, a rule, a key or a file.

Whoever pastes a fix in a hurry must not lose a login, or the only copy of a key.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from syntax_trees import modules, nodes

TAKES_AWAY = re.compile(
    r"""
    \brm\ +(?:-|\{|[\w./~])           # rm, with its operands
    | \b(?:unlink|shred|truncate|rmdir)\ +[-\w{./]
    | \busers\ +delete\b
    | s/\^/\#/                         # sed: comment a line out
    | s/\.\*//                         # sed: empty a line
    | \bsed\b[^;]*[\d}]d\b                 # sed: delete a line
    | \bgit\ +(?:rm|clean|checkout\ +--(?=\s)|reset\ +--hard)(?!\w)
    | (?<![<\w&])>\ *\{?[a-z_/.]+\}?\s*$   # a redirection over a file
    """,
    re.VERBOSE,
)


def texts_in(module: str) -> Iterator[str]:
    """Every string of a module, f-strings with `{}` for each value; without docstrings."""
    docstrings = {id(node.value) for node in nodes(module) if isinstance(node, ast.Expr)}
    formatted = [node for node in nodes(module) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in ast.walk(node)} - {id(node) for node in formatted}
    for node in nodes(module):
        if id(node) in docstrings or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize(
    ("text", "takes_away"),
    [
        pytest.param("fix: rm {}", True, id="rm of a value"),
        pytest.param("rm -r keys/signing", True, id="rm -r"),
        pytest.param("{}s/^/#/", True, id="comment out"),
        pytest.param("{}s/.*//", True, id="empty"),
        pytest.param("sed -i {}d users", True, id="sed d"),
        pytest.param("tokenserver users delete {}", True, id="users delete"),
        pytest.param("git checkout -- policies", True, id="git checkout"),
        pytest.param("fix: mv {} {}.unused", False, id="mv"),
        pytest.param("sed -i {}s/:/-{}:/ users", False, id="rename"),
        pytest.param("fix: remove the / at either end", False, id="a character"),
        pytest.param("confirm it", False, id="a word that ends in rm"),
    ],
)
def test_what_counts(text: str, takes_away: bool) -> None:
    """The pattern finds commands, and no words."""
    assert (TAKES_AWAY.search(text) is not None) == takes_away


def test_no_printed_command_takes_something_away() -> None:
    """In the whole package; `users delete` exists as a command, and is not proposed."""
    found = [f"{module}: {text}" for module in modules() for text in texts_in(module) if TAKES_AWAY.search(text)]
    assert found == []


def test_no_command_is_composed_to_delete_a_user() -> None:
    """`users_command`, which composes commands for messages, is never called with `delete`."""
    calls = [
        ast.unparse(node)
        for module in modules()
        for node in nodes(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "users_command"
    ]
    assert len(calls) >= 8
    assert not [call for call in calls if "delete" in call]


LOGOUT = re.compile(r"(?:docker|podman|\{\}) +logout +(\S+), then (?:docker|podman|\{\}) login \1")


def test_a_logout_is_proposed_only_with_a_new_login() -> None:
    """And only where an identity token of another server is stored, which is of no use: a password is replaced."""
    found = {
        module: text
        for module in modules()
        for text in texts_in(module)
        if re.search(r"(?:docker|podman|\{\}) +logout\b", text)
    }
    assert set(found) == {"doctor/client/checks.py", "errors.py"}
    assert [text for text in found.values() if LOGOUT.search(text) is None] == []
