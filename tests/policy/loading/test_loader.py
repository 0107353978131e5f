"""Policy loader: faults, their places and their messages."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.documents import files
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading import folder as folder_module
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import Resource, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CORPUS = Path(__file__).parents[2] / "corpus" / "policy"
RULE = "  - {id: r, to: [everyone], repositories: [a], role: reader}\n"
GOOD = f"version: 1\nallow:\n{RULE}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    return path


def faults(folder: Path, services: frozenset[str] | None = None) -> list[str]:
    """The faults of loading the folder, without its path."""
    with pytest.raises(LoadError) as caught:
        load_policies(folder, services=services, now=NOW)
    return [str(fault).replace(f"{folder}/", "").replace(str(folder), "FOLDER") for fault in caught.value.faults]


def rule(text: str) -> str:
    """A file with one allow rule that has `text` in place of its usual parts, where both are given."""
    parts = {"id": "r", "to": "[everyone]", "repositories": "[a]", "role": "reader"}
    for line in text.split("; "):
        key, _, value = line.partition("=")
        if value == "-":
            parts.pop(key)
        else:
            parts[key] = value
    return "version: 1\nallow:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in parts.items()) + "\n"


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
        pytest.param(GOOD + "deny: []\n", "a.yaml:4: deny: is an empty list", id="empty-list"),
        pytest.param(GOOD + "deny:\n", "a.yaml:4: deny: must be a list, not nothing", id="nothing-as-list"),
        pytest.param(
            GOOD + "deny: [a]\n", "a.yaml:4: deny[0]: must be a mapping (key: value), not text", id="text-rule"
        ),
        pytest.param(GOOD + "registries: []\n", "a.yaml:4: registries: is an empty list", id="no-registries"),
        pytest.param(GOOD + "registries: [1]\n", "registries[0]: must be text, not a number; quote it", id="number"),
        pytest.param(GOOD + "groups: {}\n", "a.yaml:4: groups: is empty", id="no-groups"),
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
        pytest.param(rule("to=everyone"), "a.yaml:4: allow[0].to: must be a list, not text", id="to-as-text"),
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


def test_bomb_is_refused_at_once(folder: Path) -> None:
    """Nested aliases are rejected before they are expanded."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    write(folder / "a.yaml", "\n".join(lines) + "\n")
    assert any("aliases" in fault for fault in faults(folder))


def test_all_faults_of_all_files_at_once(folder: Path) -> None:
    """All faults are reported together, so that they can be fixed together."""
    write(folder / "a.yaml", rule("role=raeder; to=[ann]; repositories=[A]") + "what: 1\n")
    write(folder / "b.yaml", "version: 1\nallow: [\n")
    write(folder / "c.yml", rule("to=[bob]; when={from: x}"))
    (folder / "d.yaml").symlink_to("nowhere")
    found = faults(folder)
    assert sorted({fault.split(":")[0] for fault in found}) == ["a.yaml", "b.yaml", "c.yml", "d.yaml"]
    assert len(found) == 8  # the unknown role may stand in a file that could not be read


def test_faults_between_files_are_told_with_the_others(folder: Path) -> None:
    """A duplicate id and an unknown role are reported along with other faults."""
    write(folder / "a.yaml", rule("role=raeder; to=[ann]"))
    write(folder / "b.yaml", rule("repositories=[B]"))
    found = "\n".join(faults(folder))
    for expected in ("unknown role 'raeder'", "'ann': must be", "the rule id 'r' is already used", "'B': repository"):
        assert expected in found


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(GOOD, GOOD, "b.yaml:3: allow[0].id: the rule id 'r' is already used in a.yaml:3", id="rule"),
        pytest.param(
            "version: 1\ngroups: {web: {users: [a]}}\n",
            "version: 1\ngroups: {web: {users: [b]}}\n",
            "b.yaml:2: groups.web: the group 'web' is already used in a.yaml:2",
            id="group",
        ),
        pytest.param(
            "version: 1\nroles: {x: [pull]}\n",
            "version: 1\nroles: {x: [pull]}\n",
            "b.yaml:2: roles.x: the role 'x' is already used in a.yaml:2",
            id="role",
        ),
    ],
)
def test_names_are_unique_in_the_tree(folder: Path, first: str, second: str, expected: str) -> None:
    """Two definitions of one name are a fault that names both places."""
    write(folder / "a.yaml", first)
    write(folder / "b.yaml", second)
    assert expected in faults(folder)


def test_roles_and_groups_are_known_in_the_whole_tree(folder: Path) -> None:
    """The file that defines a name may come after the one that uses it."""
    write(folder / "a.yaml", rule('role=cleaner; to=["group:web"]'))
    write(
        folder / "b.yaml",
        "version: 1\nroles: {cleaner: [delete]}\ngroups: {web: {users: [ann]}}\n"
        "tests: [{as: {user: ann}, can: [delete a], cannot: [pull a]}]\n",
    )
    assert load_policies(folder, now=NOW).rule_count == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            GOOD + "registries: [registri.example.com]\n",
            "a.yaml:4: registries[0]: no registry with the service 'registri.example.com' is configured; "
            "did you mean 'registry.example.com'?",
            id="registries",
        ),
        pytest.param(
            GOOD + "tests: [{as: anonymous, service: x.registry.example.com, can: [pull a]}]\n",
            "a.yaml:4: tests[0].service: no registry with the service 'x.registry.example.com' is configured; "
            "did you mean 'registry.example.com'?",
            id="test",
        ),
    ],
)
def test_services_are_held_against_the_configuration(folder: Path, text: str, expected: str) -> None:
    """A misspelt registry would silently disable a file."""
    write(folder / "a.yaml", text)
    assert faults(folder, frozenset({"registry.example.com"})) == [expected]
    assert load_policies(folder, now=NOW).rule_count == 1


def test_services_that_are_configured_are_fine(folder: Path) -> None:
    """Correct files pass the check."""
    write(folder / "a.yaml", GOOD + "registries: [one]\ntests: [{as: anonymous, can: [pull a]}]\n")
    assert load_policies(folder, services=frozenset({"one", "two"}), now=NOW).rule_count == 1


def test_default_service_of_tests(folder: Path) -> None:
    """The registry of a test that names none: the first one of its file, else the first configured one."""
    write(folder / "a.yaml", GOOD + "registries: [two, one]\n")
    write(folder / "b.yaml", "version: 1\nregistries: [two]\ntests: [{as: anonymous, can: [pull a]}]\n")
    write(folder / "c.yaml", "version: 1\ntests: [{as: anonymous, can: [pull a]}]\n")
    assert load_policies(folder, services=frozenset({"one", "two", "zed"}), now=NOW).rule_count == 1
    (failure,) = faults(folder)
    assert failure.startswith("c.yaml:2: tests[0].can[0]: test failed:")
    assert failure.endswith("expected that an anonymous client can pull a, but no allow rule applies")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], "FOLDER: holds no policy file (*.yaml)", id="empty"),
        pytest.param(
            ["README.md", ".hidden.yaml", "a.yaml~", "a.yaml.bak"], "FOLDER: holds no policy file", id="others"
        ),
    ],
)
def test_folder_without_policies_is_refused(folder: Path, names: list[str], expected: str) -> None:
    """A server that never grants anything is not intended."""
    for name in names:
        write(folder / name, "not: a policy")
    assert len(faults(folder)) == 1
    assert faults(folder)[0].startswith(expected)


def test_tree_without_rules_is_refused(folder: Path) -> None:
    """Groups alone grant nothing."""
    write(folder / "a.yaml", "version: 1\ngroups: {web: {users: [ann]}}\n")
    assert faults(folder) == ["FOLDER: holds no rule in any file, so nothing would ever be granted"]


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "A.YAML", "b.Yml"])
def test_policy_file_names(folder: Path, name: str) -> None:
    """A file is not skipped for the case of its suffix: it could have a deny rule."""
    write(folder / name, GOOD)
    assert load_policies(folder, now=NOW).files == (name,)


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is a fault, not an empty policy."""
    with pytest.raises(LoadError, match="cannot be read as a folder: No such file"):
        load_policies(tmp_path / "nowhere", now=NOW)


def test_file_in_a_sub_folder_is_refused(folder: Path) -> None:
    """It would have no meaning unless something is delegated to it, and silence would hide that."""
    write(folder / "a.yaml", GOOD)
    (folder / "teams" / "deep").mkdir(parents=True)
    write(folder / "teams" / "deep" / "web.yaml", rule("id=web"))
    write(folder / "teams" / "README.md", "hello")
    (fault,) = faults(folder)
    assert fault.startswith("teams/deep/web.yaml:1: nothing is delegated to this file; name it in a file at the top")


def test_folder_of_other_things_is_fine(folder: Path) -> None:
    """Only policy files count; hidden folders are ignored."""
    write(folder / "a.yaml", GOOD)
    (folder / "docs").mkdir()
    (folder / ".git").mkdir()
    write(folder / ".git" / "x.yaml", "broken: [")
    assert load_policies(folder, now=NOW).rule_count == 1


def test_sub_folder_that_cannot_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable folder could contain a policy."""
    write(folder / "a.yaml", GOOD)
    (folder / "teams").mkdir()
    scandir = os.scandir

    def refusing(path: str | Path) -> Any:  # root, as whom tests may run, could read every folder
        if str(path).endswith("teams"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert faults(folder) == ["teams: cannot be read as a folder: Permission denied"]


def spoil_mode(path: Path) -> None:
    path.chmod(0o666)


def spoil_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o644)


def spoil_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def spoil_bytes(path: Path) -> None:
    path.write_bytes(b"version: 1\n# \xff\n")


def spoil_size(path: Path) -> None:
    path.write_bytes(b"# " + b"x" * (9 * 1024 * 1024) + b"\n")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(spoil_mode, "can be changed by others (mode 0666)", id="writable-by-others"),
        pytest.param(spoil_fifo, "is not a regular file", id="fifo"),
        pytest.param(spoil_folder, "is not a regular file", id="folder"),
        pytest.param(spoil_link, "cannot be read: No such file", id="broken-link"),
        pytest.param(spoil_bytes, "is not UTF-8 text", id="not-utf-8"),
        pytest.param(spoil_size, "is larger than", id="too-large"),
    ],
)
def test_file_that_cannot_be_trusted(folder: Path, spoil: Callable[[Path], None], expected: str) -> None:
    """One bad file rejects the whole folder."""
    write(folder / "a.yaml", GOOD)
    spoil(write(folder / "b.yaml", "version: 1\n"))
    assert [fault for fault in faults(folder) if fault.startswith("b.yaml") and expected in fault] != []


def test_folder_that_others_can_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write access allows removing a deny rule. A read-only mount (Kubernetes) cannot be changed."""
    write(folder / "a.yaml", GOOD)
    folder.chmod(0o777)
    assert faults(folder) == ["FOLDER: can be changed by others (mode 0777); fix: chmod go-w FOLDER"]

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _path: ReadOnly)
    assert load_policies(folder, now=NOW).rule_count == 1


def test_kubernetes_volume(folder: Path) -> None:
    """Links through `..data` are followed, the hidden folders behind them ignored, and a swap shows."""
    for number, actions in enumerate(("pull", "push")):
        version = folder / f"..2026_0{number}"
        version.mkdir()
        write(version / "a.yaml", rule(f"role=-; actions=[{actions}]"))
    (folder / "..data").symlink_to("..2026_00")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    before = load_policies(folder, now=NOW)
    (folder / "..new").symlink_to("..2026_01")
    (folder / "..new").rename(folder / "..data")
    after = load_policies(folder, now=NOW)
    assert [sorted(one.rules[0].actions) for one in (before, after)] == [["pull"], ["push"]]
    assert before.digest != after.digest


def test_folder_that_changes_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of two versions are never mixed: the folder is read again."""
    write(folder / "a.yaml", rule("id=a"))
    write(folder / "b.yaml", rule("id=b"))
    reads = 0

    def reading(path: Path) -> str:
        nonlocal reads
        reads += 1
        text = files.read_text(path)
        if reads == 1:  # a deployment replaces both files after the first one was read
            for name in ("a", "b"):
                write(folder / "new", rule(f"id={name}-new")).rename(folder / f"{name}.yaml")
        return text

    monkeypatch.setattr(folder_module, "read_text", reading)
    monkeypatch.setattr(folder_module, "_PAUSE", 0)
    assert [one.id for one in load_policies(folder, now=NOW).rules] == ["a-new", "b-new"]


def test_folder_that_never_keeps_still(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts, loading fails."""

    def reading(path: Path) -> str:
        text = files.read_text(path)
        write(folder / "new", GOOD).rename(path)
        return text

    write(folder / "a.yaml", GOOD)
    monkeypatch.setattr(folder_module, "read_text", reading)
    monkeypatch.setattr(folder_module, "_PAUSE", 0)
    assert faults(folder) == ["FOLDER: keeps changing while it is read"]


def test_digest_tells_files_apart(folder: Path) -> None:
    """The digest depends on every name and every byte, and on nothing else."""
    digests = []
    for name, text in (("a.yaml", GOOD), ("a.yaml", GOOD + "# x\n"), ("b.yaml", GOOD), ("a.yaml", GOOD)):
        write(folder / name, text)
        digests.append(load_policies(folder, now=NOW).digest)
        (folder / name).unlink()
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
    assert re.fullmatch("[0-9a-f]{64}", digests[0])


def test_rules_know_their_place(folder: Path) -> None:
    """A reason names the file within the folder and the line on which the rule begins."""
    write(folder / "a.yaml", GOOD)
    (found,) = load_policies(folder, now=NOW).rules
    assert (found.file, found.line) == ("a.yaml", 3)


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in [(*path, key), *keys_of(item, (*path, key))]]
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in keys_of(item, (*path, index))]
    return []


def as_data(path: Path) -> Any:
    """A policy file as plain data; dates stay text."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes text alone


REFERENCE = as_data(CORPUS / "reference.yaml")
REFERENCE_KEYS = keys_of(REFERENCE)


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the whole of it too."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in steps for place in places_of(item, (*path, step)))]


def with_value(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at that place."""
    if not place:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = with_value(copy[place[0]], place[1:], value)
    return copy


def dumped(document: Any) -> str:
    """As YAML again, every text quoted but the version."""
    return yaml.safe_dump(document, default_style="'", sort_keys=False).replace("'version': '1'", "version: 1")


def meaning(policies: PolicySet) -> Any:
    """What a policy set does: its rules and groups, wherever they stand."""
    return {(rule.id, rule.effect, rule.to, rule.patterns, rule.actions) for rule in policies.rules}, dict(
        policies.groups.by_name
    )


_WORDS = st.sampled_from(
    [
        *(
            "everyone",
            "user:ann",
            "group:web",
            "group:",
            "**",
            "web/**",
            "${user}",
            "${group}/x",
            "pull",
            "*",
            "writer",
        ),
        *("1", "2026-01-01", "10.0.0.0/8", "allow", "deny", "id", "to", "tests", "can", "message", "version", ""),
    ]
)
_SCALARS = _WORDS | st.text(max_size=20) | st.integers() | st.floats() | st.booleans() | st.none() | st.dates()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=8
)


@given(place=st.sampled_from(places_of(REFERENCE)), value=_VALUES)
def test_any_value_anywhere_is_policies_or_a_load_error(
    place: tuple[Any, ...], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any value in place of a part of a good file gives usable rules, or faults with file and line."""
    text = yaml.safe_dump(with_value(REFERENCE, place, value), sort_keys=False, allow_unicode=False)
    assert_policies_or_faults(tmp_path_factory.getbasetemp() / "any-value", text.replace("version: '1'", "version: 1"))


@given(text=st.text() | st.lists(_WORDS | st.sampled_from(list(" \n:-[]{},'\"#&*!|>%@"))).map("".join))
@example(text=GOOD)
def test_any_text_is_policies_or_a_load_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The loader has no other outcome."""
    assert_policies_or_faults(tmp_path_factory.getbasetemp() / "any-text", text)


def assert_policies_or_faults(folder: Path, text: str) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "a.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "a.yaml").chmod(0o644)
    refused: tuple[Fault, ...] = ()
    try:
        policies = load_policies(folder, now=NOW)
    except LoadError as error:
        refused = error.faults
    if refused:
        assert {fault.file for fault in refused} <= {str(folder), str(folder / "a.yaml")}
        return
    assert policies.rule_count > 0
    identity = Identity("ann", Kind.PASSWORD, "htpasswd", frozenset({"web"}))
    scope = Scope(Resource("repository", "web/site"), frozenset({"pull", "push"}))
    decision = decide(policies, identity, scope, Context("registry.example.com", None, NOW))
    assert decision.granted <= {"pull", "push"}


def test_order_of_files_and_rules_never_matters(folder: Path) -> None:
    """A tree whose files are renamed and whose rules are shuffled means the same."""
    document = as_data(CORPUS / "reference.yaml")
    found = []
    for seed in range(3):
        rules = [(effect, one) for effect in ("allow", "deny") for one in document[effect]]
        random.Random(seed).shuffle(rules)  # noqa: S311 - a repeatable order, no secret
        for number, (effect, one) in enumerate(rules):
            head = {"version": "1", effect: [one]}
            if number == 0:
                head |= {key: document[key] for key in ("groups", "roles")}
            write(folder / f"{number}.yaml", dumped(head))
        found.append(meaning(load_policies(folder, now=NOW)))
    assert found[0] == found[1] == found[2]


def test_reference_is_good(folder: Path) -> None:
    """The misspelt variants below fail for their misspelling, not for their form."""
    write(folder / "a.yaml", dumped(REFERENCE))
    assert load_policies(folder, now=NOW).rule_count == 5


@pytest.mark.parametrize("place", REFERENCE_KEYS, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("spoil", ["doubled", "short", "capital"])
def test_every_misspelt_key_is_refused(folder: Path, place: tuple[Any, ...], spoil: str) -> None:
    """Every misspelt key is reported."""
    document = as_data(CORPUS / "reference.yaml")
    above = document
    for step in place[:-1]:
        above = above[step]
    key = place[-1]
    wrong = {"doubled": key[0] + key, "short": key[:-1], "capital": key.capitalize()}[spoil]
    renamed = {wrong if name == key else name: value for name, value in above.items()}
    above.clear()
    above.update(renamed)
    write(folder / "a.yaml", dumped(document))
    found = faults(folder)
    if place[0] not in ("groups", "roles") or len(place) != 2:  # names of groups and roles are free
        assert any("unknown key" in fault or "did you mean" in fault for fault in found), found


@pytest.mark.parametrize("name", ["company.yaml", "team.yaml"])
def test_a_file_cut_anywhere_is_refused_or_means_the_same(folder: Path, name: str) -> None:
    """With the end marker in the folder, truncation at any byte is detected if it loses a rule."""
    texts = {
        "company.yaml": (CORPUS / "reference.yaml").read_bytes(),
        "team.yaml": b"version: 1\nallow:\n  - {id: r, to: [everyone], repositories: [a], role: reader}\n...\n",
    }
    for one, content in texts.items():
        (folder / one).write_bytes(content)
        (folder / one).chmod(0o644)
    expected = meaning(load_policies(folder, now=NOW))
    kept = []
    for length in range(len(texts[name])):
        (folder / name).write_bytes(texts[name][:length])
        try:
            found = load_policies(folder, now=NOW)
        except LoadError:
            continue
        kept.append(length)
        assert meaning(found) == expected
    assert kept == [len(texts[name]) - 1]  # only the newline after the mark can go


def test_without_the_mark_a_cut_inside_a_line_is_refused(folder: Path) -> None:
    """Without the marker, only truncation between two lines can go undetected."""
    text = GOOD + 'deny:\n  - id: d\n    to: [everyone]\n    repositories: ["a/**"]\n    actions: [push]\n'
    for length in range(len(text)):
        if text[length - 1 : length] != "\n":
            write(folder / "a.yaml", text[:length])
            assert faults(folder) != []


def test_json_needs_no_last_newline(folder: Path) -> None:
    """JSON is YAML, and its closing brace is an end marker."""
    text = '{"version": 1, "allow": [{"id": "r", "to": ["everyone"], "repositories": ["a"], "role": "reader"}]}'
    write(folder / "a.yaml", text)
    assert load_policies(folder, now=NOW).rule_count == 1
    for length in range(len(text)):
        write(folder / "a.yaml", text[:length])
        assert faults(folder) != []
