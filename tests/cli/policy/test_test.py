"""`tokenserver policy test`: the summary, failures, tests from other files, and JUnit reports."""

from __future__ import annotations

from pathlib import Path
from xml.dom import minidom

import pytest
from click.testing import CliRunner
from policy_commands import EVERY_WORD, POLICY, Run, facts, write

from tokenserver.cli import main


def test_all_tests_pass(run: Run) -> None:
    """A summary, and exit code 0."""
    result = run("test")
    assert (result.exit_code, result.stdout) == (0, "2 tests in 1 file: 2 passed, 0 failed\n")


def test_no_tests_at_all(run: Run, folder: Path) -> None:
    """Nothing failed, and that is nothing to be proud of."""
    write(folder / "web.yaml", POLICY.partition("tests:")[0])
    result = run("test")
    assert (result.exit_code, "No file has any tests" in result.stderr) == (0, True)


def test_a_failing_who_test_has_its_title(run: Run, folder: Path) -> None:
    """What it asks."""
    write(folder / "web.yaml", f"{POLICY}  - {{who_can: push web/a, exactly: []}}\n")
    (failure,) = facts(run("test", "--json"))["failures"]
    assert (failure["test"], failure["expected"]) == ("who can push web/a", "who can push web/a: exactly nobody")


def test_tests_for_an_unknown_registry(site: Path, tmp_path: Path) -> None:
    """With a configuration it is known which there are."""
    extra = tmp_path / "audit.yaml"
    write(extra, "version: 1\ntests: [{as: anonymous, service: nope, cannot: [pull x]}]\n")
    arguments = ["policy", "test", "--config", str(site), "--tests", str(extra)]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "no registry with the service 'nope'" in result.stderr) == (2, True)


def test_what_failed_is_told(run: Run, folder: Path) -> None:
    """Place, expected, actual, and the deciding rules; exit code 1."""
    write(folder / "web.yaml", POLICY.replace("can: [push web/prod/x]", "cannot: [pull web/a, push web/prod/x]"))
    result = run("test", "--json")
    assert result.exit_code == 1
    found = facts(result)
    assert (found["tests"], found["failed"], len(found["failures"])) == (2, 1, 2)
    assert found["failures"][0] == {
        "file": str(folder / "web.yaml"),
        "line": 11,
        "test": "as user bob",
        "expected": "user bob cannot pull web/a",
        "actual": "it is allowed by web-developers (web.yaml:5)",
        "rules": [{"id": "web-developers", "effect": "allow", "file": "web.yaml", "line": 5}],
    }
    text = run("test").stdout
    assert f"{folder / 'web.yaml'}:11\n  expected  user bob cannot pull web/a\n" in text
    assert "rule      allow web-developers (web.yaml:5)" in text
    assert text.endswith("2 tests in 1 file: 1 passed, 1 failed\n")


def test_more_tests_from_another_file(run: Run, tmp_path: Path) -> None:
    """Auditors keep tests of their own."""
    extra = tmp_path / "audit.yaml"
    write(extra, "version: 1\ntests:\n  - {as: anonymous, can: [push public/x]}\n")
    result = run("test", "--tests", extra)
    assert (result.exit_code, f"{extra}:3" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "version: 1\nallow: []\n",
            ":2: allow: a file for --tests contains only version, registries and tests",
            id="rules",
        ),
        pytest.param("version: 1\ntests: [{as: x}]\n", "must be {user: NAME", id="fault"),
        pytest.param("tests: {", "is not valid YAML", id="syntax"),
    ],
)
def test_a_faulty_file_of_tests(run: Run, tmp_path: Path, text: str, problem: str) -> None:
    """Exit code 2."""
    extra = tmp_path / "audit.yaml"
    write(extra, text)
    result = run("test", "--tests", extra)
    assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr


def test_junit(run: Run, folder: Path, tmp_path: Path) -> None:
    """Well-formed XML with a suite for each file and a failure for each test that failed."""
    write(folder / "web.yaml", POLICY.replace("{as: {user: bob}, can: [", "{as: {user: '<bob> & \"co\"'}, can: ["))
    assert run("test", "--junit", tmp_path / "out.xml").exit_code == 1
    root = minidom.parse(str(tmp_path / "out.xml")).documentElement  # noqa: S318 - written by the line above
    assert root is not None
    (suite,) = root.getElementsByTagName("testsuite")
    assert (suite.getAttribute("tests"), suite.getAttribute("failures")) == ("2", "1")
    names = [case.getAttribute("name") for case in suite.getElementsByTagName("testcase")]
    assert names == ['as user <bob> & "co" (line 11)', "what can user:eve (line 12)"]
    (failure,) = suite.getElementsByTagName("failure")
    assert "forbidden by freeze" in failure.getAttribute("message")
    assert run("test", "--junit", tmp_path / "none" / "out.xml").exit_code == 2


@pytest.mark.parametrize(
    ("test", "told"),
    [
        pytest.param('what_can: "user:bob", exactly: ["pull,push web/**", pull public/**]', None, id="member"),
        pytest.param(
            "what_can: {groups: [web-dev]}, exactly: [pull web/**, push web/** except web/prod/*, pull public/**]",
            None,
            id="cut",
        ),
        pytest.param("what_can: anonymous, exactly: [pull public/*, pull public/*/**]", None, id="written-otherwise"),
        pytest.param(
            "what_can: {user: kim}, from: 10.0.0.1, at: 2026-01-01, exactly: [pull web/app, pull public/**]",
            None,
            id="then-and-there",
        ),
        pytest.param(
            'what_can: authenticated, exactly: ["* registry:catalog", pull public/**]',
            "cannot * registry:catalog",
            id="less",
        ),
        pytest.param("what_can: anonymous, exactly: []", "anonymous can pull public/", id="more"),
        pytest.param("what_can: everyone, exactly: []", "fix: ask for each", id="everyone"),
        pytest.param("what_can: anonymous, exactly: [pull]", "no pattern", id="no-pattern"),
        pytest.param("what_can: anonymous, exactly: [pul x]", "did you mean 'pull'?", id="unknown-action"),
        pytest.param("what_can: anonymous, exactly: [pull X]", "lower case", id="bad-pattern"),
        pytest.param("what_can: {users: x}, exactly: []", "unknown key", id="bad-who"),
    ],
)
def test_what_can_tests(run: Run, tmp_path: Path, test: str, told: str | None) -> None:
    """`what_can` in a file of tests: names count, not how patterns are written."""
    extra = tmp_path / "audit.yaml"
    write(extra, f"version: 1\ntests:\n  - {{{test}}}\n")
    result = run("test", "--tests", extra)
    assert (result.exit_code == 0) is (told is None), result.output
    assert told is None or told in result.output


def test_tests_of_rules_with_every_word(run: Run, folder: Path) -> None:
    """They pass; and each fails once the rule says something else."""
    write(folder / "web.yaml", EVERY_WORD)
    assert run("test").exit_code == 0
    for old, new in (
        ('not: ["*/prod/**", shared/web-x]', "not: [shared/web-x]"),
        ('    not: ["web/f/open/**"]\n', ""),
        ('"group:adm-{team}"', '"group:adm-{team}-x"'),
        ("home-${user}/**", "home-${user}x/**"),
    ):
        write(folder / "web.yaml", EVERY_WORD.replace(old, new, 1))
        assert run("test").exit_code == 1
