"""Printed commands: for that very configuration, with what a shell needs, and composed in one module alone."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from doctor_worlds import ours_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.config.load import DEFAULT_FILE
from tokenserver.doctor import commands
from tokenserver.doctor.commands import (
    DEFAULT_CONFIG,
    check_files,
    compare_files,
    explain_access,
    fetch_ca,
    fetch_jwks,
    print_section,
    sign_with,
    write_keys,
)
from tokenserver.doctor.facts import RegistryKind
from tokenserver.scopes import Resource, Scope

DOCTOR = Path(commands.__file__).parent
OURS = ours_of()
ONE = replace(OURS.registries[0], service="r.test")
D2, D30, D3, ZOT = RegistryKind
WEB = Scope(Resource("repository", "web/x"), frozenset({"push", "pull"}))


@pytest.mark.parametrize(
    ("compat", "kinds", "generation", "needed"),
    [
        pytest.param("universal", (), "distribution3", None, id="any"),
        pytest.param("universal", (D2, D3), "distribution3", None, id="either"),
        pytest.param("universal", (D2,), "distribution2", None, id="2.8"),
        pytest.param("universal", (D30,), "distribution3", None, id="3.0"),
        pytest.param("distribution2", (), "distribution2", None, id="by compat"),
        pytest.param("distribution2", (D2, D3), "distribution2", None, id="the one that fits"),
        pytest.param("jwks", (D3,), "distribution3", None, id="jwks"),
        pytest.param("zot", (ZOT,), "zot", None, id="zot"),
        pytest.param("distribution3", (D2,), "distribution2", "universal", id="3's kid at 2.8"),
        pytest.param("distribution2", (D3,), "distribution3", "universal", id="2.8's kid at 3"),
        pytest.param("zot", (D2, D3), "distribution3", "universal", id="zot's tokens at Distribution"),
        pytest.param("universal", (ZOT,), "zot", "zot", id="other tokens at zot"),
    ],
)
def test_the_generation_fits(compat: str, kinds: tuple[RegistryKind, ...], generation: str, needed: str | None) -> None:
    """`registry-config` rejects a generation that `compat` does not fit, so that is what has to be set first."""
    first = "" if needed is None else f" (once compat: {needed} is set for r.test in tokenserver.yaml)"
    registry = replace(ONE, compat=compat)
    assert print_section(OURS, registry, kinds) == f"`tokenserver registry-config r.test --for {generation}`{first}"
    written = f"`tokenserver registry-config r.test --for {generation} --write DIR`{first}"
    assert write_keys(OURS, registry, kinds) == written


@pytest.mark.parametrize(("kinds", "generation"), [((), "distribution3"), ((D2,), "distribution2"), ((ZOT,), "zot")])
def test_a_registry_that_is_not_known(kinds: tuple[RegistryKind, ...], generation: str) -> None:
    """Its service is for the reader to fill in."""
    assert print_section(OURS, None, kinds) == f"`tokenserver registry-config SERVICE --for {generation}`"


@pytest.mark.parametrize(
    ("actions", "resource", "user", "expected"),
    [
        pytest.param({"pull", "push"}, "web/x", "ann", "policy why pull web/x --user ann --service r.test", id="user"),
        pytest.param({"push"}, "web/x", None, "policy why push web/x --anonymous --service r.test", id="nobody"),
        pytest.param({"*"}, "web/x", "ann", "policy what-can user:ann --service r.test", id="all actions"),
        pytest.param({"scan"}, "web/x", None, "policy what-can anonymous --service r.test", id="another action"),
    ],
)
def test_why_access_is_lacking(actions: set[str], resource: str, user: str | None, expected: str) -> None:
    """`policy why` takes one action that it knows; for others there is a list of all that is granted."""
    scope = Scope(Resource("repository", resource), frozenset(actions))
    assert explain_access(OURS, ONE, scope, user) == f"`tokenserver {expected}`"
    catalog = Scope(Resource("registry", "catalog"), frozenset(actions))
    assert "policy what-can " in explain_access(OURS, None, catalog, user)


def test_another_algorithm() -> None:
    """For the keys of that registry; where its own settings prescribe one, they change first, with new keys."""
    assert sign_with(OURS, ONE, "ES256") == "`tokenserver keys rotate --algorithm ES256`"
    own = replace(OURS, query="?service=r.test")
    assert sign_with(own, ONE, "ES256") == "`tokenserver keys rotate --service r.test --algorithm ES256`"
    told = sign_with(own, replace(ONE, algorithm="EdDSA"), "ES256")
    assert told == (
        "set algorithm: ES256 and a new folder as keys: for r.test in tokenserver.yaml, then `tokenserver keys init`"
    )


def test_comparing_files() -> None:
    """For the registry, if it is known."""
    assert compare_files(OURS) == "`tokenserver doctor --registry-config FILE`"
    assert compare_files(OURS, ONE) == "`tokenserver doctor --registry-config FILE --service r.test`"


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text != DEFAULT_CONFIG))
def test_any_name_is_one_word(text: str) -> None:
    """A path, a service, a user or a repository with blanks, quotes or line breaks does not change the command."""
    ours = replace(OURS, config=text)
    named = replace(ONE, service=text)
    scope = Scope(Resource("repository", text), frozenset({"pull"}))
    for command in (print_section(ours, named), check_files(ours), explain_access(ours, named, scope, text)):
        assert command.isprintable() or not text.isprintable()
        if text.isprintable() and "`" not in text:
            words = shlex.split(command[1 : command.rindex("`")])
            assert words[-2:] == ["--config", text]
            assert set(words[2:-2]) <= {text, "why", "pull", "--user", "--service", "--for", "distribution3"}


def test_the_default_is_the_default() -> None:
    """`--config` is left out where commands find the file by themselves."""
    assert DEFAULT_CONFIG == DEFAULT_FILE
    assert check_files(OURS) == "`tokenserver check`"
    assert check_files(replace(OURS, config="/etc/a b.yaml")) == "`tokenserver check --config '/etc/a b.yaml'`"
    assert (fetch_ca(OURS), fetch_jwks(OURS)) == (
        "`curl -fsS https://auth.example.com/ca.pem`",
        "`curl -fsS https://auth.example.com/.well-known/jwks.json`",
    )


# --- nothing else composes commands ----------------------------------------------------------------------------------

# docker and podman are also the names of clients, and do things in sentences; as commands, they come in backticks.
COMMAND = re.compile(
    r"(?<![\w./-])(?:tokenserver (?:[a-z]+[- ]?)+|curl -|skopeo |htpasswd -|openssl )|`(?:docker|podman) "
)


def commands_in(source: str) -> list[str]:
    """Strings of a module that hold a command in backticks, or one of ours anywhere; docstrings are none."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if id(node) in silent or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        found += [text] if COMMAND.search(text) else []
    return found


@pytest.mark.parametrize(
    ("text", "is_command"),
    [
        ("run `tokenserver check`", True),
        ("ask why: tokenserver policy why {}", True),
        ("`curl -fsS {}`", True),
        ("log in again: `docker login {}`", True),
        ("the entry {} is broken, so docker reads nothing", False),
        ("is a configuration of tokenserver; pass it", False),
        ("tokenserver-doctor/nothing", False),
        ("does not lead to a tokenserver: it answers", False),
    ],
)
def test_what_counts_as_a_command(text: str, is_command: bool) -> None:
    """The scan finds commands in texts and in what is composed, and no words."""
    assert bool(commands_in(f"x = {text!r}")) is is_command
    assert commands_in(f'"""{text}"""') == []


def test_commands_are_composed_in_one_module() -> None:
    """Whoever prints another one adds it to `commands`, and a run of it to e2e/test_doctor_commands.py."""
    found = {
        str(path.relative_to(DOCTOR)): commands_in(path.read_text("utf-8"))
        for path in DOCTOR.rglob("*.py")
        if path.name != "commands.py"
    }
    assert {name: texts for name, texts in found.items() if texts} == {}
