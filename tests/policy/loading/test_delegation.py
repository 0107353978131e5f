"""Delegation: the limits of a team's file, the faults beyond them, and local groups and roles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import captured_rules as captured
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import decide
from tokenserver.policy.group_names import owned_name, plain_name, shown_name
from tokenserver.policy.loading.delegation import Mandate, scope_faults
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context, Groups, PolicySet, Principal, Rule
from tokenserver.policy.syntax.delegation import Delegation
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.terms import parse_request

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = """\
version: 1
groups: {ops: {users: [olga]}}
roles: {cleaner: [delete]}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**", web], actions: [pull, push]}
allow:
  - {id: root, to: ["group:developers"], repositories: ["infra/**"], role: writer}
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return folder


def load(folder: Path, files: Mapping[str, str]) -> PolicySet:
    return load_policies(write(folder, files), now=NOW)


def faults(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The faults of loading the files, without the path of the folder."""
    with pytest.raises(LoadError) as caught:
        load(folder, files)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def team(rule: str, more: str = "") -> str:
    """A team's file with one rule, on line 3."""
    return f"version: 1\nallow:\n  - {{id: team, {rule}}}\n{more}"


def delegating(entry: str, more: str = "") -> str:
    """A root file with one entry under `delegate:`, on line 3."""
    return f"version: 1\ndelegate:\n  - {{{entry}}}\n{more}"


def granted(policies: PolicySet, identity: Identity, asked: str, service: str = "registry") -> set[str]:
    return set(decide(policies, identity, parse_request(asked), Context(service, None, NOW)).granted)


def user(name: str, *groups: str) -> Identity:
    return Identity(name, Kind.PASSWORD, groups=frozenset(groups))


WITHIN = 'to: [authenticated], repositories: ["web/**"], role: writer'
WEB = 'file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete]'


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(WITHIN, id="all-of-it"),
        pytest.param("to: [everyone], repositories: [web], role: reader", id="the-other-pattern"),
        pytest.param('to: [everyone], repositories: ["web/a*/**", web/x, "web/**/y"], role: reader', id="narrower"),
        pytest.param('to: [everyone], repositories: ["web/${user}", "web/${group}/*"], role: reader', id="variables"),
        pytest.param('to: ["group:ops"], repositories: ["web/**"], actions: [push]', id="fewer-actions"),
        pytest.param('to: [everyone], repositories: ["web/x-${user}", "web/${group}-*/*"], role: reader', id="parts"),
        pytest.param('to: ["group:r-{t}"], repositories: ["web/${t}/**"], role: reader', id="capture"),
        pytest.param('to: [everyone], repositories: ["web/**"], not: ["web/prod/**"], role: reader', id="not"),
    ],
)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_what_was_delegated_may_be_said(folder: Path, rule: str, effect: str) -> None:
    """A rule within the delegation, allow or deny, is a rule like any other."""
    policies = load(folder, {"root.yaml": ROOT, "teams/web.yaml": team(rule).replace("allow", effect)})
    assert {(one.id, one.file, one.line) for one in policies.rules} == {
        ("root", "root.yaml", 7),
        ("team", "teams/web.yaml", 3),
    }
    assert policies.files == ("root.yaml", "teams/web.yaml")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(
            'to: [everyone], repositories: ["infra/**"], role: reader',
            "allow[0].repositories[0]: 'infra/**' reaches infra/x, which is not delegated to this file: "
            "root.yaml:5 delegates web/**, web",
            id="other-tree",
        ),
        pytest.param(
            'to: [everyone], repositories: ["web/**", "**"], role: reader',
            "allow[0].repositories[1]: '**' reaches x, which is not delegated to this file: "
            "root.yaml:5 delegates web/**, web",
            id="more-than-the-tree",
        ),
        pytest.param(
            'to: [everyone], repositories: ["*/shop"], role: reader',
            "allow[0].repositories[0]: '*/shop' reaches x/shop, which is not delegated to this file: "
            "root.yaml:5 delegates web/**, web",
            id="across",
        ),
        pytest.param(
            'to: [everyone], repositories: ["web*/**"], not: ["web-*/**"], role: reader',
            "allow[0].repositories[0]: 'web*/**' reaches webx/x, which is not delegated to this file: "
            "root.yaml:5 delegates web/**, web",
            id="with-too-little-under-not",
        ),
        pytest.param(
            'to: ["group:r-{t}"], repositories: ["${t}/a"], role: reader',
            "allow[0].repositories[0]: '${t}/a' reaches x/a, which is not delegated to this file: "
            "root.yaml:5 delegates web/**, web",
            id="of-any-captured-group",
        ),
        pytest.param(
            "to: [everyone], repositories: [web/a], role: maintainer",
            "allow[0].role: the role maintainer has delete, which is not delegated to this file: "
            "root.yaml:5 delegates pull, push",
            id="role",
        ),
        pytest.param(
            "to: [everyone], repositories: [web/a], role: cleaner",
            "allow[0].role: the role cleaner has delete, which is not delegated to this file: "
            "root.yaml:5 delegates pull, push",
            id="own-role",
        ),
        pytest.param(
            'to: [everyone], repositories: [web/a], actions: ["*"]',
            "allow[0].actions: says delete, *, which is not delegated to this file: root.yaml:5 delegates pull, push",
            id="star",
        ),
        pytest.param(
            "to: [everyone], registry: [catalog], actions: [pull]",
            "allow[0].registry: cannot be delegated, and root.yaml:5 delegates repositories; "
            "fix: move the rule to a file at the top",
            id="registry",
        ),
    ],
)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_what_was_not_delegated_is_refused(folder: Path, rule: str, expected: str, effect: str) -> None:
    """The fault is at the team's rule and names the delegation; nothing is clipped."""
    found = faults(folder, {"root.yaml": ROOT, "teams/web.yaml": team(rule).replace("allow", effect)})
    assert found == [f"teams/web.yaml:3: {expected}".replace("allow", effect)]


def test_every_fault_of_a_team_is_told_at_once(folder: Path) -> None:
    """Pattern, actions and a second rule, together with faults elsewhere."""
    text = (
        'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["x", "y"], role: maintainer}\n'
        "deny:\n  - {id: b, to: [everyone], repositories: [z], role: raeder}\n"
        "  - {id: c, to: [everyone], repositories: [z], role: reader}\n"
    )
    found = faults(folder, {"root.yaml": ROOT, "teams/web.yaml": text})
    assert [fault.split(": ")[0:2] for fault in found] == [
        ["teams/web.yaml:3", "allow[0].repositories[0]"],
        ["teams/web.yaml:3", "allow[0].repositories[1]"],
        ["teams/web.yaml:3", "allow[0].role"],
        ["teams/web.yaml:5", "deny[0].role"],
        ["teams/web.yaml:6", "deny[1].repositories[0]"],
    ]


def test_an_entry_for_a_file_that_is_not_there(folder: Path) -> None:
    """The message suggests the file that is probably meant."""
    entry = WEB.replace("teams/web", "teams/wbe")
    found = faults(folder, {"root.yaml": delegating(entry), "teams/web.yaml": team(WITHIN)})
    assert found[0] == (
        "root.yaml:3: delegate[0].file: there is no file 'teams/wbe.yaml' in the policy folder; "
        "did you mean 'teams/web.yaml'?"
    )


def test_entry_without_any_file_below(folder: Path) -> None:
    """The message does not suggest a file that cannot exist."""
    rule = "allow:\n  - {id: r, to: [everyone], repositories: [a], role: reader}\n"
    (found,) = faults(folder, {"root.yaml": delegating(WEB, rule)})
    assert found == (
        "root.yaml:3: delegate[0].file: there is no file 'teams/web.yaml' in the policy folder; "
        "no sub-folder holds a policy file"
    )


def test_two_entries_for_one_file(folder: Path) -> None:
    """Two entries for one file do not add up: the second is a fault that names the first."""
    files = {"a.yaml": delegating(WEB), "b.yaml": delegating(WEB), "teams/web.yaml": team(WITHIN)}
    assert faults(folder, files) == [
        "b.yaml:3: delegate[0].file: teams/web.yaml is already delegated in a.yaml:3; fix: merge the two entries"
    ]


def test_a_delegated_file_delegates_nothing(folder: Path) -> None:
    """Neither to others nor to itself, not even with an entry that could not be read."""
    for entry in (WEB.replace("web.yaml", "more.yaml"), "file: 7"):
        text = team(WITHIN, f"delegate:\n  - {{{entry}}}\n")
        found = faults(folder, {"root.yaml": delegating(WEB), "teams/web.yaml": text})
        message = "delegate: is not allowed in a delegated file; only files at the top delegate"
        assert f"teams/web.yaml:4: {message}" in found


def test_a_file_that_nobody_delegates_to(folder: Path) -> None:
    """Every file in a sub-folder must be named, at any depth."""
    files = {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN), "teams/a/b.yaml": team(WITHIN.replace("team", "b"))}
    (found,) = [fault for fault in faults(folder, files) if "nothing is delegated" in fault]
    assert found == (
        "teams/a/b.yaml:1: nothing is delegated to this file; name it in a file at the top of the policy folder, "
        "such as delegate: [{file: teams/a/b.yaml, repositories: [...], actions: [...]}], or move it there"
    )


def test_what_cannot_be_read_is_not_missed(folder: Path) -> None:
    """If a file cannot be read, its delegations are not reported as missing."""
    files = {"root.yaml": "version: 1\ndelegate: [\n", "teams/web.yaml": team(WITHIN)}
    (found,) = faults(folder, files)
    assert found.startswith("root.yaml:3: is not valid YAML")


# --- principals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principals", "rule", "expected"),
    [
        pytest.param('["group:ops", "user:bot"]', 'to: ["group:ops", "user:bot"]', [], id="named"),
        pytest.param('["group:ops"]', 'to: ["group:ops"], except: ["user:ann"]', ["except: names user:ann"], id="but"),
        pytest.param('["group:ops"]', 'to: ["group:x"]', ["to: names group:x"], id="another-group"),
        pytest.param('["group:ops"]', "to: [everyone]", ["to: names everyone"], id="everyone"),
        pytest.param('["group:ops"]', "to: [authenticated]", ["to: names authenticated"], id="authenticated"),
        pytest.param("[authenticated]", "to: [everyone]", ["to: names everyone"], id="more-than-authenticated"),
        pytest.param("[authenticated]", 'to: ["user:ann", "group:x"]', [], id="anybody-who-logs-in"),
        pytest.param("[authenticated]", "to: [anonymous]", ["to: names anonymous"], id="anonymous"),
        pytest.param("[everyone]", 'to: [anonymous, authenticated, "user:ann"]', [], id="anybody"),
        pytest.param('["group:ops"]', 'to: ["user:olga"]', ["to: names user:olga"], id="a-member-by-name"),
        pytest.param(
            '["user:ann", "user:bob"]', 'to: ["user:ann", "user:eve"]', ["to: names user:eve"], id="one-of-two"
        ),
        pytest.param('["user:ann", "group:devs"]', 'to: ["group:own"]', [], id="own-group-of-named-people"),
        pytest.param(
            '["user:ann"]', 'to: ["group:own"]', ["to: names group:own with the directory group devs"], id="own-brought"
        ),
        pytest.param('["group:devs"]', 'to: ["group:own"]', ["to: names group:own with user:ann"], id="own-user"),
        pytest.param(
            '["group:own"]',
            'to: ["group:own"]',
            ["to: names group:own with user:ann", "to: names group:own with the directory group devs"],
            id="own-group-is-not-the-delegated-one",
        ),
    ],
)
def test_whom_a_team_may_name(folder: Path, principals: str, rule: str, expected: list[str]) -> None:
    """The fault names the principals that are not delegated; a local group counts as its members."""
    root = delegating(f"{WEB}, principals: {principals}", "groups: {ops: {users: [olga]}}\n")
    own = "groups: {own: {users: [ann], groups: [devs]}}\n"
    files = {"root.yaml": root, "teams/web.yaml": team(f'{rule}, repositories: ["web/**"], role: reader', own)}
    if not expected:
        assert load(folder, files).rule_count == 1
        return
    found = faults(folder, files)
    assert sorted(fault.split(", who is")[0] for fault in found) == sorted(
        f"teams/web.yaml:3: allow[0].{one}" for one in expected
    )
    spelled = principals.strip("[]").replace('"', "")
    assert all(fault.endswith(f"root.yaml:3 delegates {spelled}") for fault in found)


CAPTURING = 'to: ["group:r-{t}", "group:{t}-rw"], repositories: ["web/${t}"], role: reader'


@pytest.mark.parametrize(
    ("principals", "more", "expected"),
    [
        pytest.param("[authenticated]", "", [], id="everybody-who-logs-in"),
        pytest.param("[everyone]", ', except: ["user:ann"]', [], id="everyone"),
        pytest.param(
            '["group:ops", "group:r-web"]', "", ["to: names group:r-{t}", "to: names group:{t}-rw"], id="one-of-them"
        ),
        pytest.param("[anonymous]", "", ["to: names group:r-{t}", "to: names group:{t}-rw"], id="anonymous"),
        pytest.param("[authenticated]", ", except: [anonymous]", ["except: names anonymous"], id="except"),
    ],
)
def test_groups_that_a_team_may_capture(folder: Path, principals: str, more: str, expected: list[str]) -> None:
    """Any group has such a name, so only those who may name everybody who logs in may capture; others see what."""
    root = delegating(f"{WEB}, principals: {principals}")
    files = {"root.yaml": root, "teams/web.yaml": team(CAPTURING + more)}
    if not expected:
        assert load(folder, files).rule_count == 1
        return
    found = faults(folder, files)
    assert [one.split(", ")[0] for one in found] == [f"teams/web.yaml:3: allow[0].{one}" for one in expected]
    delegated = principals.strip("[]").replace('"', "")
    assert all(one.endswith(f" not delegated to this file: root.yaml:3 delegates {delegated}") for one in found)


_FILE = read_policy_file(parse(team("to: [everyone], repositories: [a], actions: [pull]"), "a.yaml"))


@slow_examples()
@given(
    st.one_of(
        st.tuples(captured.of_users, captured.of_users),
        st.tuples(captured.of_groups, captured.of_groups),
        st.tuples(captured.capturing, captured.of_groups),
        st.tuples(captured.capturing, captured.of_users),
    )
)
def test_names_within_a_mandate(pair: tuple[Rule, Rule]) -> None:
    """A rule exceeds it exactly if it has a name for some client that the delegated patterns do not cover for it."""
    rule, mandated = pair
    patterns = mandated.patterns
    delegation = Delegation((), "a.yaml", patterns, frozenset({"pull"}), None, None)
    found = scope_faults(Mandate(delegation, "r.yaml:1", ()), _FILE, _FILE.rules[0], rule, {}, Budget())
    assert any(True for _ in found) is any(
        captured.has(rule, client, held, name) and not captured.covered(patterns, client, held, name)
        for client, held in captured.clients(Groups.of_all([]))
        for name in captured.NAMES
    )


def test_a_root_group_is_not_the_directorys_group_of_that_name(folder: Path) -> None:
    """A delegation of the root file's group `ops` does not include the directory's `ops` by way of a local group."""
    root = delegating(f'{WEB}, principals: ["group:ops"]', "groups: {ops: {users: [olga]}}\n")
    text = team('to: ["group:own"], repositories: ["web/**"], role: reader', "groups: {own: {groups: [ops]}}\n")
    (found,) = faults(folder, {"root.yaml": root, "teams/web.yaml": text})
    assert "names group:own with the directory group ops, who is not delegated" in found


# --- names -----------------------------------------------------------------------------------------------------------

TWO = {
    "root.yaml": """\
version: 1
groups: {ops: {users: [olga]}}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]}
  - {file: teams/data.yaml, repositories: ["data/**"], actions: [pull, push]}
allow:
  - {id: root, to: ["group:developers"], repositories: ["infra/**"], role: writer}
  - {id: by-group, to: [authenticated], repositories: ["teams/${group}/**"], role: writer}
""",
    "teams/web.yaml": """\
version: 1
groups: {developers: {users: [ann], groups: [web-devs]}}
roles: {worker: [pull, push]}
allow:
  - {id: web, to: ["group:developers"], repositories: ["web/*"], role: worker}
  - {id: web-ops, to: ["group:ops"], repositories: ["web/ops/**"], role: worker}
  - {id: web-brought, to: ["group:testers"], repositories: ["web/test/**"], role: worker}
  - {id: web-by-group, to: [authenticated], repositories: ["web/by/${group}/**"], role: worker}
tests:
  - {who_can: push web/x, exactly: ["group:developers"]}
  - {who_can: push web/ops/x, exactly: ["group:ops"]}
  - {who_can: push web/test/x, excludes: [authenticated]}
  - {as: {user: eve, groups: [web-devs]}, can: [push web/x]}
  - {what_can: "group:developers", exactly: ["pull,push web/*"]}
  - {as: {user: eve, groups: [developers]}, cannot: [push web/x]}
""",
    "teams/data.yaml": """\
version: 1
groups: {developers: {users: [dora]}}
roles: {worker: [pull]}
allow:
  - {id: data, to: [authenticated], except: ["group:developers"], repositories: ["data/**"], role: worker}
deny:
  - {id: no-data, to: ["group:developers"], repositories: ["data/x/**"], role: worker, message: not for developers}
tests:
  - {as: {user: dora}, cannot: [pull data/a]}
  - {as: {user: ann}, can: [pull data/x/a], cannot: [push data/a]}
""",
}


@pytest.mark.parametrize(
    ("identity", "asked", "expected"),
    [
        pytest.param(user("ann"), "push web/x", {"push"}, id="own-group"),
        pytest.param(user("dora"), "push web/x", set(), id="group-of-another-file"),
        pytest.param(user("eve", "web-devs"), "push web/x", {"push"}, id="brought-into-own-group"),
        pytest.param(user("eve", "developers"), "push web/x", set(), id="brought-name-is-hidden-in-the-file"),
        pytest.param(user("eve", "developers"), "push infra/x", {"push"}, id="brought-name-elsewhere"),
        pytest.param(user("ann"), "push infra/x", set(), id="own-group-is-nothing-to-a-root-file"),
        pytest.param(user("eve", "web-devs"), "push infra/x", set(), id="own-group-by-brought-one"),
        pytest.param(user("olga"), "push web/ops/x", {"push"}, id="root-group-in-a-team-file"),
        pytest.param(user("tom", "testers"), "push web/test/x", {"push"}, id="brought-group-in-a-team-file"),
        pytest.param(user("ann"), "push teams/developers/x", set(), id="root-variable-and-own-group"),
        pytest.param(user("ann"), "push web/by/developers/x", set(), id="own-variable-and-own-group"),
        pytest.param(user("olga"), "push web/by/ops/x", {"push"}, id="variable-and-root-group"),
        pytest.param(user("eve", "qa"), "push web/by/qa/x", {"push"}, id="variable-and-brought-group"),
        pytest.param(user("ann", "developers"), "pull data/x/a", {"pull"}, id="deny-of-another-files-group"),
        pytest.param(user("dora"), "pull data/a", set(), id="except-own-group"),
        pytest.param(ANONYMOUS, "pull data/a", set(), id="anonymous"),
        pytest.param(
            user("eve", owned_name("developers", "teams/web.yaml")), "push web/x", set(), id="internal-name-brought"
        ),
    ],
)
def test_groups_are_known_where_they_should_be(
    folder: Path, identity: Identity, asked: str, expected: set[str]
) -> None:
    """Root groups apply everywhere, local ones in their file, directory ones unless the file has one of that name."""
    assert granted(load(folder, TWO), identity, asked) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param(
            "groups: {ops: {users: [eve]}}\n",
            "groups.ops: the group 'ops' is known in all files, from root.yaml:2; fix: rename the one in this file",
            id="group",
        ),
        pytest.param(
            "roles: {cleaner: [pull]}\n",
            "roles.cleaner: the role 'cleaner' is known in all files, from root.yaml:3; "
            "fix: rename the one in this file",
            id="role",
        ),
        pytest.param("roles: {writer: [pull]}\n", "roles.writer: writer is a built-in role", id="built-in-role"),
    ],
)
def test_names_of_root_files_are_taken(folder: Path, more: str, expected: str) -> None:
    """No team can add members to a root file's group or redefine its roles."""
    found = faults(folder, {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN, more)})
    assert any(fault.startswith(f"teams/web.yaml:4: {expected}") for fault in found), found


def test_roles_of_a_team_are_unknown_elsewhere(folder: Path) -> None:
    """Another file that uses the name does not get the role."""
    files = dict(TWO)
    files["root.yaml"] += "  - {id: more, to: [everyone], repositories: [a], role: worker}\n"
    found = faults(folder, files)
    assert [fault for fault in found if "unknown role 'worker'" in fault and fault.startswith("root.yaml:9")] != []


def test_explanations_name_the_group_as_people_do(folder: Path) -> None:
    """A failing test shows a local group with its file."""
    files = dict(TWO)
    files["root.yaml"] += "tests:\n  - {who_can: push web/x, exactly: []}\n"
    (found,) = faults(folder, files)
    assert "it is group:developers (teams/web.yaml)" in found
    assert str(Principal("group", owned_name("a", "t/b.yaml"))) == "group:a (t/b.yaml)"
    assert (shown_name("a"), plain_name("a"), plain_name(owned_name("a", "t/b.yaml"))) == ("a", "a", "a")


# --- registries and lifetimes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "named", "one", "two"),
    [
        pytest.param("", "", True, True, id="all"),
        pytest.param("", "registries: [one]\n", True, False, id="the-team-chooses"),
        pytest.param("registries: [one]\n", "", True, False, id="as-the-root-file"),
        pytest.param("registries: [one, two]\n", "registries: [two]\n", False, True, id="fewer"),
    ],
)
def test_a_team_speaks_for_the_registries_of_its_root_file(
    folder: Path, spoken: str, named: str, one: bool, two: bool
) -> None:
    """Without `registries:`, the file applies to those of the root file; never to others."""
    policies = load(folder, {"root.yaml": delegating(WEB, spoken), "teams/web.yaml": team(WITHIN, named)})
    found = [granted(policies, user("ann"), "push web/x", service) == {"push"} for service in ("one", "two")]
    assert found == [one, two]


def test_a_registry_that_was_not_delegated(folder: Path) -> None:
    """A root file for one registry cannot delegate another."""
    files = {
        "root.yaml": delegating(WEB, "registries: [one]\n"),
        "teams/web.yaml": team(WITHIN, "registries: [one, two]\n"),
    }
    assert faults(folder, files) == [
        "teams/web.yaml:4: registries[1]: 'two' is not delegated to this file: root.yaml:3 delegates for one"
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("push web/x", 600, id="the-teams-rule-alone"),
        pytest.param("pull web/x", None, id="a-root-rule-grants-it-as-well"),
        pytest.param("pull,push web/x", 600, id="the-shortest-of-both"),
        pytest.param("pull web/short/x", None, id="longest-of-several-rules"),
        pytest.param("push web/frozen/x", None, id="nothing-granted"),
        pytest.param("pull infra/x", None, id="elsewhere"),
    ],
)
def test_lifetime_of_what_a_team_grants(folder: Path, asked: str, expected: int | None) -> None:
    """The ceiling limits what no rule without a ceiling grants as well."""
    rules = (
        "allow:\n"
        '  - {id: read, to: [authenticated], repositories: ["web/**", "infra/**"], role: reader}\n'
        'deny:\n  - {id: frozen, to: [everyone], repositories: ["web/frozen/**"], actions: [push]}\n'
    )
    files = {"root.yaml": delegating(f"{WEB}, max_lifetime: 10m", rules), "teams/web.yaml": team(WITHIN)}
    policies = load(folder, files)
    decision = decide(policies, user("ann"), parse_request(asked), Context("registry", None, NOW))
    assert decision.max_lifetime == expected


def test_owners(folder: Path) -> None:
    """Each entry with its patterns, its registries and its contact, which is text of any kind."""
    contact = "web team <web@example.com>, https://chat.example.com/web"
    root = delegating(f'{WEB}, contact: "{contact}"', "registries: [reg]\n")
    policies = load(folder, {"root.yaml": root, "teams/web.yaml": team(WITHIN)})
    assert [
        (one.file, one.place, [pattern.text for pattern in one.patterns], one.registries, one.contact)
        for one in policies.owners
    ] == [("root.yaml", ("delegate", 0), ["web/**"], ("reg",), contact)]
    policies = load(folder, {"root.yaml": delegating(WEB), "teams/web.yaml": team(WITHIN)})
    assert [one.contact for one in policies.owners] == [None]


# --- the folder ------------------------------------------------------------------------------------------------------


def test_digest_covers_files_below(folder: Path) -> None:
    """A change of a team's file, or of its name, changes the digest."""
    first = load(folder, {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN)}).digest
    second = load(folder, {"teams/web.yaml": team(WITHIN) + "# x\n"}).digest
    (folder / "teams" / "web.yaml").unlink()
    moved = ROOT.replace("teams/", "crews/")
    (folder / "teams").rmdir()
    third = load(folder, {"root.yaml": moved, "crews/web.yaml": team(WITHIN)}).digest
    assert len({first, second, third}) == 3


def test_kubernetes_mounts_sub_folders_as_links(folder: Path) -> None:
    """A link through `..data` is followed, and its target is not read twice."""
    version = folder / "..2026_01"
    write(version, {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN)})
    (folder / "..data").symlink_to("..2026_01")
    (folder / "root.yaml").symlink_to("..data/root.yaml")
    (folder / "teams").symlink_to("..data/teams")
    assert load_policies(folder, now=NOW).files == ("root.yaml", "teams/web.yaml")


def test_a_link_that_leads_back_is_refused(folder: Path) -> None:
    """It would never end, and could hide a file."""
    write(folder, {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN)})
    (folder / "teams" / "again").symlink_to(folder)
    assert faults(folder, {}) == ["teams/again: cannot be read as a folder: leads back to a folder above"]


def test_depth_of_folders_is_bounded(folder: Path) -> None:
    """Eight levels of folders are read, a ninth is a fault."""
    eight = "/".join("abcdefgh")
    root = ROOT.replace("teams/web.yaml", f"{eight}/web.yaml")
    assert load(folder, {"root.yaml": root, f"{eight}/web.yaml": team(WITHIN)}).rule_count == 2
    (folder / eight / "i").mkdir()
    assert faults(folder, {}) == [f"{eight}/i: cannot be read as a folder: is deeper than 8 folders"]


def test_folders_below_must_be_safe_as_well(folder: Path) -> None:
    """Write access to a team's folder allows replacing the team's file."""
    write(folder, {"root.yaml": ROOT, "teams/web.yaml": team(WITHIN)})
    (folder / "teams").chmod(0o777)
    assert [fault.split(";")[0] for fault in faults(folder, {})] == ["teams: can be changed by others (mode 0777)"]


def test_every_entry_of_a_file_is_looked_at(folder: Path) -> None:
    """Also after a repeated one, and in root files after a delegated file that delegates."""
    again = f"  - {{{WEB}}}\n  - {{{WEB.replace('web.yaml', 'none.yaml')}}}\n"
    files = {
        "a/web.yaml": delegating(WEB),
        "root.yaml": delegating(WEB, again),
        "teams/web.yaml": team(WITHIN),
    }
    told = faults(folder, files)
    assert [fault for fault in told if "is not allowed in a delegated file" in fault]
    assert [fault for fault in told if "teams/web.yaml is already delegated in root.yaml:3" in fault]
    assert [fault for fault in told if "there is no file 'teams/none.yaml'" in fault]


def test_a_files_own_groups_stand_beside_others(folder: Path) -> None:
    """One rule can name both: the local group is renamed, the directory's is not."""
    more = "groups: {mine: {users: [ann]}}\n"
    rule = 'to: ["group:mine", "group:developers"], repositories: ["web/**"], role: reader'
    policies = load(folder, {"root.yaml": delegating(WEB), "teams/web.yaml": team(rule, more)})
    (one,) = policies.rules
    assert one.to.groups == {owned_name("mine", "teams/web.yaml"), "developers"}
    assert granted(policies, user("bob", "developers"), "pull web/x") == {"pull"}
    assert granted(policies, user("ann"), "pull web/x") == {"pull"}
    assert granted(policies, user("bob", "mine"), "pull web/x") == set()


def test_every_registry_that_was_delegated_is_told(folder: Path) -> None:
    """Separated by commas."""
    root = delegating(WEB).replace("version: 1", "version: 1\nregistries: [one, two]")
    web = team(WITHIN).replace("version: 1", "version: 1\nregistries: [three]")
    (told,) = faults(folder, {"root.yaml": root, "teams/web.yaml": web})
    assert told.endswith("'three' is not delegated to this file: root.yaml:4 delegates for one, two")


def test_everybody_who_was_not_delegated_is_told(folder: Path) -> None:
    """A group of the directory, then a local one."""
    entry = WEB + ', principals: ["user:ann"]'
    more = "groups: {zz: {users: [bob]}}\n"
    rule = 'to: ["group:aa", "group:zz"], repositories: ["web/**"], role: reader'
    told = faults(folder, {"root.yaml": delegating(entry), "teams/web.yaml": team(rule, more)})
    assert [fault.partition("names ")[2].partition(",")[0] for fault in told] == ["group:aa", "group:zz with user:bob"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            'file: teams/web.yaml, repositories: ["web/**"], actions: [pul]',
            ["root.yaml:3: delegate[0].actions[0]", "teams/web.yaml:3: allow[0].repositories[1]"],
            id="an-action",
        ),
        pytest.param(
            'file: teams/web.yaml, repositories: ["Web/**"], actions: [pull]',
            ["root.yaml:3: delegate[0].repositories[0]", "teams/web.yaml:3: allow[0].role"],
            id="a-pattern",
        ),
        pytest.param(
            'file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push], principals: [ann]',
            ["root.yaml:3: delegate[0].principals[0]", "teams/web.yaml:3: allow[0].repositories[1]"],
            id="a-principal",
        ),
        pytest.param(
            'fiel: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]',
            ["root.yaml:3: delegate[0]", "root.yaml:3: delegate[0].fiel"],
            id="no-file",
        ),
    ],
)
def test_a_fault_in_an_entry_hides_no_other_and_invents_none(tmp_path: Path, entry: str, expected: list[str]) -> None:
    """What was read still limits the file; what was not makes none of its rules wrong."""
    rules = 'to: [everyone], repositories: ["web/*", other], role: writer'
    found = faults(tmp_path, {"root.yaml": delegating(entry), "teams/web.yaml": team(rules)})
    assert sorted(fault.split(": ")[0] + ": " + fault.split(": ")[1] for fault in found) == expected


def test_a_delegation_that_is_no_list(tmp_path: Path) -> None:
    """The delegated file is not said to be nobody's."""
    root = "version: 1\ndelegate: teams/web.yaml\n"
    rules = 'to: [everyone], repositories: ["web/*"], role: reader'
    (found,) = faults(tmp_path, {"root.yaml": root, "teams/web.yaml": team(rules)})
    assert found.startswith("root.yaml:2: delegate: must be a list, not text")


@pytest.mark.parametrize("value", ["['user:mallory']", "[]", "nonsense"])
def test_administrators_are_not_delegated(tmp_path: Path, value: str) -> None:
    """Only root files name administrators, however a team writes it. docs/design/threats.md#threat-170"""
    rules = 'to: [everyone], repositories: ["web/*"], role: reader'
    root = delegating('file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]')
    text = team(rules, f"administrators: {value}\n")
    line = text.splitlines().index(f"administrators: {value}") + 1
    expected = (
        f"teams/web.yaml:{line}: administrators: is not allowed in a delegated file; "
        "fix: name them in a file at the top of the policy folder"
    )
    assert expected in faults(tmp_path, {"root.yaml": root, "teams/web.yaml": text})
