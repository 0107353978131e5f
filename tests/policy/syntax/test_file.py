"""The syntax of a policy file: each fault has its line, its place and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_folders import GOOD, RULE, faults, rule, write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "a.yaml:1: is empty", id="empty"),
        pytest.param("# nothing\n", "a.yaml:1: is empty", id="only-a-comment"),
        pytest.param("- a\n", "a.yaml:1: must be a mapping (key: value), not a list", id="a-list"),
        pytest.param("{}\n", "a.yaml:1: is empty: leave the key out", id="empty-mapping"),
        pytest.param("version: 1\n", "a.yaml:1: says nothing", id="only-a-version"),
        pytest.param(f"allow:\n{RULE}", "a.yaml:1: version is missing; write: version: 1", id="no-version"),
        pytest.param(GOOD.replace("1", "2"), "a.yaml:1: version: must be 1", id="later-version"),
        pytest.param(GOOD.replace("1", '"1"'), "a.yaml:1: version: must be 1", id="version-as-text"),
        pytest.param(GOOD.replace("1", "true"), "a.yaml:1: version: must be 1", id="version-as-boolean"),
        pytest.param(GOOD + "alow: []\n", "a.yaml:4: alow: unknown key; did you mean 'allow'?", id="unknown-key"),
        pytest.param(GOOD + "delegate: []\n", "a.yaml:4: delegate: is an empty list", id="no-delegations"),
        pytest.param(
            GOOD + "delegate: [{file: a.yaml}]\n",
            "delegate[0]: repositories is missing",
            id="a-delegation-that-is-none",
        ),
        pytest.param(GOOD + "deny: []\n", "a.yaml:4: deny: is an empty list", id="empty-list"),
        pytest.param(GOOD + "deny:\n", "a.yaml:4: deny: must be a list, not nothing", id="nothing-as-list"),
        pytest.param(
            GOOD + "deny: [a]\n", "a.yaml:4: deny[0]: must be a mapping (key: value), not text", id="text-rule"
        ),
        pytest.param(GOOD + "registries: []\n", "a.yaml:4: registries: is an empty list", id="no-registries"),
        pytest.param(GOOD + "registries: [1]\n", "registries[0]: must be text, not a number; quote it", id="number"),
        pytest.param(GOOD + "groups: {}\n", "a.yaml:4: groups: is empty", id="no-groups"),
        pytest.param(GOOD + "administrators: []\n", "a.yaml:4: administrators: is an empty list", id="administrators"),
        pytest.param(GOOD + "groups: {web: {}}\n", "groups.web: is empty", id="empty-group"),
        pytest.param(GOOD + "groups: {web: {users: []}}\n", "groups.web.users: is an empty list", id="no-users"),
        pytest.param(
            GOOD + "groups: {web: {user: [a]}}\n", "groups.web.user: unknown key; did you mean 'users'?", id="group-key"
        ),
        pytest.param(GOOD + "groups: {web: [ann]}\n", "groups.web: must be a mapping", id="group-as-list"),
        pytest.param(GOOD + 'groups: {"*": {users: [a]}}\n', "groups.*: '*': names are literal", id="group-name"),
        pytest.param(
            GOOD + "roles: {r: [pul]}\n", "roles.r[0]: unknown action 'pul'; did you mean 'pull'?", id="action"
        ),
        pytest.param(GOOD + "roles: {r: []}\n", "roles.r: is an empty list", id="empty-role"),
        pytest.param(GOOD + "roles: {writer: [pull]}\n", "roles.writer: writer is a built-in role", id="built-in-role"),
        pytest.param(GOOD + 'roles: {"": [pull]}\n', "a name has 1 to", id="role-name"),
        pytest.param(rule("id=-"), "allow[0]: id is missing", id="no-id"),
        pytest.param(rule("id=7"), "a.yaml:3: allow[0].id: must be text, not a number", id="number-as-id"),
        pytest.param(rule("id=a b"), "allow[0].id: 'a b': an id consists of", id="bad-id"),
        pytest.param(rule("to=-"), "allow[0]: to is missing", id="no-to"),
        pytest.param(
            rule("to=everyone"),
            'a.yaml:4: allow[0].to: must be a list, not text; fix: write ["everyone"]',
            id="to-as-text",
        ),
        pytest.param(rule("to=[]"), "allow[0].to: is an empty list", id="to-nobody"),
        pytest.param(rule("to=[no]"), "allow[0].to[0]: 'no': must be everyone", id="no-is-text"),
        pytest.param(rule("to=[true]"), "allow[0].to[0]: must be text, not a boolean", id="boolean-in-to"),
        pytest.param(rule("except=[]"), "allow[0].except: is an empty list", id="except-nobody"),
        pytest.param(rule("repositories=[]"), "allow[0].repositories: is an empty list", id="no-repositories"),
        pytest.param(
            rule("repositories=[Web]"), "allow[0].repositories[0]: 'Web': repository names are lower", id="pattern"
        ),
        pytest.param(rule("repositories=-"), "allow[0]: needs exactly one of repositories", id="about-nothing"),
        pytest.param(rule("registry=[catalog]"), "allow[0]: needs exactly one of repositories", id="about-both"),
        pytest.param(
            rule("repositories=-; registry=['*']"), "allow[0].registry[0]: must be a plain name", id="registry-pattern"
        ),
        pytest.param(rule("role=-"), "allow[0]: needs exactly one of role", id="no-role"),
        pytest.param(rule("actions=[pull]"), "allow[0]: needs exactly one of role", id="role-and-actions"),
        pytest.param(rule("role=-; actions=[]"), "allow[0].actions: is an empty list", id="no-actions"),
        pytest.param(rule("role=-; actions=[PULL]"), "unknown action 'PULL'", id="capital-action"),
        pytest.param(
            rule("role=raeder"), "a.yaml:6: allow[0].role: unknown role 'raeder'; did you mean 'reader'?", id="role"
        ),
        pytest.param(rule("role=[reader]"), "allow[0].role: must be text, not a list", id="role-as-list"),
        pytest.param(rule("message=hello"), "allow[0].message: only a deny rule has a message", id="allow-message"),
        pytest.param(rule("message=''"), "allow[0].message: must be one line", id="empty-message"),
        pytest.param(
            rule("acitons=[pull]"), "a.yaml:7: allow[0].acitons: unknown key; did you mean 'actions'?", id="typo"
        ),
        pytest.param(rule("when={}"), "allow[0].when: is empty", id="empty-when"),
        pytest.param(
            rule("when={form: [10.0.0.0/8]}"), "allow[0].when.form: unknown key; did you mean 'from'?", id="when-key"
        ),
        pytest.param(rule("when={from: []}"), "allow[0].when.from: is an empty list", id="from-nowhere"),
        pytest.param(rule("when={from: 10.0.0.1/8}"), "allow[0].when.from: '10.0.0.1/8': has bits set", id="from-text"),
        pytest.param(rule("when={since: 2026}"), "allow[0].when.since: must be text, not a number", id="year"),
        pytest.param(rule("when={until: soon}"), "allow[0].when.until: 'soon': must be a date", id="until"),
        pytest.param(rule("when={since: 2026-02-01, until: 2026-02-01}"), "is not after since", id="never"),
        pytest.param(rule("when={kind: pasword}"), "did you mean 'password'?", id="kind"),
        pytest.param(GOOD + "tests: []\n", "a.yaml:4: tests: is an empty list", id="no-tests"),
        pytest.param(GOOD + "tests: [a]\n", "tests[0]: must be a mapping", id="text-test"),
        pytest.param(GOOD + "tests: [{can: [pull a]}]\n", "tests[0]: needs as:", id="test-of-nobody"),
        pytest.param(GOOD + "tests: [{asd: 1}]\n", "tests[0].asd: unknown key; did you mean 'as'?", id="test-key"),
        pytest.param(GOOD + "tests: [{what_can: user:ann}]\n", "tests[0]: needs exactly:", id="what-can"),
        pytest.param(GOOD + "tests: [{as: anonymous}]\n", "tests[0]: expects nothing", id="test-of-nothing"),
        pytest.param(GOOD + "tests: [{as: anonymous, can: []}]\n", "tests[0].can: is an empty list", id="can-nothing"),
        pytest.param(GOOD + "tests: [{as: anonymous, cann: [pull a]}]\n", "did you mean 'can'?", id="as-key"),
        pytest.param(GOOD + "tests: [{as: ann, can: [pull a]}]\n", "tests[0].as: must be {user: NAME", id="as-text"),
        pytest.param(GOOD + "tests: [{as: 7, can: [pull a]}]\n", "not a number", id="as-number"),
        pytest.param(
            GOOD + "tests: [{as: {user: ''}, can: [pull a]}]\n", "tests[0].as.user: '': a name has", id="as-user"
        ),
        pytest.param(
            GOOD + "tests: [{as: anonymous, can: [pul a]}]\n", "tests[0].can[0]: 'pul a': unknown action", id="can"
        ),
        pytest.param(
            GOOD + "tests: [{as: anonymous, kind: password, can: [pull a]}]\n", "has no credential", id="anonymous-kind"
        ),
        pytest.param(GOOD + "tests: [{as: anonymous, at: soon, can: [pull a]}]\n", "tests[0].at: 'soon'", id="at"),
        pytest.param(
            GOOD + "tests: [{as: anonymous, from: here, can: [pull a]}]\n", "tests[0].from: 'here'", id="from"
        ),
        pytest.param(GOOD + "tests: [{who_can: pull a}]\n", "tests[0]: needs exactly: alone", id="no-relation"),
        pytest.param(
            GOOD + "tests: [{who_can: pull a, exactly: [everyone], excludes: [everyone]}]\n",
            "tests[0]: needs exactly: alone",
            id="exactly-and-more",
        ),
        pytest.param(
            GOOD + "tests: [{who_can: pull a, includes: []}]\n", "includes: is an empty list", id="includes-nobody"
        ),
        pytest.param(GOOD + "tests: [{who_can: pull a, exactly: [al]}]\n", "exactly[0]: 'al': must be", id="principal"),
        pytest.param(
            GOOD + "tests: [{who_can: pul a, exactly: []}]\n", "who_can: 'pul a': unknown action", id="who-asks"
        ),
        pytest.param(
            GOOD + 'tests: [{who_can: "pull,push a", exactly: []}]\n', "must ask for one action", id="who-asks-two"
        ),
        pytest.param(GOOD + 'tests: [{who_can: "* a", exactly: []}]\n', "must name the action", id="who-asks-star"),
        pytest.param(GOOD + "allow: []\n", "a.yaml:4: allow: the key is already set on line 2", id="duplicate-key"),
        pytest.param(GOOD + "groups: &x {a: {users: [b]}}\nroles: *x\n", "aliases (*name) are not allowed", id="alias"),
        pytest.param(GOOD + "roles: {r: !!set {pull}}\n", "tags (!name) are not allowed", id="tag"),
        pytest.param(GOOD + "roles: " + "[" * 30 + "]" * 30 + "\n", "is nested deeper than", id="depth"),
        pytest.param(GOOD + "---\n" + GOOD, "only one YAML document", id="second-document"),
        pytest.param(GOOD + "deny: {\n", "is not valid YAML", id="syntax"),
        pytest.param(GOOD.rstrip("\n"), "a.yaml:3: the last line does not end with a newline", id="no-newline"),
    ],
)
def test_refused_file(folder: Path, text: str, expected: str) -> None:
    """A fault names the file, the line, the place and what would be right."""
    write(folder / "a.yaml", text)
    found = faults(folder)
    assert [fault for fault in found if expected in fault] != [], found
