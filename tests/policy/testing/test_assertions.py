"""Tests in policy files: what passes, what fails, and the message of a failure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from policy_files import load_faults
from team_trees import NOW, ROOT, TEST, TREE, put
from team_trees import WEB as WEB_FILE

from tokenserver.errors import LoadError
from tokenserver.identity import NamespaceRule, Namespaces
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.queries import witnesses

POLICY = """\
version: 1
groups:
  web: {users: [ann], groups: [web-devs]}
  pair: {users: [pat, kim]}
allow:
  - {id: web-developers, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: writer}
  - {id: office, to: [everyone], repositories: [office], role: reader, when: {from: [10.0.0.0/8]}}
  - {id: season, to: [everyone], repositories: [season], role: reader, when: {since: 2026-07-01, until: 2026-08-01}}
  - {id: typed, to: [everyone], repositories: [typed], role: reader, when: {kind: password}}
  - {id: two, to: ["group:pair"], repositories: [pair], role: reader}
  - {id: public, to: [everyone], repositories: [public], role: reader}
  - {id: inside, to: [authenticated], repositories: [inside], role: reader}
  - {id: catalog, to: ["group:ops"], registry: [catalog], actions: ["*"]}
  - {id: both, to: ["group:a"], repositories: [both], role: reader}
deny:
  - {id: freeze, to: [everyone], except: ["user:bot"], repositories: ["web/prod/**"], actions: [push], message: ask bot}
  - {id: both-only, to: [everyone], except: ["group:b"], repositories: [both], actions: [pull]}
tests:
  - {TEST}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder for one file."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def failures(folder: Path, test: str) -> list[str]:
    """The faults of loading with this one test in the file."""
    return [fault.message.removeprefix("test failed: ") for fault in load_faults(folder, POLICY.replace("TEST", test))]


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("as: {user: ann}, can: [push web/x], cannot: [delete web/x]", id="user"),
        pytest.param("as: {user: eve, groups: [web-devs]}, can: [push web/x]", id="directory-group"),
        pytest.param(
            "as: {groups: [web-devs]}, can: [push web/x], cannot: [push users/eve/x]", id="somebody-in-a-group"
        ),
        pytest.param("as: authenticated, can: [pull inside], cannot: [push web/x]", id="authenticated"),
        pytest.param("as: anonymous, can: [pull public], cannot: [pull inside]", id="anonymous"),
        pytest.param('as: {user: ann}, can: ["pull,push web/x"]', id="two-actions"),
        pytest.param('as: {user: eve}, cannot: ["* web/x"]', id="star-means-each"),
        pytest.param('as: {groups: [ops]}, can: ["* registry:catalog"]', id="catalog"),
        pytest.param("as: anonymous, from: 10.1.1.1, can: [pull office]", id="from"),
        pytest.param("as: anonymous, from: 192.0.2.1, cannot: [pull office]", id="from-elsewhere"),
        pytest.param("as: anonymous, cannot: [pull office]", id="from-nowhere-fails-closed"),
        pytest.param("as: anonymous, at: 2026-07-01, can: [pull season]", id="at"),
        pytest.param("as: anonymous, at: 2026-06-01, cannot: [pull season]", id="at-another-time"),
        pytest.param("as: {user: ann}, kind: password, can: [pull typed]", id="kind"),
        pytest.param("as: anonymous, cannot: [pull typed]", id="kind-anonymous"),
        pytest.param('who_can: push web/x, exactly: ["group:web"]', id="who-group"),
        pytest.param('who_can: push web/prod/x, exactly: ["user:bot"]', id="who-is-excepted-and-may-be-a-member"),
        pytest.param("who_can: pull public, exactly: [everyone]", id="who-everyone"),
        pytest.param("who_can: pull public, exactly: [authenticated, anonymous]", id="who-everyone-in-parts"),
        pytest.param("who_can: pull inside, exactly: [authenticated]", id="who-authenticated"),
        pytest.param('who_can: pull inside, exactly: [authenticated, "user:ann"]', id="who-covered-is-no-difference"),
        pytest.param('who_can: push users/ann/x, exactly: ["user:ann"]', id="who-owns"),
        pytest.param("who_can: delete web/x, exactly: []", id="who-nobody"),
        pytest.param('who_can: pull pair, exactly: ["group:pair"]', id="who-group-of-users"),
        pytest.param('who_can: pull pair, exactly: ["user:pat", "user:kim"]', id="who-users-of-a-group"),
        pytest.param('who_can: "* registry:catalog", exactly: ["group:ops"]', id="who-catalog"),
        pytest.param('who_can: pull both, exactly: ["group:a & group:b"]', id="who-is-two-at-once"),
        pytest.param('who_can: push web/x, exactly: ["group:web", "user:ann"]', id="who-member-is-covered"),
        pytest.param("who_can: pull office, from: 10.0.0.1, exactly: [everyone]", id="who-from"),
        pytest.param("who_can: pull typed, kind: password, exactly: [authenticated]", id="who-kind"),
        pytest.param('who_can: push web/x, includes: ["user:ann", "group:web", "group:web-devs"]', id="includes"),
        pytest.param('who_can: push web/prod/x, includes: ["user:bot"]', id="includes-a-found-answer"),
        pytest.param("who_can: pull public, includes: [everyone, anonymous, authenticated]", id="includes-sets"),
        pytest.param('who_can: pull both, includes: ["group:a & group:b"]', id="includes-two-at-once"),
        pytest.param('who_can: push web/prod/x, excludes: [everyone, "user:ann", "group:web"]', id="excludes"),
        pytest.param("who_can: pull inside, excludes: [anonymous]", id="excludes-anonymous"),
        pytest.param('who_can: push web/x, includes: ["user:ann"], excludes: ["user:bot"]', id="includes-and-excludes"),
    ],
)
def test_passes(folder: Path, test: str) -> None:
    """A passing test reports nothing."""
    assert failures(folder, test) == []


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(
            "as: {user: ann}, cannot: [push web/x]",
            "expected that user ann cannot push web/x, but it is allowed by web-developers (a.yaml:6)",
            id="cannot-and-can",
        ),
        pytest.param(
            "as: {user: eve, groups: [web-devs]}, can: [push web/prod/x]",
            "expected that user eve (web-devs) can push web/prod/x, but it is forbidden by freeze (a.yaml:17: ask bot)",
            id="can-and-is-denied",
        ),
        pytest.param(
            "as: anonymous, can: [pull web/x]",
            "expected that an anonymous client can pull web/x, but no allow rule applies",
            id="can-and-nothing-allows",
        ),
        pytest.param(
            "as: authenticated, can: [pull web/x]",
            "expected that an unnamed user can pull web/x, but no allow rule applies",
            id="unnamed",
        ),
        pytest.param(
            "as: {user: eve, groups: [web]}, can: [pull web/x]",
            "expected that user eve (web) can pull web/x, but no allow rule applies "
            "(web: a group of this tree, which hides the directory group of that name)",
            id="hidden-group",
        ),
        pytest.param(
            'as: {user: ann}, can: ["* registry:catalog"]',
            "expected that user ann can * registry:catalog, but no allow rule applies",
            id="catalog",
        ),
        pytest.param(
            'who_can: push web/x, exactly: ["user:bot"]',
            "who can push web/x: expected exactly user:bot, but it is group:web; "
            "group:web can: it is allowed by web-developers (a.yaml:6); "
            "user:bot is not among them: no allow rule applies",
            id="exactly",
        ),
        pytest.param(
            "who_can: pull public, exactly: []",
            "who can pull public: expected exactly nobody, but it is everyone; "
            "anonymous can: it is allowed by public (a.yaml:12); "
            "authenticated can: it is allowed by public (a.yaml:12)",
            id="exactly-nobody",
        ),
        pytest.param(
            'who_can: pull inside, exactly: ["user:ann"]',
            "who can pull inside: expected exactly user:ann, but it is authenticated; "
            "authenticated can: it is allowed by inside (a.yaml:13); "
            "user:ann is not among them: a broader principal can",
            id="exactly-too-narrow",
        ),
        pytest.param(
            'who_can: push web/prod/x, includes: ["user:ann"]',
            "who can push web/prod/x: expected includes user:ann, but it is user:bot; "
            "user:ann is not among them: it is forbidden by freeze (a.yaml:17: ask bot)",
            id="includes",
        ),
        pytest.param(
            "who_can: pull inside, includes: [everyone]",
            "who can pull inside: expected includes everyone, but it is authenticated; "
            "everyone is not among them: no allow rule applies",
            id="includes-everyone-needs-all",
        ),
        pytest.param(
            'who_can: pull both, includes: ["anonymous & user:ann"]',
            "who can pull both: expected includes anonymous & user:ann, but it is group:a & group:b; "
            "anonymous & user:ann is not among them: a broader principal can",
            id="includes-the-impossible",
        ),
        pytest.param(
            "who_can: pull inside, excludes: [everyone]",
            "who can pull inside: expected excludes everyone, but it is authenticated; "
            "everyone can: it is allowed by inside (a.yaml:13)",
            id="excludes-everyone-fails-for-some",
        ),
        pytest.param(
            'who_can: push web/prod/x, excludes: ["user:bot"]',
            "who can push web/prod/x: expected excludes user:bot, but it is user:bot; "
            "user:bot can: it is allowed by web-developers (a.yaml:6)",
            id="excludes-who-may-be-a-member",
        ),
    ],
)
def test_fails(folder: Path, test: str, expected: str) -> None:
    """A failing test rejects the load and reports the expected and the actual result, and the deciding rules."""
    assert failures(folder, test) == [expected]


def test_includes_and_excludes_of_one_entry_each_fail_for_themselves(folder: Path) -> None:
    """An entry may have both; both are evaluated."""
    found = failures(folder, 'who_can: pull inside, includes: [anonymous], excludes: ["user:ann"]')
    assert [one.partition(": expected ")[2].partition(",")[0] for one in sorted(found)] == [
        "excludes user:ann",
        "includes anonymous",
    ]


def test_every_failing_item_is_told(folder: Path) -> None:
    """All failures are reported, each at its line."""
    assert [
        failure.split(", but")[0] for failure in failures(folder, 'as: {user: ann}, cannot: ["* web/x", pull a]')
    ] == [
        "expected that user ann cannot pull web/x",
        "expected that user ann cannot push web/x",
    ]


def test_tests_run_when_nothing_else_is_wrong(folder: Path) -> None:
    """A broken rule is not reported a second time as a failing test."""
    (folder / "b.yaml").write_text("version: 1\nallow: []\n")
    (folder / "b.yaml").chmod(0o644)
    assert failures(folder, "as: anonymous, can: [push a]") == ["is an empty list: leave the key out, or fill it"]


def test_too_many_combinations_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that would take too long is no answer; the test fails."""
    monkeypatch.setattr(witnesses, "MAX_WITNESSES", 1)
    for expected in ("exactly: []", "includes: ['user:ann']"):
        assert failures(folder, f"who_can: push web/x, {expected}") == [
            "who can push web/x: not decided: more than 1 combinations of principals to try"
        ]


OWN = (
    'version: 1\nallow:\n  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: writer}\ntests:\n'
)
MAPPED = Namespaces(frozenset({NamespaceRule.LOWER}))


@pytest.mark.parametrize("namespaces", [None, MAPPED], ids=["names", "mapped"])
@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("as: {user: JohnDoe, namespace: johndoe}, can: [push users/johndoe/app]", True),
        ("as: {user: JohnDoe, namespace: johndoe}, can: [push users/other/app]", False),
        ("as: {user: JohnDoe}, cannot: [push users/johndoe/app]", True),
        ("as: {user: web}, can: [push users/web/app]", True),
        ("what_can: {user: JohnDoe, namespace: johndoe}, exactly: ['pull,push users/johndoe/**']", True),
        ("what_can: {user: JohnDoe, namespace: johndoe}, exactly: []", False),
        ("what_can: 'user:JohnDoe', exactly: []", True),
        ("what_can: 'user:web', exactly: ['pull,push users/web/**']", True),
        ("who_can: push users/web/app, exactly: ['namespace:web']", True),
        ("who_can: push users/web/app, exactly: ['namespace:other']", False),
        ("who_can: push users/web/app, includes: ['namespace:web']", True),
        ("who_can: push users/web/app, excludes: ['namespace:web']", False),
        ("who_can: push users/web/app, excludes: ['namespace:other', anonymous]", True),
    ],
)
def test_namespaces(folder: Path, test: str, holds: bool, namespaces: Namespaces | None) -> None:
    """What a test says of a namespace holds with and without sources that map names."""
    (folder / "own.yaml").write_text(f"{OWN}  - {{{test}}}\n")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    if holds:
        load_policies(folder, now=now, namespaces=namespaces)
    else:
        with pytest.raises(LoadError):
            load_policies(folder, now=now, namespaces=namespaces)


def test_a_name_is_no_namespace_where_names_are_mapped(folder: Path) -> None:
    """The user web is one of those whose namespace is web, but not all of them."""
    (folder / "own.yaml").write_text(f"{OWN}  - {{who_can: push users/web/app, exactly: ['user:web']}}\n")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    load_policies(folder, now=now)
    with pytest.raises(LoadError, match="namespace:web"):
        load_policies(folder, now=now, namespaces=MAPPED)


SPARING = """\
version: 1
allow:
  - {id: web, to: [everyone], repositories: ["web/**"], not: [web/x], role: reader}
deny:
  - {id: freeze, to: [everyone], repositories: ["web/prod/**"], not: ["web/prod/open/**"], actions: [pull]}
tests:
  - {what_can: anonymous, exactly: [%s]}
"""


def test_what_a_rule_leaves_out_is_advised_as_a_test_can_have_it(folder: Path) -> None:
    """What a failing test says about its rules is what passes."""
    (fault,) = load_faults(folder, SPARING % "")
    advised = "pull web/** except web/prod/** web/x, pull web/prod/open/**"
    assert f"but it is {advised}; anonymous can pull web/" in fault.message
    assert load_faults(folder, SPARING % advised) == []


OF_MACHINES = """\
version: 1
robots:
  ci-web:
workloads:
  web: {from: github, claims: {repository_id: "74"}}
  release: {from: github, claims: {repository_id: "74", environment: production}}
allow:
  - {id: people, to: [authenticated], repositories: ["docs/**"], role: reader}
  - {id: builds, to: ["robot:ci-web", "workload:web"], repositories: ["web/**"], role: writer}
  - {id: release, to: ["workload:release"], repositories: ["prod/**"], role: writer}
  - {id: public, to: [everyone], repositories: [public], role: reader}
tests:
"""
WEB = "{workload: {from: github, claims: {repository_id: 74}}}"
RELEASE = "{workload: {from: github, claims: {repository_id: 74, environment: production}}}"
OTHER = "{workload: {from: github, claims: {repository_id: 99}}}"


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(
            "as: {robot: ci-web}, can: [push web/x, pull public], cannot: [pull docs/a, push prod/x]", id="robot"
        ),
        pytest.param(f"as: {WEB}, can: [push web/x, pull public], cannot: [pull docs/a, push prod/x]", id="workload"),
        pytest.param(f"as: {RELEASE}, can: [push web/x, push prod/x], cannot: [pull docs/a]", id="two workloads"),
        pytest.param(f"as: {OTHER}, cannot: [pull public]", id="not declared"),
        pytest.param("what_can: 'robot:ci-web', exactly: ['pull,push web/**', pull public]", id="what a robot can"),
        pytest.param("what_can: {robot: ci-web}, exactly: ['pull,push web/**', pull public]", id="what the robot can"),
        pytest.param("what_can: robots, exactly: [pull public]", id="what robots can"),
        pytest.param("what_can: workloads, exactly: [pull public]", id="what workloads can"),
        pytest.param(
            "what_can: 'workload:release', exactly: ['pull,push web/**', 'pull,push prod/**', pull public]",
            id="what a workload can",
        ),
        pytest.param(f"what_can: {WEB}, exactly: ['pull,push web/**', pull public]", id="what a client can"),
        pytest.param(f"what_can: {OTHER}, exactly: []", id="what a client can that is not declared"),
    ],
)
def test_machines_pass(folder: Path, test: str) -> None:
    """What robots and workloads can, by name and by claims."""
    assert load_faults(folder, f"{OF_MACHINES}  - {{{test}}}\n") == []


REFUSED = "no declared workload matches, so such a client is refused; workload:web: repository_id is 99, not 74"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(
            "as: {robot: ci-web}, can: [pull docs/a]",
            "expected that robot ci-web can pull docs/a, but no allow rule applies",
            id="robot",
        ),
        pytest.param(
            f"as: {WEB}, cannot: [push web/x]",
            "expected that a workload from github with repository_id=74 cannot push web/x, "
            "but it is allowed by builds (a.yaml:9)",
            id="workload",
        ),
        pytest.param(
            f"as: {OTHER}, can: [pull public]",
            f"expected that a workload from github with repository_id=99 can pull public, but {REFUSED}",
            id="not declared",
        ),
        pytest.param(
            f"what_can: {OTHER}, exactly: [pull public]",
            "what can a workload from github with repository_id=99: expected exactly pull public, but it is nothing; "
            f"{REFUSED}; a workload from github with repository_id=99 cannot pull public",
            id="what a client can that is not declared",
        ),
        pytest.param(
            "what_can: 'robot:ci-web', exactly: ['pull,push web/**']",
            "what can robot:ci-web: expected exactly pull,push web/**, but it is pull public, pull,push web/**; "
            "robot:ci-web can pull public (public)",
            id="what a robot can",
        ),
    ],
)
def test_machines_fail(folder: Path, test: str, expected: str) -> None:
    """Robots and workloads are named as the test names them."""
    (fault,) = load_faults(folder, f"{OF_MACHINES}  - {{{test}}}\n")
    assert fault.message == f"test failed: {expected}"


def test_exactly_is_about_the_mandate_of_a_delegated_file(tmp_path: Path) -> None:
    """What others grant elsewhere is neither expected nor reported."""
    elsewhere = '  - {id: other, to: ["user:ann"], repositories: ["other/**"], role: writer}\n'
    test = '  - {what_can: "user:ann", exactly: ["pull,push web/**"]}\n'
    put(tmp_path, {**TREE, "company.yaml": ROOT + elsewhere, "teams/web.yaml": WEB_FILE.replace(TEST, test)})
    assert load_policies(tmp_path, now=NOW).notes == ()
