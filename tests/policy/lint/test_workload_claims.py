"""Lint of workloads: names without ids, pushes from any branch, claims that pin nothing, `sub` of GitHub."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from lint_trees import NOW, READERS, boundary, codes

from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.loader import compile_policies

PULL = "id: a, to: ['workload:w'], repositories: [p], role: reader\n"
PUSH = PULL.replace("reader", "writer")
SETS = PUSH.replace("'workload:w'", "workloads")
ID = "repository_id: 74"


def workload(claims: str, source: str = "github", name: str = "w") -> str:
    """A line that declares a workload, below `workloads:`."""
    return f"  {name}: {{from: {source}, claims: {{{claims}}}}}\n"


def tree(claims: str, source: str = "github", rule: str = PULL, rest: str = "") -> str:
    """A tree with this workload."""
    return f"{rule}workloads:\n{workload(claims, source)}{rest}"


def when(claims: str, to: str = "'workload:w'", role: str = "writer") -> str:
    """A rule about workloads that have these claims as well."""
    return f"id: a, to: [{to}], repositories: [p], role: {role}, when: {{claims: {{{claims}}}}}\n"


NAMES = [
    (tree("repository: octo/web"), True),
    (tree("repository: octo/web, repository_id: 74"), False),
    (tree("repository: octo/web, repository_owner_id: 65"), False),
    (tree("repository_owner: octo"), True),
    (tree("repository_owner: octo, repository_owner_id: 65"), False),
    (tree("repository_id: 74"), False),
    (tree("repository: octo/web, repository_id: '7*'"), True),
    (tree("repository: octo/web, repository_id: [74, 75]"), False),
    (tree("repository: octo/web, ref: refs/heads/main, environment: production"), True),
    (tree("project_path: octo/web", "gitlab"), True),
    (tree("project_path: octo/web, project_id: 5", "gitlab"), False),
    (tree("namespace_path: octo", "gitlab"), True),
    (tree("namespace_path: octo, namespace_id: 5", "gitlab"), False),
    (tree("namespace_path: octo, repository_id: 5", "both"), False),
    (tree("repository: octo/web", rest=workload("project_id: 5", name="v")), False),
    (tree("kubernetes.io/namespace: web, sub: x", "cluster"), False),
]
ANY_BRANCH = [
    (tree(ID, rule=PUSH), True),
    (tree(ID, rule=PULL), False),
    (tree(f"{ID}, environment: production", rule=PUSH), False),
    (tree(f"{ID}, ref: refs/heads/main", rule=PUSH), False),
    (tree(f"{ID}, ref: refs/heads/*", rule=PUSH), False),
    (tree(f"{ID}, ref: '*'", rule=PUSH), True),
    (tree(f"{ID}, ref_protected: true", rule=PUSH), False),
    (tree(f"{ID}, job_workflow_ref: octo/a/.github/workflows/r.yml@refs/heads/main", rule=PUSH), False),
    (tree(f"{ID}, workflow_ref: octo/a/.github/workflows/r.yml@refs/heads/main", rule=PUSH), False),
    (tree(f"{ID}, event_name: push", rule=PUSH), True),
    (tree(ID, rule=PUSH.replace("role: writer", "actions: [delete]")), True),
    (tree(ID, rule=PUSH.replace("role: writer", "actions: ['*']")), True),
    (tree(ID, rule=SETS), True),
    (tree(ID, rule=SETS.replace("repositories", "except: ['workload:w'], repositories")), False),
    (tree(ID, rule=SETS.replace("workloads", "robots") + "robots: {ci: }\n"), False),
    (tree(ID, rule=SETS.replace("workloads", "everyone")), False),
    (tree(ID, rule=SETS.replace("[workloads]", "[everyone], except: [anonymous]")), True),
    (
        tree(
            ID,
            rule=SETS.replace("[workloads]", "[everyone], except: [anonymous], when: {kind: password}").replace(
                "}}", "}"
            ),
        ),
        False,
    ),
    (tree(ID, rule=PUSH.replace("workload:w", "group:g") + "groups: {g: {workloads: [w]}}\n"), True),
    (tree(ID, rule=PUSH.replace("workload:w", "group:g") + "groups: {g: {users: [x]}}\n"), False),
    (
        tree(
            ID,
            rule="id: a, to: ['group:r-{t}'], repositories: ['${t}/x'], role: writer\ngroups: {r-a: {workloads: [w]}}\n",
        ),
        True,
    ),
    (
        tree(
            ID,
            rule="id: a, to: ['group:r-{t}'], repositories: ['${t}/x'], role: writer\ngroups: {q: {workloads: [w]}}\n",
        ),
        False,
    ),
    (tree(ID, rule=when("ref: refs/heads/main")), False),
    (tree(ID, rule=when("event_name: push")), True),
    (tree(ID, rule=when("ref: refs/heads/main", "workloads")), False),
    (tree(ID, rule=when("event_name: push", "workloads")), True),
    (tree(f"{ID}, environment: a", rule=when("event_name: push", "workloads")), False),
    (
        READERS + "deny " + tree(ID, rule=PUSH.replace("id: a", "id: d").replace("role: writer", "actions: [push]")),
        False,
    ),
    (tree("project_id: 5", "gitlab", PUSH), True),
    (tree("project_id: 5, ref_protected: true", "gitlab", PUSH), False),
    (tree("project_id: 5, job_workflow_ref: x", "gitlab", PUSH), False),
    (tree("project_id: 5, ci_config_ref_uri: gitlab.example.com/a//b.yml@refs/heads/main", "gitlab", PUSH), False),
    (tree("kubernetes.io/namespace: web, sub: x", "cluster", PUSH), False),
]
ANYTHING = [
    (tree(f"{ID}, ref: '*'"), True),
    (tree(f"{ID}, ref: '**'"), True),
    (tree(f"{ID}, ref: refs/heads/*"), False),
    (tree(f"{ID}, ref: refs/**"), False),
    (tree(f"{ID}, ref: '*/*'"), False),
    (tree(f"{ID}, ref: [refs/heads/main, '**']"), True),
    (tree(f"{ID}, ref: [refs/heads/main, refs/heads/dev]"), False),
    (tree("kubernetes.io/namespace: '*', sub: x", "cluster"), True),
    (tree(ID, rule=when("environment: '*'")), True),
    (tree(ID, rule=when("environment: prod-*")), False),
    (tree(f"{ID}, environment: '*'", rule=when("environment: prod-*")), True),
    (tree(ID, rule=when("environment: '**'", "workloads")), True),
    (
        tree(
            ID,
            rule=READERS
            + "deny "
            + when("environment: '*'").replace("id: a", "id: d").replace("role: writer", "actions: [push]"),
        ),
        True,
    ),
]
SUBJECT = [
    (tree(f"{ID}, sub: 'repo:octo/web:ref:refs/heads/main'"), True),
    (tree(f"{ID}, sub: '*'"), True),
    (tree(ID), False),
    (tree("sub: 'repo:octo/web:*'"), True),
    (tree("sub: 'project_path:octo/web:*'", "gitlab"), False),
    (tree("sub: 'system:serviceaccount:web:puller'", "cluster"), False),
    (tree("project_id: 5, sub: x", "gitlab"), False),
    (tree(ID, rule=when("sub: x")), True),
    (tree(ID, rule=when("sub: x", "workloads")), True),
    (tree(ID, rule=when("sub: x", "workloads"), rest=workload("project_id: 5", "gitlab", "v")), False),
    (tree("project_id: 5", "gitlab", when("sub: x")), False),
    (tree("sub: x", rest=workload("repository_id: 5", name="v")), True),
    (tree("sub: x"), False),
]


@boundary({"TS132": NAMES, "TS133": ANY_BRANCH, "TS134": ANYTHING, "TS135": SUBJECT})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


@pytest.mark.parametrize(
    ("presets", "expected"),
    [
        pytest.param({"ours": "github_actions"}, {"TS133", "TS135"}, id="known"),
        pytest.param({"ours": "gitlab_ci"}, {"TS133"}, id="known as another"),
        pytest.param({"ours": "kubernetes"}, set(), id="one without these codes"),
        pytest.param({"other": "github_actions"}, set(), id="a source without a preset"),
        pytest.param(None, {"TS133"}, id="guessed"),
    ],
)
def test_presets(tmp_path: Path, presets: Mapping[str, str] | None, expected: set[str]) -> None:
    """What the configuration says counts, and no claim is then asked."""
    found = codes(tmp_path, tree("ref_protected: '*', sub: x", "ours", PUSH), presets=presets)
    assert {*found} - {"TS134"} == expected


@pytest.mark.parametrize(("presets", "expected"), [(None, []), ({"github": "github_actions"}, ["TS202"])])
def test_suppressions_of_guessed_codes_are_not_unused(
    tmp_path: Path, presets: Mapping[str, str] | None, expected: list[str]
) -> None:
    """With the presets, they are."""
    text = tree(f"{ID}, ref: refs/heads/main").replace("}}\n", "}}  # lint: ignore TS132 because we own it\n")
    assert codes(tmp_path, text, presets=presets) == expected


def texts(folder: Path, text: str) -> list[str]:
    """All findings about a file."""
    (folder / "a.yaml").write_text(text)
    policies, tests = compile_policies(folder)
    files = [LintedFile("a.yaml", text, tests[0].document, tests[0].tests, tests[0].service)]
    return [f"{one.line} {one.code} {one.text}" for one in lint(policies, files, NOW, have_groups=True)]


def test_what_is_said(tmp_path: Path) -> None:
    """Claims are reported at their lines, workloads that push at the rule; at most five are listed."""
    names = [f"w{number}" for number in range(7)]
    text = "version: 1\nworkloads:\n" + "".join(workload("repository_owner_id: 65", name=name) for name in names)
    text += "  n:\n    from: github\n    claims:\n      repository: octo/web\n      ref: '*'\n      sub: x\n"
    text += "allow:\n  - {id: a, to: [workloads], except: ['workload:n'], repositories: [p], role: writer}\n"
    assert texts(tmp_path, text) == [
        "10 TS132 workload:n: repository without repository_id or repository_owner_id, and a name that was deleted can be registered by somebody else; fix: add the id, which never changes",
        "14 TS134 workload:n: ref accepts *, which pins nothing; fix: write the value, or a longer pattern, or remove the claim",
        "15 TS135 workload:n: sub of GitHub has several formats, which settings and renamed repositories change; fix: write the claims that it is made of, such as repository_id and ref",
        "17 TS133 a: any branch may push as workload:w0, workload:w1, workload:w2, workload:w3, workload:w4 and 2 more, since none of environment, ref, ref_protected, job_workflow_ref is pinned; fix: add environment: production or the like to the workload, or to when: {claims: …}",
    ]
