"""Robots and workloads of all files: the faults of their declarations, their names and their delegations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from team_trees import NOW, put

from tokenserver.errors import LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import PolicyLoader, compile_policies, load_policies
from tokenserver.policy.loading.machines import WorkloadSources
from tokenserver.policy.machines.claim_names import SourceClaims
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.syntax.machines import robot_identity, workload_identity
from tokenserver.policy.terms import parse_request

SOURCES: WorkloadSources = {
    "github": SourceClaims(
        frozenset(frozenset({name}) for name in ("repository_id", "repository_owner_id", "repository"))
    ),
    "cluster": SourceClaims(
        frozenset({frozenset({"namespace", "serviceaccount"})}),
        {"namespace": "kubernetes.io/namespace", "serviceaccount": "kubernetes.io/serviceaccount/name"},
    ),
    "open": SourceClaims(frozenset()),
}
RULE = 'allow:\n  - {id: r, to: [authenticated], repositories: ["base/**"], role: reader}\n'
HASH = "sha256:" + "0a" * 32


def root(text: str) -> dict[str, str]:
    """A tree of one root file, whose text begins in line 4."""
    return {"a.yaml": f"version: 1\n{RULE}{text}\n"}


def faults(folder: Path, files: Mapping[str, str], sources: WorkloadSources | None = SOURCES) -> list[str]:
    """The faults of loading these files."""
    put(folder, dict(files))
    try:
        load_policies(folder, now=NOW, workload_sources=sources)
    except LoadError as error:
        return [str(fault).removeprefix(f"{folder}/") for fault in error.faults]
    return []


def secret(number: int, expires: str = "2027-01-01") -> str:
    """A declared secret."""
    return f'{{id: "{number:012}", hash: "{HASH}", expires: {expires}}}'


def robot(*secrets: str) -> str:
    """A robot with these secrets, in line 4."""
    return f"robots: {{ci: {{secrets: [{', '.join(secrets)}]}}}}"


def workload(source: str, claims: str) -> str:
    """A workload, in line 4."""
    return f"workloads: {{web: {{from: {source}, claims: {{{claims}}}}}}}"


ANYBODY = "a.yaml:4: workloads.web.claims: would accept machines of anybody who has tokens of"
ANCHORS = "fix: require repository or repository_id or repository_owner_id, with a value that is more than wildcards"
PAIR = "fix: require namespace and serviceaccount, with a value that is more than wildcards"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(robot(secret(1), secret(2)), [], id="two secrets"),
        pytest.param(
            robot(secret(1), secret(1)),
            ["a.yaml:4: robots.ci.secrets[1].id: the secret id '000000000001' is already used in FOLDER/a.yaml:4"],
            id="the same secret",
        ),
        pytest.param(
            robot(secret(1), secret(2), secret(3)),
            [
                (
                    "a.yaml:4: robots.ci.secrets: has 3 secrets that have not expired (000000000001, 000000000002, "
                    "000000000003), and may have 2; fix: remove those that are no longer used"
                )
            ],
            id="three secrets",
        ),
        pytest.param(robot(secret(1), secret(2, "2026-06-01"), secret(3)), [], id="one of three has expired"),
        pytest.param(workload("github", "repository_id: 74"), [], id="anchored"),
        pytest.param(workload("github", "repository: octo/*, ref: '*'"), [], id="anchored by a glob"),
        pytest.param(workload("github", "ref: main"), [f"{ANYBODY} github; {ANCHORS}"], id="no anchor"),
        pytest.param(workload("github", "repository: '*/*'"), [f"{ANYBODY} github; {ANCHORS}"], id="only wildcards"),
        pytest.param(
            workload("github", "repository_id: [74, '*']"), [f"{ANYBODY} github; {ANCHORS}"], id="wildcards in a list"
        ),
        pytest.param(workload("cluster", "namespace: web"), [f"{ANYBODY} cluster; {PAIR}"], id="half an anchor"),
        pytest.param(workload("cluster", "namespace: web, serviceaccount: ci-*"), [], id="both halves"),
        pytest.param(
            workload("githb", "repository_id: 74"),
            ["a.yaml:4: workloads.web.from: no workload source 'githb' is configured; did you mean 'github'?"],
            id="source",
        ),
        pytest.param(
            "tests: [{as: {workload: {from: gitlab, claims: {a: x}}}, cannot: [pull x]}]",
            ["a.yaml:4: tests[0].as.workload.from: no workload source 'gitlab' is configured; did you mean 'github'?"],
            id="source of a test",
        ),
        pytest.param(
            "robots: {ci-web: , bot: }\ngroups: {g: {robots: [ci-wbe]}}",
            ["a.yaml:5: groups.g: no file declares the robot 'ci-wbe'; did you mean 'ci-web'?"],
            id="robot of a group",
        ),
        pytest.param(
            'deny:\n  - {id: d, to: ["robot:ci"], repositories: ["**"], actions: [push]}',
            ["a.yaml:5: deny[0].to: no file declares the robot 'ci'; fix: declare it under robots"],
            id="robot of a rule",
        ),
        pytest.param(
            'deny:\n  - {id: d, to: [everyone], except: ["workload:ci"], repositories: ["**"], actions: [push]}',
            ["a.yaml:5: deny[0].except: no file declares the workload 'ci'; fix: declare it under workloads"],
            id="workload of an exception",
        ),
        pytest.param(
            'deny: [{id: d, to: ["workload:ci"], repositories: [x], actions: [push], when: {claims: {a: x}}}]',
            ["a.yaml:4: deny[0].to: no file declares the workload 'ci'; fix: declare it under workloads"],
            id="workload with more claims",
        ),
        pytest.param(
            "tests:\n  - {as: {robot: ci}, cannot: [pull x]}",
            ["a.yaml:5: tests[0].as.robot: no file declares the robot 'ci'; fix: declare it under robots"],
            id="robot of a test",
        ),
        pytest.param(
            'tests:\n  - {who_can: pull x, excludes: ["workload:ci"]}',
            ["a.yaml:5: tests[0].excludes: no file declares the workload 'ci'; fix: declare it under workloads"],
            id="workload of an answer",
        ),
    ],
)
def test_faults_of_one_file(tmp_path: Path, text: str, expected: list[str]) -> None:
    """Each with its line and a fix."""
    assert [one.replace(f"{tmp_path}", "FOLDER") for one in faults(tmp_path, root(text))] == expected


def test_a_source_without_anchors_accepts_nothing(tmp_path: Path) -> None:
    """Empty is nothing: neither an empty list of anchors nor an empty anchor pins anything."""
    (found,) = faults(tmp_path, root(workload("open", "sub: x")))
    assert found.startswith(f"{ANYBODY} open")
    assert faults(tmp_path, root(workload("open", "sub: x")), {"open": SourceClaims(frozenset({frozenset()}))}) != []


def test_no_sources(tmp_path: Path) -> None:
    """None configured is not the same as not known which."""
    text = root(workload("github", "ref: main"))
    assert faults(tmp_path, text, {}) == [
        "a.yaml:4: workloads.web.from: no workload source 'github' is configured; no workload source is configured"
    ]
    assert faults(tmp_path, text, None) == []


def test_the_time_may_be_unknown(tmp_path: Path) -> None:
    """Then nobody can say which secrets have expired."""
    put(tmp_path, root(robot(secret(1), secret(2), secret(3))))
    policies, _ = compile_policies(tmp_path)
    assert len(policies.robots["ci"].secrets) == 3
    with pytest.raises(LoadError, match="has 3 secrets"):
        compile_policies(tmp_path, now=NOW)
    assert compile_policies(tmp_path, now=datetime(2027, 1, 1, tzinfo=UTC))[0].robots.keys() == {"ci"}


def test_names_may_be_in_a_file_with_faults(tmp_path: Path) -> None:
    """What is missing there is not reported as missing."""
    files = root("groups: {g: {robots: [ci]}}") | {"b.yaml": "version: 1\nrobots: [\n"}
    assert [one for one in faults(tmp_path, files) if "declares" in one] == []


ROOT = """\
version: 1
robots: {deploy: }
workloads: {base: {from: github, claims: {repository_id: 7}}}
groups: {bots: {robots: [deploy]}, runners: {workloads: [base]}, mixed: {users: [ann], includes: [bots]}}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]MORE}
  - file: teams/data.yaml
    repositories: ["data/**"]
    actions: [pull, push]
    robots: ["data-*"]
    workloads: {from: [github], claims: {repository_owner_id: "65"}}
"""
DATA = """\
version: 1
robots: {data-ci: }
workloads: {data-job: {from: github, claims: {repository_owner_id: 65, ref: refs/heads/*}}}
allow:
  - {id: data, to: ["robot:data-ci", "workload:data-job"], repositories: ["data/**"], role: writer}
"""
ROBOTS = ', robots: ["web-*", site]'
WORKLOADS = ', workloads: {from: [github, cluster], claims: {repository_owner_id: "65"}}'


def tree(web: str, more: str = "") -> dict[str, str]:
    """The company, the data team, and a team whose file has this text from line 2 on."""
    return {
        "company.yaml": ROOT.replace("MORE", more),
        "teams/data.yaml": DATA,
        "teams/web.yaml": f"version: 1\n{web}\n",
    }


def rule(to: str, more: str = "") -> str:
    """A rule of the team."""
    return f"allow: [{{id: w, to: [{to}], repositories: [web/x], role: reader{more}}}]"


def web_workload(claims: str, source: str = "github") -> str:
    """A workload of the team."""
    return f"workloads: {{w: {{from: {source}, claims: {{{claims}}}}}}}"


AT = "company.yaml:6"


@pytest.mark.parametrize(
    ("web", "more", "expected"),
    [
        pytest.param("robots: {web-ci: , site: }", ROBOTS, [], id="robots"),
        pytest.param(
            "robots: {web-ci: }",
            "",
            [
                (
                    "teams/web.yaml:2: robots.web-ci: the robot 'web-ci' is not delegated to this file: "
                    f'{AT} delegates no robots; fix: add there robots: ["web-ci"]'
                )
            ],
            id="no robots",
        ),
        pytest.param(
            "robots: {web: }",
            ROBOTS,
            [
                (
                    "teams/web.yaml:2: robots.web: the robot 'web' is not delegated to this file: "
                    f"{AT} delegates web-*, site"
                )
            ],
            id="another name",
        ),
        pytest.param(
            "robots: {data-ci: }",
            ', robots: ["*"]',
            ["teams/web.yaml:2: robots.data-ci: the robot 'data-ci' is already used in FOLDER/teams/data.yaml:2"],
            id="another team's robot",
        ),
        pytest.param(
            "robots: {deploy: }",
            ', robots: ["*"]',
            ["teams/web.yaml:2: robots.deploy: the robot 'deploy' is already used in FOLDER/company.yaml:2"],
            id="the company's robot",
        ),
        pytest.param(web_workload("repository_owner_id: 65"), WORKLOADS, [], id="workloads"),
        pytest.param(web_workload("repository_owner_id: 65, ref: x, a: '*'"), WORKLOADS, [], id="more claims"),
        pytest.param(
            web_workload("repository_owner_id: 65"),
            "",
            [
                (
                    "teams/web.yaml:2: workloads.w: the workload 'w' is not delegated to this file: "
                    f"{AT} delegates no workloads; fix: add there workloads: {{from: [github], claims: …}}"
                )
            ],
            id="no workloads",
        ),
        pytest.param(
            web_workload("repository_owner_id: 65", "gitlab"),
            WORKLOADS,
            [
                (
                    "teams/web.yaml:2: workloads.w.from: workloads of 'gitlab' are not delegated to this file: "
                    f"{AT} delegates cluster, github"
                )
            ],
            id="another source",
        ),
        pytest.param(
            web_workload("repository_owner_id: [65, 66]"),
            WORKLOADS,
            [
                (
                    "teams/web.yaml:2: workloads.w.claims: does not require that repository_owner_id is 65, "
                    f"as all workloads of this file must by {AT}"
                )
            ],
            id="more values",
        ),
        pytest.param(
            web_workload("repository_id: 74"),
            WORKLOADS,
            [
                (
                    "teams/web.yaml:2: workloads.w.claims: does not require that repository_owner_id is 65, "
                    f"as all workloads of this file must by {AT}"
                )
            ],
            id="other claims",
        ),
        pytest.param(
            web_workload("repository_owner_id: 65") + "\nrobots: {w: }\n" + rule('"robot:w", "workload:w"'),
            f'{WORKLOADS}, robots: [w], principals: ["user:ann"]',
            [],
            id="its own machines, which the principals do not list",
        ),
    ],
)
def test_delegated_machines(tmp_path: Path, web: str, more: str, expected: list[str]) -> None:
    """A team declares what the company lets it, and nothing of another team."""
    found = faults(tmp_path, tree(web, more), None)
    assert [one.replace(f"{tmp_path}", "FOLDER") for one in found] == expected


def load(folder: Path, files: Mapping[str, str]) -> PolicySet:
    """The policies of these files."""
    put(folder, dict(files))
    return load_policies(folder, now=NOW)


def can(policies: PolicySet, identity: Identity, asked: str) -> bool:
    """Whether the client may do this."""
    return bool(decide(policies, identity, parse_request(asked), Context("r", None, NOW)).granted)


def test_a_local_group_joins_nobody_to_another(tmp_path: Path) -> None:
    """A team's robot in its group of any name is in no group of the company, and gets what the team's rules say."""
    web = "robots: {web-ci: }\ngroups: {crew: {robots: [web-ci], includes: [bots]}}\n" + rule(CREW)
    policies = load(tmp_path, tree(web, ROBOTS))
    assert can(policies, robot_identity("web-ci"), "pull web/x")
    assert can(policies, robot_identity("deploy"), "pull web/x")
    assert policies.groups.holding(robot_identity("web-ci")) == {"crew\nteams/web.yaml"}


def test_more_claims_of_a_team_are_its_own(tmp_path: Path) -> None:
    """Whatever a team demands in `when`, what the company demands under similar words stays as it is."""
    demanding = (
        "allow: [{id: c, to: [workloads], repositories: [base/x], role: reader, when: {claims: {e: p, r: m}}}]\n"
    )
    files = tree(rule("workloads", ", when: {claims: {e: p and r is m}}"))
    files["company.yaml"] += demanding
    policies = load(tmp_path, files)
    base = ("repository_id", "7")
    forged = workload_identity("github", frozenset({base, ("e", "p and r is m")}))
    right = workload_identity("github", frozenset({base, ("e", "p"), ("r", "m")}))
    stranger = workload_identity("github", frozenset({("e", "p"), ("r", "m")}))
    assert [can(policies, one, "pull base/x") for one in (forged, right, stranger)] == [False, True, False]
    assert [can(policies, one, "pull web/x") for one in (forged, right, stranger)] == [True, False, False]


def test_owners_are_those_of_the_file(tmp_path: Path) -> None:
    """A team's own group owns its robot, and no directory group of the same name."""
    web = "robots: {web-ci: {owners: ['group:crew', 'group:bots', 'user:ann']}, web-x: {owners: ['user:ann']}}\n"
    files = tree(f"{web}groups: {{crew: {{users: [ann]}}}}\n{rule(CREW)}", ROBOTS)
    policies = load(tmp_path, files)
    assert policies.robots["web-ci"].owners == ("group:crew\nteams/web.yaml", "group:bots", "user:ann")
    assert policies.robots["web-x"].owners == ("user:ann",)


def test_machines_have_the_names_of_their_files(tmp_path: Path) -> None:
    """As rules have them, relative to the folder."""
    policies = load(tmp_path, tree("robots: {web-ci: }", ROBOTS))
    assert [(one.name, one.file, one.line) for one in policies.robots.values()] == [
        ("deploy", "company.yaml", 2),
        ("data-ci", "teams/data.yaml", 2),
        ("web-ci", "teams/web.yaml", 2),
    ]
    assert [(one.name, one.file, one.line) for one in policies.groups.workloads.by_name.values()] == [
        ("base", "company.yaml", 3),
        ("data-job", "teams/data.yaml", 3),
    ]


CREW = '"group:crew"'
TESTED = """\
version: 1
robots:
  web-ci: {secrets: [S1, S2]}
  web-old: {secrets: [S3]}
workloads:
  web-job: {from: github, claims: {repository_owner_id: 65}}
  web-more: {from: github, claims: {repository_owner_id: 65, ref: main}}
allow:
  - id: w
    to: ["robot:web-ci", "robot:web-old", "workload:web-job", "workload:web-more"]
    repositories: [web/x]
    role: reader
  - {id: m, to: ["workload:web-more"], repositories: [web/y], role: reader, when: {claims: {e: p}}}
  - {id: n, to: [workloads], repositories: [web/z], role: reader, when: {claims: {e: p}}}
tests: [{as: {user: ann}, cannot: [push web/x]}]
"""
for _number in (1, 2, 3):
    TESTED = TESTED.replace(f"S{_number}", secret(_number))
FAILING = TESTED.replace("cannot", "can")
MANDATE = ROBOTS + WORKLOADS


@pytest.fixture
def loader(tmp_path: Path) -> PolicyLoader:
    """A loader that has loaded the tree with the team's machines."""
    put(tmp_path, {**tree("", MANDATE), "teams/web.yaml": TESTED})
    loader = PolicyLoader(tmp_path)
    assert loader.load(NOW).notes == ()
    return loader


def change(folder: Path, loader: PolicyLoader, text: str) -> PolicySet:
    """The live policies after a change of the team's file."""
    put(folder, {"teams/web.yaml": text})
    return loader.load(NOW)


def secrets(policies: PolicySet) -> dict[str, list[str]]:
    """The ids of the secrets of the team's robots, without zeros."""
    return {
        name: [one.id.lstrip("0") for one in robot.secrets]
        for name, robot in policies.robots.items()
        if name.startswith("web")
    }


JOB = Identity("workload:github:", Kind.WORKLOAD, "github", claims=frozenset({("repository_owner_id", "65")}))
MORE = Identity("", Kind.WORKLOAD, "github", claims=JOB.claims | {("ref", "main"), ("e", "p")})


def without(text: str, *lines: str) -> str:
    """The text without the lines that contain one of these, and without these names in rules."""
    kept = [line for line in text.splitlines(keepends=True) if not any(f"  {one}: " in line for one in lines)]
    found = "".join(kept)
    for one in lines:
        found = found.replace(f', "robot:{one}"', "").replace(f', "workload:{one}"', "")
    return found


def test_a_removed_secret_ends_although_tests_fail(tmp_path: Path, loader: PolicyLoader) -> None:
    """The rest of the team's change is not live, and the note says so; the secret is gone now and at later loads."""
    before = loader.load(NOW)
    policies = change(tmp_path, loader, FAILING.replace(f"{secret(1)}, ", "").replace("[web/x]", "[web/new]"))
    assert secrets(policies) == {"web-ci": ["2"], "web-old": ["3"]}
    assert [can(policies, robot_identity("web-ci"), f"pull web/{name}") for name in ("x", "new")] == [True, False]
    assert [note.message.partition(": test")[0] for note in policies.notes] == [
        "the change of teams/web.yaml is not live, its last good version stays"
    ]
    assert policies.digest != before.digest
    again = loader.load(NOW)
    assert (secrets(again), again.digest) == (secrets(policies), policies.digest)


def test_a_secret_is_exchanged_although_tests_fail(tmp_path: Path, loader: PolicyLoader) -> None:
    """No test is about secrets, so a rotation waits for none."""
    policies = change(tmp_path, loader, FAILING.replace(secret(1), secret(4)))
    assert secrets(policies) == {"web-ci": ["4", "2"], "web-old": ["3"]}


def test_a_new_robot_waits(tmp_path: Path, loader: PolicyLoader) -> None:
    """It is part of the change that is not live, which is refused as a whole if it ends nothing."""
    text = FAILING.replace("robots:\n", "robots:\n  web-new: \n", 1)
    with pytest.raises(LoadError, match="test failed"):
        change(tmp_path, loader, text)
    policies = change(tmp_path, loader, text.replace(f"{secret(1)}, ", ""))
    assert secrets(policies) == {"web-ci": ["2"], "web-old": ["3"]}


def test_a_removed_robot_ends_although_tests_fail(tmp_path: Path, loader: PolicyLoader) -> None:
    """It is declared no more, so its credentials are refused, whatever rules still name it."""
    policies = change(tmp_path, loader, without(FAILING, "web-old"))
    assert secrets(policies) == {"web-ci": ["1", "2"]}


def test_a_removed_workload_ends_although_tests_fail(tmp_path: Path, loader: PolicyLoader) -> None:
    """Its clients are those of the other workloads, also where a rule demands more claims."""
    before = loader.load(NOW)
    assert [can(before, MORE, f"pull web/{name}") for name in "xyz"] == [True, True, True]
    text = without(FAILING, "web-more").replace('  - {id: m, to: ["workload:web-more"]', "  - {id: m, to: [workloads]")
    policies = change(tmp_path, loader, text)
    assert [can(policies, MORE, f"pull web/{name}") for name in "xyz"] == [True, False, True]
    assert "web-more" not in policies.groups.workloads.by_name
    text = without(text, "web-job").replace("workloads:\n", "")
    policies = change(tmp_path, loader, text)
    assert [can(policies, JOB, f"pull web/{name}") for name in "xyz"] == [False, False, False]


def test_a_test_that_passes_again_puts_all_of_it_live(tmp_path: Path, loader: PolicyLoader) -> None:
    """With the same set of machines as a first load has."""
    change(tmp_path, loader, without(FAILING, "web-old"))
    policies = change(tmp_path, loader, without(TESTED, "web-old"))
    assert policies.notes == ()
    assert policies == load_policies(tmp_path, now=NOW)


def test_nothing_ends_while_a_reload_is_rejected(tmp_path: Path, loader: PolicyLoader) -> None:
    """A file that cannot be read, or a failing test of the company, keeps everything as it is."""
    put(tmp_path, {"company.yaml": ROOT.replace("MORE", MANDATE) + "tests: [{as: anonymous, can: [pull web/x]}]\n"})
    with pytest.raises(LoadError, match="test failed"):
        change(tmp_path, loader, without(TESTED, "web-old"))
    with pytest.raises(LoadError, match="YAML"):
        change(tmp_path, loader, "robots: [")


TEAM_MACHINES = """\
version: 1
robots: {web-ci: }
workloads: {job: {from: github, claims: {repository_id: "74", owner: web}}}
allow:
  - {id: t, to: ["robot:web-ci"], repositories: ["web/**"], role: reader}
"""
BEYOND = "declared in teams/web.yaml:{line}, a delegated file, whose authors could make themselves administrators; "


@pytest.mark.parametrize(
    ("administrators", "expected"),
    [
        pytest.param("'robot:web-ci'", "robot:web-ci is " + BEYOND.format(line=2), id="a robot"),
        pytest.param("'workload:job'", "workload:job is " + BEYOND.format(line=3), id="a workload"),
        pytest.param("'group:bots'", "group:bots has robot:web-ci, which is " + BEYOND.format(line=2), id="in a group"),
        pytest.param("'group:all'", "group:all has robot:web-ci, which is " + BEYOND.format(line=2), id="included"),
        pytest.param("'robot:own'", None, id="of a root file"),
        pytest.param("'group:people'", None, id="a group of people"),
        pytest.param("'group:web-ci'", None, id="a directory group with the name of the robot"),
        pytest.param("'user:web-ci'", None, id="a user with the name of the robot"),
    ],
)
def test_administrators_of_teams(folder: Path, administrators: str, expected: str | None) -> None:
    """A team that adds secrets or claims to a machine must not administer. docs/design/threats.md#threat-171"""
    groups = "groups: {bots: {robots: [web-ci]}, all: {includes: [bots]}, people: {users: [ann]}}\n"
    delegation = (
        "{file: teams/web.yaml, repositories: ['web/**'], actions: [pull], "
        "robots: ['web-*'], workloads: {from: github, claims: {owner: web}}}"
    )
    text = f"robots: {{own: }}\nadministrators: [{administrators}]\n{groups}delegate: [{delegation}]"
    found = faults(folder, {**root(text), "teams/web.yaml": TEAM_MACHINES})
    fix = "fix: declare it in a file at the top of the policy folder"
    assert found == ([] if expected is None else [f"a.yaml:5: administrators[0]: {expected}{fix}"])
