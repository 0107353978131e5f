"""What policies can cost is bounded: every question about them has a budget, and what exceeds it is never a yes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from policy_globs import WORDS, covered_in_many_ways

from tokenserver.cli import main
from tokenserver.errors import LoadError
from tokenserver.patterns import MAX_GLOBS, PatternError, parse_pattern
from tokenserver.policy import budget
from tokenserver.policy.analysis.containment import CoveredName
from tokenserver.policy.budget import Budget, TooComplex, command_budget, file_budget
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.diff.search_cache import ReplayableSearch
from tokenserver.policy.index import build_index
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Condition, Context, Effect, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries import witnesses
from tokenserver.policy.queries.summary import short_answer
from tokenserver.policy.queries.witnesses import TooManyCombinations
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OUTER, INNER = covered_in_many_ways(16)
WIDE = ", ".join(f'"{one.text}"' for one in OUTER)
PULL = 'to: [authenticated], actions: [pull], repositories: ["{}"]'
FORTY = "".join(f"  - {{id: a{number}, {PULL.format(INNER.text)}}}\n" for number in range(40))


def written(folder: Path, **files: str) -> Path:
    """A policy folder: `root` is the file at the top, `team` one that is delegated to."""
    for name, text in files.items():
        path = folder / {"root": "root.yaml", "team": "teams/web.yaml"}[name]
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(f"version: 1\n{text}")
        path.chmod(0o644)
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(LoadError) as caught:
        load_policies(folder, now=NOW)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["policy", *arguments, "--policies", str(folder)])


def delegating(patterns: str) -> str:
    return f"delegate:\n  - {{file: teams/web.yaml, repositories: [{patterns}], actions: [pull]}}\n"


def test_twelve_globs_and_more_are_no_burden(tmp_path: Path) -> None:
    """What took thirteen seconds with twelve globs, and never ended with fifteen, is loaded with twenty."""
    patterns = ", ".join(f'"*{word}*/**"' for word in WORDS)
    inside = PULL.format(f"x-{WORDS[-1]}-y/**")
    folder = written(tmp_path, root=delegating(patterns), team=f"allow:\n  - {{id: a, {inside}}}\n")
    policies = load_policies(folder, now=NOW)
    assert [rule.id for rule in policies.rules] == ["a"]
    written(folder, team=f"allow:\n  - {{id: a, {PULL.format('*x*/**')}}}\n")
    (fault,) = faults(folder)
    assert fault.startswith("teams/web.yaml:3: allow[0].repositories[0]: '*x*/**' reaches x/x, which is not delegated")


def test_a_delegation_that_is_not_decided_is_a_fault(tmp_path: Path) -> None:
    """It names the file, the line, what was delegated where, and what helps; nothing is granted by it."""
    folder = written(tmp_path, root=delegating(WIDE), team=f"allow:\n  - {{id: a, {PULL.format(INNER.text)}}}\n")
    (fault,) = faults(folder)
    assert fault.startswith(
        f"teams/web.yaml:3: allow[0].repositories[0]: {INNER.text!r}: whether it lies within a*/**, b*/**, "
    )
    assert "delegated in root.yaml:3, is not decided within 250,000 steps" in fault
    assert fault.endswith(
        "fix: begin patterns with literal segments, use fewer wildcards in one pattern, or name fewer principals"
    )


def test_a_file_has_one_budget_for_all_of_its_patterns(tmp_path: Path) -> None:
    """Forty such patterns take no longer than a few; the load is refused all the same."""
    folder = written(tmp_path, root=delegating(WIDE), team=f"allow:\n{FORTY}")
    told = faults(folder)
    assert 1 < len(told) < 10
    assert "the limit for one policy file" in told[-1]


def test_what_is_not_decided_hides_no_other_fault(tmp_path: Path) -> None:
    """Neither the next pattern, nor actions that were not delegated, even where the budget is spent."""
    outside = f'allow:\n  - {{id: a, to: [everyone], actions: [pull], repositories: ["{INNER.text}", "Q/**"]}}\n'
    folder = written(tmp_path, root=delegating(WIDE), team=outside.replace("Q", "q"))
    assert ["not decided within" in fault for fault in faults(folder)] == [True, False]
    many = ", ".join(f'"{INNER.text}"' for _ in range(10))
    written(folder, team=f"allow:\n  - {{id: a, to: [everyone], actions: [pull, push], repositories: [{many}]}}\n")
    (actions,) = (fault for fault in faults(folder) if "not decided within" not in fault)
    assert "allow[0].actions: says push, which is not delegated to this file" in actions


@pytest.mark.parametrize(("steps", "is_enough"), [pytest.param(3, True, id="enough"), pytest.param(2, False, id="few")])
def test_many_delegated_patterns_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, is_enough: bool
) -> None:
    """To look at them costs a step for each sixteen, and one for the pattern."""
    monkeypatch.setattr(budget, "FILE_STEPS", steps)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    delegated = ", ".join(f"web/a{number}" for number in range(33))
    folder = written(tmp_path, root=delegating(delegated), team=f"allow:\n  - {{id: a, {PULL.format('web/a1')}}}\n")
    if is_enough:
        assert load_policies(folder, now=NOW).rule_count == 1
    else:
        assert f"not decided within {steps} steps" in faults(folder)[0]


@pytest.mark.parametrize(
    ("test", "subject"),
    [
        pytest.param("{as: {user: ann}, can: [pull web/x]}", "as user ann", id="as"),
        pytest.param("{who_can: pull web/x, exactly: [authenticated]}", "who can pull web/x", id="who"),
        pytest.param('{what_can: authenticated, exactly: ["pull web/*"]}', "what can authenticated", id="what"),
    ],
)
def test_a_test_that_is_not_decided_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, subject: str
) -> None:
    """At its line; and of the tests behind it none is run."""
    monkeypatch.setattr(budget, "FILE_STEPS", 0)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    rules = f"allow:\n  - {{id: a, {PULL.format('web/*')}}}\n"
    folder = written(tmp_path, root=f"{rules}tests:\n  - {test}\n  - {{as: anonymous, can: [push web/x]}}\n")
    (fault,) = faults(folder)
    assert fault.startswith("root.yaml:5: tests[0]")
    assert f"test failed: {subject}: not decided within 0 steps, the limit for one policy file" in fault


def test_what_can_is_not_told_where_it_is_not_decided(tmp_path: Path) -> None:
    """By a real question that takes more than there is."""
    spans = ", ".join(f'"pull {one.text}"' for one in OUTER)
    rules = f"allow:\n  - {{id: a, {PULL.format(INNER.text)}}}\n"
    folder = written(tmp_path, root=f"{rules}tests:\n  - {{what_can: authenticated, exactly: [{spans}]}}\n")
    (fault,) = faults(folder)
    assert "test failed: what can authenticated: not decided within" in fault


def test_lint_tells_what_it_did_not_decide(tmp_path: Path) -> None:
    """As a finding of its own, so that the exit code is not that of nothing found."""
    rules = f"allow:\n  - {{id: wide, to: [authenticated], actions: [pull], repositories: [{WIDE}]}}\n"
    folder = written(tmp_path, root=f"{rules}  - {{id: a, {PULL.format(INNER.text)}}}\n")
    result = run(folder, "lint")
    assert result.exit_code == 1
    (line,) = (line for line in result.output.splitlines() if "TS113" in line)
    assert line.startswith(
        f"{folder}/root.yaml:4: TS113 a: not decided within 250,000 steps, the limit for one question:"
    )
    assert line.endswith(
        "; fix: begin patterns with literal segments, use fewer wildcards in one pattern, or name fewer principals"
    )


def test_lint_as_a_whole_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule at which the comparisons stop is reported."""
    monkeypatch.setattr(budget, "COMMAND_STEPS", 100)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    rules = "".join(f"  - {{id: a{number}, {PULL.format(f'*a{number}*/**')}}}\n" for number in range(20))
    result = run(written(tmp_path, root=f"allow:\n{rules}"), "lint")
    assert result.exit_code == 1
    assert "the step budget of this run is spent" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["what-can", "authenticated"], id="what-can"),
        pytest.param(["who-can", "pull", "web/x"], id="who-can"),
        pytest.param(["matrix"], id="matrix"),
    ],
)
def test_a_command_that_does_not_decide_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    """And its exit code is neither yes nor no."""
    monkeypatch.setattr(budget, "COMMAND_STEPS", 0)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    result = run(written(tmp_path, root=f"allow:\n  - {{id: a, {PULL.format('web/*')}}}\n"), *arguments)
    assert result.exit_code == 2
    assert "not decided within 0 steps, the limit for one command" in result.output


def rules(*patterns: str, number: int = 0) -> list[Rule]:
    everyone = principals_of([parse_principal("authenticated")])
    return [
        Rule.of(f"r{place}", Effect.ALLOW, everyone, [parse_pattern(text)], {"pull"}, file="root.yaml", line=place)
        for place, text in enumerate(patterns, number)
    ]


def policies(*texts: str, more: Sequence[Rule] = ()) -> PolicySet:
    found = (*rules(*texts), *more)
    return PolicySet("", (), found, Groups.of_all([]), build_index(found))


def test_diff_finds_a_name_where_there_are_too_many_ways_to_go_over_all() -> None:
    """Of twenty globs side by side, each with or without a new one, it needs to see just the names of the new one."""
    before = [f"*{word}*/**" for word in WORDS]
    found = diff(policies(*before), policies(*before, "*zulu*/**"), NOW)
    assert [(row.pattern.text, row.name) for row in found.gains] == [("*zulu*/**", "zulu/x")]
    assert found.losses == ()


def test_diff_looks_past_rules_for_others() -> None:
    """What an auditor may read anyway is new to everybody else."""
    before = [f"*{word}*/**" for word in WORDS]
    audit = replace(rules("**")[0], id="audit", to=principals_of([parse_principal("group:audit")]))
    found = diff(policies(*before, more=[audit]), policies(*before, "*zulu*/**", more=[audit]), NOW)
    assert [(row.pattern.text, row.name) for row in found.gains] == [("*zulu*/**", "zulu/x")]


def test_diff_with_many_globs_under_conditions_is_not_decided() -> None:
    """Where one name does not settle it, and there are too many to go over."""
    before = [f"*{word}*/**" for word in WORDS]
    night = replace(rules("**")[0], id="night", condition=Condition(until=NOW + timedelta(days=1)))
    with pytest.raises(TooComplex):
        diff(policies(*before, more=[night]), policies(*before, "*zulu*/**", more=[night]), NOW)


def test_diff_never_guesses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not decided whether somebody gains, there is no answer; the rule in question is named."""
    monkeypatch.setattr(budget, "COMMAND_STEPS", budget.QUESTION_STEPS // 4)
    with pytest.raises(TooComplex, match=r"not decided within .* \(\*/.*/p by r\d+ \(root.yaml:\d+\)\)"):
        diff(policies(*(one.text for one in OUTER)), policies(*(one.text for one in OUTER), INNER.text), NOW)
    old = f"allow:\n  - {{id: wide, to: [authenticated], actions: [pull], repositories: [{WIDE}]}}\n"
    new = f"{old}  - {{id: a, {PULL.format(INNER.text)}}}\n"
    folders = [str(written(tmp_path / name, root=text)) for name, text in (("old", old), ("new", new))]
    result = CliRunner().invoke(main, ["policy", "diff", *folders])
    assert result.exit_code == 2
    assert "not decided within" in result.output
    assert "the same access" not in result.output


def test_the_whole_budget_of_diff_is_spent_once() -> None:
    """Not once for each rule."""
    texts = [one.text for one in OUTER]
    small = Budget(1_000, of="one command")
    with pytest.raises(TooComplex, match="1,000 steps, the limit for one command"):
        diff(policies(*texts), policies(*texts, INNER.text), NOW, small)
    assert small.is_spent


def test_a_failed_search_fails_in_every_iteration() -> None:
    """The names found before the failure are not the complete result."""

    first = CoveredName("first", frozenset(), frozenset())

    def failing() -> Iterator[CoveredName]:
        yield first
        raise TooComplex("too much")

    search = ReplayableSearch(failing())
    for _ in range(2):
        names = iter(search)
        assert next(names) == first
        with pytest.raises(TooComplex, match="too much"):
            next(names)


def test_a_pattern_has_no_more_globs_than_a_match_can_afford() -> None:
    """The limit is on segments with a `*` within; plain words and `**` do not count."""
    parse_pattern("/".join(["*a*"] * MAX_GLOBS + ["a", "**"] * 20))
    with pytest.raises(
        PatternError, match=r"has a \* in more than 32 segments; fix: use one \*\* for several segments"
    ):
        parse_pattern("/".join(["*a*"] * MAX_GLOBS + ["*"]))


def test_who_can_is_bounded_while_it_collects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it tries them: exceptions of one deny can be as many as there are users."""
    monkeypatch.setattr(witnesses, "MAX_WITNESSES", 10)
    many = principals_of([parse_principal(f"user:u{number}") for number in range(20)])
    (allow,) = rules("a")
    tree = policies(more=[allow, replace(allow, id="d", effect=Effect.DENY, excluded=many)])
    with pytest.raises(TooManyCombinations, match="more than 10 combinations"):
        short_answer(tree, "pull", Resource("repository", "a"), Context("", None, NOW))


def test_a_question_counts_against_its_whole() -> None:
    """And either limit ends it."""
    whole = Budget(10, of="all")
    whole.question(5).spend(4)
    assert whole.left == 6
    with pytest.raises(TooComplex, match="within 5 steps, the limit for one question"):
        whole.question(5).spend(6)
    with pytest.raises(TooComplex, match="within 10 steps, the limit for all"):
        whole.question(100).spend(7)
    assert whole.is_spent
    assert file_budget(10).left == budget.FILE_STEPS + 10 * budget.ITEM_STEPS
    assert command_budget(10).left == budget.COMMAND_STEPS + 10 * budget.ITEM_STEPS
