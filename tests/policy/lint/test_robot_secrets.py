"""Lint of declared secrets of robots, around the days on which they end."""

# ruff: noqa: E501 - one finding on each line

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from lint_trees import NOW, READERS, boundary, codes

from tokenserver.policy.lint.lint import lint
from tokenserver.policy.lint.robot_secrets import LONGEST, MAX_NAMED, long_secrets, secret_findings
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet

HASH = f"sha256:{'5a' * 32}"
RULE = "allow: [{id: a, to: [robots], repositories: [p], role: reader}]\n"
USED = READERS + "deny id: d, to: [robots], repositories: [p], actions: [push]\n"


def secret(expires: str, number: int = 1) -> str:
    """A declared secret."""
    return f'{{id: "{number:012d}", hash: "{HASH}", expires: {expires}}}'


def robot(*expires: str, rest: str = "") -> str:
    """A tree with a robot that has these secrets."""
    secrets = ", ".join(secret(one, number) for number, one in enumerate(expires))
    declared = f"{{secrets: [{secrets}]}}" if expires else ""
    return f"{USED}robots: {{ci: {declared}{rest}}}"


EXPIRED = [
    (robot("2026-05-31"), True),
    (robot("2026-06-01"), True),
    (robot("'2026-06-01T00:00:01Z'"), False),
    (robot("'2026-05-31T23:59:59Z'"), True),
    (robot("2026-06-02"), False),
    (robot("2020-01-01"), True),
    (robot("2026-08-01", "2026-05-01"), True),
    (robot("2026-08-01", "2026-09-01"), False),
    (robot(), False),
    (robot("2026-08-01", rest=f", cd: {{secrets: [{secret('2026-01-01', 7)}]}}"), True),
    (USED + "robots: {ci: }", False),
    (READERS, False),
]
SOON = [
    (robot("2026-06-15"), True),
    (robot("'2026-06-15T00:00:01Z'"), False),
    (robot("2026-06-16"), False),
    (robot("2026-06-01"), False),
    (robot("'2026-06-01T00:00:01Z'"), True),
    (robot("2026-05-31"), False),
    (robot("2026-06-02", "2027-01-01"), True),
    (robot("2026-12-01", "2026-06-10"), True),
    (robot("2026-12-01", "2026-11-10"), False),
    (robot("2026-08-01", rest=f", cd: {{secrets: [{secret('2026-06-03', 7)}]}}"), True),
    (robot(), False),
]
LONG = [
    (robot("2027-06-01"), False),
    (robot("'2027-06-01T00:00:01Z'"), True),
    (robot("2027-06-02"), True),
    (robot("2027-05-31"), False),
    (robot("2099-01-01"), True),
    (robot("2026-07-01"), False),
    (robot("2026-05-01"), False),
    (robot("2026-07-01", "2030-01-01"), True),
    (robot("2026-07-01", "2027-01-01"), False),
    (robot("2026-08-01", rest=f", cd: {{secrets: [{secret('2028-06-03', 7)}]}}"), True),
    (robot(), False),
]


@boundary({"TS129": EXPIRED, "TS130": SOON, "TS131": LONG})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


def linted(folder: Path, text: str) -> tuple[PolicySet, list[LintedFile]]:
    """A file with these lines, compiled."""
    (folder / "a.yaml").write_text(text)
    policies, tests = compile_policies(folder)
    return policies, [LintedFile("a.yaml", text, tests[0].document, tests[0].tests, tests[0].service)]


def test_each_secret_is_reported_at_its_line(tmp_path: Path) -> None:
    """With the robot, the id, the end and what to do; never with the hash."""
    lines = [
        f"      - {secret(expires, number)}"
        for number, expires in enumerate(["2026-05-01", "2026-07-01", "2026-06-09"])
    ]
    text = "\n".join(["version: 1", "robots:", "  ci:", "    secrets:", *lines, RULE])
    policies, files = linted(tmp_path, text)
    assert list(secret_findings(policies, files, NOW)) == [
        ("a.yaml", 5, "TS129", "robot:ci: the secret 000000000000 expired at 2026-05-01 00:00 UTC; fix: remove it, or replace it by a new one"),
        ("a.yaml", 7, "TS130", "robot:ci: the secret 000000000002 ends within 14 days, at 2026-06-09 00:00 UTC; fix: add a new secret, and remove this one once it is used"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        pytest.param(timedelta(days=30), "lives longer than 30 days, until 2026-07-02 00:00 UTC", id="days"),
        pytest.param(timedelta(hours=36), "lives longer than 36 hours, until 2026-07-02 00:00 UTC", id="hours"),
        pytest.param(timedelta(minutes=61), "lives longer than 61 minutes, until 2026-07-02 00:00 UTC", id="minutes"),
        pytest.param(timedelta(seconds=3601), "lives longer than 3601 seconds, until 2026-07-02", id="seconds"),
        pytest.param(timedelta(days=31), "", id="just allowed"),
    ],
)
def test_a_lifetime_of_the_configuration(tmp_path: Path, longest: timedelta, expected: str) -> None:
    """It takes the place of a year; a finding and a warning say what it is."""
    policies, files = linted(tmp_path, f"version: 1\nrobots: {{ci: {{secrets: [{secret('2026-07-02')}]}}}}\n{RULE}")
    found = [(code, text) for _, _, code, text in secret_findings(policies, files, NOW, longest)]
    warned = list(long_secrets(policies, NOW, longest))
    if not expected:
        assert (found, warned) == ([], [])
        return
    ((code, text),) = found
    assert (code, expected in text) == ("TS131", True)
    allowed = expected.removeprefix("lives longer than ").partition(",")[0]
    named = f"secrets of robots live longer than {allowed} (robots.max_lifetime): 000000000001 of robot:ci (a.yaml:2)"
    assert warned == [f"{named}; fix: replace them by secrets with an earlier end"]


def test_a_warning_names_a_few_secrets(tmp_path: Path) -> None:
    """However many there are."""
    robots = "".join(
        f"  ci-{number}: {{secrets: [{secret('2028-01-01', number)}]}}\n" for number in range(MAX_NAMED + 2)
    )
    policies, _ = linted(tmp_path, f"version: 1\n{RULE}robots:\n{robots}")
    (warning,) = long_secrets(policies, NOW, LONGEST)
    assert warning.count("of robot:ci-") == MAX_NAMED
    assert " and 2 more;" in warning


@pytest.mark.parametrize(("longest", "expected"), [(None, set()), (timedelta(days=365), {"TS202"})])
def test_a_suppression_for_another_configuration(tmp_path: Path, longest: timedelta | None, expected: set[str]) -> None:
    """Without a configuration it is unknown how long a secret may live, so the comment is no finding."""
    line = f"      - {secret('2026-08-02')}  # lint: ignore TS131 because production allows less"
    policies, files = linted(tmp_path, f"version: 1\n{RULE}robots:\n  ci:\n    secrets:\n{line}\n")
    found = {one.code for one in lint(policies, files, NOW, have_groups=True, longest=longest)}
    assert found & {"TS131", "TS202"} == expected


def test_robots_of_other_files_are_not_reported(tmp_path: Path) -> None:
    """Only those of the files that are linted."""
    policies, _ = linted(tmp_path, f"version: 1\nrobots: {{ci: {{secrets: [{secret('2026-05-01')}]}}}}\n{RULE}")
    assert list(secret_findings(policies, [], NOW)) == []


@pytest.mark.parametrize(
    ("comment", "expected"), [("", True), ("  # lint: ignore TS129 because it documents a key", False)]
)
def test_a_secret_can_be_suppressed(tmp_path: Path, comment: str, expected: bool) -> None:
    """At its own line."""
    found = codes(tmp_path, f"{USED}robots:\n  ci:\n    secrets:\n      - {secret('2026-05-01')}{comment}")
    assert ("TS129" in found, "TS202" in found) == (expected, False)
