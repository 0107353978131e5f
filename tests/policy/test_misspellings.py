"""Names that would make a deny mean nothing: each is refused where it is written, with the spelling that is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_file_policies import faults

from tokenserver.policy.misspellings import SETS, mistake_in_name
from tokenserver.policy.terms import TermError, parse_group, parse_principal, parse_user


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder for one file."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        pytest.param('groups: {bad: {users: ["user:mallory"]}}', "groups.bad.users[0]", "'mallory'?", id="user"),
        pytest.param('groups: {bad: {users: ["Users: mallory"]}}', "groups.bad.users[0]", "'mallory'?", id="users"),
        pytest.param('groups: {bad: {groups: ["group:x"]}}', "groups.bad.groups[0]", "'x'?", id="group"),
        pytest.param(
            'groups: {bad: {users: ["group:x"]}}',
            "groups.bad.users[0]",
            "is a group, but the name of a user",
            id="mixed",
        ),
        pytest.param(
            'groups: {bad: {groups: ["user:x"]}}',
            "groups.bad.groups[0]",
            "is a user, but the name of a group",
            id="reverse",
        ),
        pytest.param("groups: {bad: {users: [everyone]}}", "groups.bad.users[0]", "a set of clients", id="set-as-user"),
        pytest.param(
            "groups: {bad: {groups: [anonymous]}}", "groups.bad.groups[0]", "a set of clients", id="set-group"
        ),
        pytest.param('groups: {"group:bad": {users: [ann]}}', "groups.group:bad", "'bad'?", id="name-of-a-group"),
        pytest.param("groups: {authenticated: {users: [ann]}}", "groups.authenticated", "a set of clients", id="named"),
        pytest.param('tests: [{as: {user: "user:ann"}, can: [pull web/x]}]', "tests[0].as.user", "'ann'?", id="as"),
        pytest.param(
            'tests: [{as: {groups: ["group:x"]}, can: [pull web/x]}]', "tests[0].as.groups[0]", "'x'?", id="as-group"
        ),
        pytest.param("tests: [{as: {user: anonymous}, can: [pull web/x]}]", "tests[0].as.user", "a set", id="as-set"),
        pytest.param('tests: [{as: "user:ann", can: [pull web/x]}]', "tests[0].as", "{user: ann}?", id="as-principal"),
        pytest.param(
            'tests: [{who_can: pull web/x, excludes: ["user:user:x"]}]', "tests[0].excludes[0]", "'x'?", id="who"
        ),
        pytest.param('tests: [{what_can: "group:everyone", exactly: []}]', "tests[0].what_can", "a set", id="what"),
        pytest.param(
            'deny: [{id: d, to: [everyone], registry: [catalogue], actions: ["*"]}]',
            "deny[0].registry[0]",
            "did you mean 'catalog'?",
            id="resource",
        ),
        pytest.param(
            'deny: [{id: d, to: [everyone], registry: [repositories], actions: ["*"]}]',
            "deny[0].registry[0]",
            "known here: catalog",
            id="another-resource",
        ),
        pytest.param(
            'tests: [{as: anonymous, cannot: ["* registry:catalogue"]}]',
            "tests[0].cannot[0]",
            "did you mean 'catalog'?",
            id="resource-of-a-test",
        ),
        pytest.param(
            'tests: [{what_can: anonymous, exactly: ["* registry:catalogs"]}]',
            "tests[0].exactly[0]",
            "did you mean 'catalog'?",
            id="resource-of-a-what-test",
        ),
        pytest.param(
            'delegate: [{file: t/w.yaml, repositories: ["web/**"], actions: [pull], principals: ["users:ann"]}]',
            "delegate[0].principals[0]",
            "'user:ann'?",
            id="principals-of-a-mandate",
        ),
    ],
)
def test_it_is_refused_where_it_stands(folder: Path, text: str, place: str, hint: str) -> None:
    """With file, line, place and what would be right; all of these loaded and meant nothing."""
    (found,) = [fault for fault in faults(folder, f"{text}\n") if "there is no file" not in fault]
    assert found.startswith(f"4: {place}: ")
    assert hint in found


@pytest.mark.parametrize("key", ["to", "except"])
@pytest.mark.parametrize(
    ("principal", "hint"),
    [
        pytest.param("users:ann", "did you mean 'user:ann'?", id="plural"),
        pytest.param("User:ann", "did you mean 'user:ann'?", id="capital"),
        pytest.param("GROUPS: web", "did you mean 'group:web'?", id="capitals-and-blank"),
        pytest.param("user:user:ann", "did you mean 'ann'?", id="twice"),
        pytest.param("user:group:web", "is a group, but the name of a user", id="user-and-group"),
        pytest.param("user:everyone", "write 'everyone' without", id="user-set"),
        pytest.param("group:anonymous", "write 'anonymous' without", id="group-set"),
        pytest.param("user:ann, user:bob", "more than one principal", id="two-with-a-comma"),
        pytest.param("user:ann user:bob", "more than one principal", id="two-with-a-blank"),
        pytest.param("group:a & group:b", "more than one principal", id="two-at-once"),
        pytest.param("user:reg-{team}", "literal, without variables", id="capture-in-a-user"),
        pytest.param("everybody", "did you mean 'everyone'?", id="everybody"),
        pytest.param("all", "did you mean 'everyone'?", id="all"),
        pytest.param("*", "did you mean 'everyone'?", id="star"),
        pytest.param("Everyone", "did you mean 'everyone'?", id="capital-set"),
        pytest.param("users", "did you mean 'authenticated'?", id="users"),
        pytest.param("authentcated", "did you mean 'authenticated'?", id="misspelt-set"),
        pytest.param("anon", "did you mean 'anonymous'?", id="anon"),
        pytest.param("mallory", "did you mean 'user:mallory' or 'group:mallory'?", id="bare-name"),
    ],
)
def test_principals_of_a_deny(folder: Path, key: str, principal: str, hint: str) -> None:
    """In `to` and in `except`: a deny that names nobody by mistake forbids nothing, or excepts nobody."""
    to = f'to: ["{principal}"]' if key == "to" else f'to: [everyone], except: ["{principal}"]'
    (found,) = faults(folder, f'deny: [{{id: d, {to}, repositories: ["web/**"], actions: [push]}}]\n')
    assert found.startswith(f"4: deny[0].{key}[0]: ")
    assert hint in found


@pytest.mark.parametrize(
    "name", ["a:b", "team:web", "users", "user", "Sales, EMEA", "R&D", "user-group", "usergroup:x", "x user", "{1-2}"]
)
def test_names_that_directories_have_are_names(name: str) -> None:
    """A colon, a comma or a word of the language alone makes no mistake; else nobody could forbid these anything."""
    assert (parse_user(name), parse_group(name)) == (name, name)
    assert parse_principal(f"group:{name}").name == name


@given(st.sampled_from(["user", "group"]), st.text(max_size=20))
def test_no_name_begins_with_a_principal_s_prefix(sort: str, name: str) -> None:
    """Whatever follows; so no name is ever taken for a principal."""
    parse = parse_user if sort == "user" else parse_group
    for text in (f"{sort}:{name}", f"{sort.upper()}S:{name}", f"ann, {sort}:{name}"):
        with pytest.raises(TermError):
            parse(text)
    assert mistake_in_name(name, sort) is None or ":" in name or "{" in name or name in SETS
