"""ci/policy_review.py: what the commands find becomes problems, a report, files for the forge, and an exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import policy_review
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from policy_review import Problem, Review, code, code_quality, fails, faults, plain, report, shortened

from tokenserver.cli import main

CALL = policy_review.call

GOOD = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/site]}
"""
WIDER = GOOD.replace('"user:ann"]', '"user:ann", "user:bob"]')
FAILING = GOOD.replace("can: [push web/site]", "can: [delete web/site]")
FAULTY = GOOD.replace("role: writer", "role: wirter")
IDLE = GOOD.replace("tests:", '  - {id: idle, to: ["user:ann"], repositories: ["web/site"], actions: [pull]}\ntests:')

ALL = IDLE.replace('"user:ann"]', '"user:ann", "user:bob"]').replace("can: [push web/site]", "can: [delete web/site]")
"""A finding, new access and a failed test."""


def git(folder: Path, *words: str) -> None:
    """One git command as somebody."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def called_in_process(*words: str) -> subprocess.CompletedProcess[str]:
    """As `policy_review.call`, without another process for our own command, whose start takes longer than its work."""
    if words[0] != "tokenserver":
        return CALL(*words)
    done = CliRunner().invoke(main, words[1:])
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one policy file on main; commands run in it, ours in this process."""
    folder = tmp_path / "checkout"
    monkeypatch.setattr(policy_review, "call", called_in_process)
    (folder / "policies").mkdir(parents=True, mode=0o755)
    git(folder, "init", "--quiet")
    change(folder, GOOD)
    monkeypatch.chdir(folder)
    return folder


def change(folder: Path, text: str) -> None:
    """Commit a new content of the policy file."""
    file = folder / "policies" / "web.yaml"
    file.write_text(text)
    file.chmod(0o644)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "change")


def review(*arguments: str) -> int:
    """Run the review as a GitLab job without a merge request."""
    return policy_review.main(["gitlab", "--output", "../out", *arguments], {})


def outputs(checkout: Path) -> dict[str, str]:
    """The files that the last review wrote, without the times that differ from run to run."""
    files = sorted((checkout.parent / "out").iterdir())
    return {file.name: re.sub(r' time(stamp)?="[^"]*"', "", file.read_text()) for file in files}


@pytest.mark.parametrize(
    ("text", "arguments", "exit_code", "words"),
    [
        pytest.param(GOOD, [], 0, "1 run, 0 failed; lint: 0 findings; access: same", id="nothing"),
        pytest.param(WIDER, [], 0, "0 failed; lint: 0 findings; access: new", id="new-access"),
        pytest.param(WIDER, ["--fail-on", "lint new-access"], 1, "access: new", id="new-access-fails"),
        pytest.param(FAILING, [], 1, "error: policies/web.yaml:5: failed test: expected", id="failed-test"),
        pytest.param(FAULTY, [], 1, "error: policies/web.yaml:3: fault: ", id="faulty"),
        pytest.param(IDLE, [], 1, "warning: policies/web.yaml:4: TS10", id="lint"),
        pytest.param(IDLE, ["--fail-on", ""], 0, "lint: 1 findings", id="lint-tolerated"),
    ],
)
def test_a_change(
    text: str,
    arguments: list[str],
    exit_code: int,
    words: str,
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Failed tests and faults always fail, the rest as asked; the log names each problem's place."""
    change(checkout, text)
    assert review("--base", "HEAD~1", *arguments) == exit_code
    assert words in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("text", [ALL, FAULTY], ids=["everything", "faulty"])
def test_the_command_on_the_path(
    text: str, checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed `tokenserver`, in processes of its own, gives the same log, report and exit code."""
    change(checkout, text)
    expected = review("--base", "HEAD~1"), capsys.readouterr(), outputs(checkout)
    monkeypatch.setattr(policy_review, "call", CALL)
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.prefix) / "bin"), os.environ["PATH"])))
    assert (review("--base", "HEAD~1"), capsys.readouterr(), outputs(checkout)) == expected


def test_the_difference_is_in_the_report(checkout: Path) -> None:
    """As `policy diff --markdown` prints it, since the merge base: what main got meanwhile is not ours."""
    git(checkout, "checkout", "--quiet", "-b", "branch")
    change(checkout, WIDER)
    git(checkout, "checkout", "--quiet", "main")
    change(checkout, GOOD.replace("writer", "reader").replace("push", "pull"))
    git(checkout, "checkout", "--quiet", "branch")
    assert review("--base", "main") == 0
    text = (checkout.parent / "out" / "policy-review.md").read_text()
    assert "**Gains**" in text
    assert "`user:bob`" in text or "`bob`" in text
    assert "**Losses**" not in text


def test_a_new_folder_has_nothing_to_compare_with(checkout: Path) -> None:
    """The first merge request that brings policies is no fault."""
    git(checkout, "mv", "policies", "rules")
    git(checkout, "commit", "--quiet", "--message", "move")
    assert review("--base", "HEAD~1", "--policies", "rules/") == 0
    assert "`rules` is new" in (checkout.parent / "out" / "policy-review.md").read_text()


def test_a_shallow_clone_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words that complete it on both forges."""
    change(checkout, WIDER)
    shallow = checkout.parent / "shallow"
    git(checkout, "clone", "--quiet", "--depth=1", f"file://{checkout}", str(shallow))
    (shallow / "policies").chmod(0o755)
    (shallow / "policies" / "web.yaml").chmod(0o644)
    base = subprocess.check_output(["git", "rev-parse", "HEAD~1"], cwd=checkout, text=True).strip()
    monkeypatch.chdir(shallow)
    assert review("--base", base) == 1
    text = (checkout.parent / "out" / "policy-review.md").read_text()
    assert "fetch-depth: 0" in text
    assert "GIT_DEPTH: 0" in text


def test_the_files_for_gitlab(checkout: Path) -> None:
    """JUnit, Code Quality and dotenv, as the template names them."""
    change(checkout, IDLE)
    review("--base", "HEAD~1")
    out = checkout.parent / "out"
    (finding,) = json.loads((out / "gl-code-quality-report.json").read_text())
    assert (finding["location"], finding["severity"]) == (
        {"path": "policies/web.yaml", "lines": {"begin": 4}},
        "minor",
    )
    assert "POLICY_ACCESS=same\nPOLICY_ERRORS=0\nPOLICY_FINDINGS=1\n" in (out / "policy-review.env").read_text()
    assert "<testsuite " in (out / "policy-tests.xml").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--policies", "/etc"], "inside of the checkout"),
        (["--policies", "../x"], "inside of the checkout"),
        (["--fail-on", "tests"], "unknown: tests; known: lint, new-access"),
        (["--base=--output=x"], "no revision"),
    ],
)
def test_wrong_use(arguments: list[str], reason: str, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything runs."""
    with pytest.raises(SystemExit) as ended:
        review(*arguments)
    assert (ended.value.code, reason in capsys.readouterr().err) == (2, True)


def test_faults_without_a_place_are_not_lost() -> None:
    """Whatever a command says when it fails is in the report."""
    assert faults("policies: does not exist\n", "policies") == [
        Problem("error", "fault", "policies", 1, "does not exist")
    ]
    assert faults("", "policies") == [Problem("error", "fault", "policies", 1, "no reason given")]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(file=TEXTS, text=TEXTS)
def test_text_from_files_stays_text(file: str, text: str) -> None:
    """No line of the report or the log begins with it: GitLab runs lines with a slash, GitHub those with colons."""
    found = Review([Problem("error", "fault", file, 1, text), Problem("warning", "TS101", file, 1, text)])
    for line in [*report(found, "policies").splitlines(), *plain(found)]:
        assert not line.startswith(("/", "::", "@"))
    assert all("\n" not in line for line in plain(found))


@given(text=TEXTS)
def test_a_code_span_is_closed_by_us_alone(text: str) -> None:
    """One span on one line, whatever is in it."""
    spelled = code(text)
    assert spelled.count("`") == 2
    assert len(spelled.splitlines()) <= 1 or "\n" not in spelled


def test_a_long_report_is_cut_between_lines() -> None:
    """GitHub rejects longer comments; the rest is in the job."""
    text = "line\n" * 20_000
    cut = shortened(text)
    assert len(cut) < 65_536
    assert cut.endswith("line\n\n(shortened: the job has the whole report)\n")
    assert shortened("short\n") == "short\n"


def test_many_problems_are_counted() -> None:
    """The report stays readable."""
    many = Review([Problem("error", "fault", "a.yaml", number, "x") for number in range(60)])
    assert "- and 10 more" in report(many, "policies")


def test_fingerprints_are_unique() -> None:
    """GitLab drops a report with the same fingerprint twice; the line is not in it, so that moved rules stay known."""
    found = code_quality(
        [Problem("error", "fault", "a.yaml", line, text) for line, text in ((1, "x"), (9, "x"), (2, "y"))]
    )
    assert len({one["fingerprint"] for one in found}) == len(found) == 2


def test_what_fails() -> None:
    """An unknown difference fails by its error, not by the word."""
    assert not fails(Review(access="unknown"), ["new-access"])
    assert fails(Review([Problem("error", "policy diff", "p", 1, "x")]), [])
