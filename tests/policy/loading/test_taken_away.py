"""Faults of `not`: exactly where it leaves nothing of a pattern."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_folders import faults, write

from tokenserver.documents.document import parse
from tokenserver.patterns import matches, parse_pattern
from tokenserver.policy import budget
from tokenserver.policy.budget import Budget
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.loading.taken_away import taken_away_faults
from tokenserver.policy.syntax.file import read_policy_file


def rule(repositories: str, without: str, to: str = "[everyone]") -> str:
    """A file with one rule."""
    return (
        f"version: 1\nallow:\n  - id: a\n    to: {to}\n    repositories: {repositories}\n"
        f"    not: {without}\n    role: reader\n"
    )


@pytest.mark.parametrize(
    ("repositories", "without", "expected"),
    [
        pytest.param(
            '["web/**"]',
            '["web/**"]',
            ["6: allow[0].not[0]: 'web/**' takes all of 'web/**' away; fix: take away less, or remove 'web/**'"],
            id="the same",
        ),
        pytest.param(
            '["web/**", "x/a/y"]',
            '["data/**", "x/a/**"]',
            ["6: allow[0].not[1]: 'x/a/**' takes all of 'x/a/y' away; fix: take away less, or remove 'x/a/y'"],
            id="one of two",
        ),
        pytest.param(
            '["web/*"]',
            '["*/a*", "*/b*", "**"]',
            ["6: allow[0].not[2]: '**' takes all of 'web/*' away; fix: take away less, or remove 'web/*'"],
            id="the last",
        ),
        pytest.param(
            '["web/**"]',
            '["web/*", "web/*/**"]',
            ["6: allow[0].not: together, these take all of 'web/**' away; fix: take away less, or remove 'web/**'"],
            id="together",
        ),
        pytest.param('["web/**"]', '["web/*/**"]', [], id="something is left"),
        pytest.param('["web/**"]', '["data/**"]', [], id="nothing is taken"),
        pytest.param('["web/**", "a._*"]', '["**/x", "a*"]', [], id="a pattern without a name"),
    ],
)
def test_what_takes_everything(folder: Path, repositories: str, without: str, expected: list[str]) -> None:
    """At its line, with the pattern that has nothing left."""
    write(folder / "a.yaml", rule(repositories, without))
    if expected:
        assert [fault.removeprefix("a.yaml:") for fault in faults(folder)] == expected
    else:
        assert compile_policies(folder)[0].rules[0].without


@pytest.mark.parametrize(
    ("to", "repositories", "without", "is_fault"),
    [
        pytest.param("[everyone]", '["x/${user}"]', '["x/*"]', True, id="every user"),
        pytest.param("[everyone]", '["x/${user}"]', '["x/ann"]', False, id="one user"),
        pytest.param("[everyone]", '["x-${user}/a"]', '["x-*/*"]', True, id="a part of a segment"),
        pytest.param("[everyone]", '["x-${user}/a"]', '["x-*-*/*"]', False, id="some parts of a segment"),
        pytest.param('["group:r-{t}"]', '["${t}/**"]', '["*/**"]', True, id="every group"),
        pytest.param('["group:r-{t}"]', '["${t}/**"]', '["r-*/**"]', False, id="the capture is not the group"),
        pytest.param('["group:r-{t}"]', '["${t}/a/${t}"]', '["*/a/*"]', True, id="a capture twice"),
    ],
)
def test_variables(folder: Path, to: str, repositories: str, without: str, is_fault: bool) -> None:
    """Nothing is left if nothing is left for any client."""
    write(folder / "a.yaml", rule(repositories, without, to))
    if is_fault:
        (fault,) = faults(folder)
        assert "takes all of" in fault
    else:
        assert compile_policies(folder)[0].rules[0].without


def test_rules_of_delegated_files(folder: Path) -> None:
    """Their faults are reported as well, beside those of the mandate."""
    write(folder / "a.yaml", "version: 1\ndelegate: [{file: t/b.yaml, repositories: ['web/**'], actions: [push]}]\n")
    (folder / "t").mkdir(mode=0o755)
    write(folder / "t" / "b.yaml", rule("[web/x]", "['web/*']"))
    assert [fault.split(": ")[1] for fault in faults(folder)] == ["allow[0].not[0]", "allow[0].role"]


def test_a_rule_with_an_unknown_role(folder: Path) -> None:
    """It has its fault nevertheless."""
    write(folder / "a.yaml", rule("[web/x]", "['web/*']").replace("reader", "readers"))
    assert {fault.split(": ")[1] for fault in faults(folder)} == {"allow[0].not[0]", "allow[0].role"}


WORDS = ("a", "b", "x")
NAMES = [name for count in (1, 2, 3, 4) for name in product(WORDS, repeat=count)]
"""Enough to tell apart what patterns of two segments cover."""
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=2).map("/".join)


@given(st.lists(PATTERNS, min_size=1, max_size=2, unique=True), st.lists(PATTERNS, min_size=1, max_size=3))
def test_exactly_the_patterns_without_a_name_left(patterns: list[str], without: list[str]) -> None:
    """By names counted one by one."""
    file = read_policy_file(parse(rule(str(patterns), str(without)), "a.yaml"))
    told = [one.message for one in taken_away_faults(file.document, file.rules[0], Budget())]
    taking = [*map(parse_pattern, without)]
    for pattern in map(parse_pattern, patterns):
        covered = (name for name in NAMES if matches(pattern, name, None, ()))
        is_left = any(not any(matches(one, name, None, ()) for one in taking) for name in covered)
        assert any(f" all of {pattern.text!r} away" in message for message in told) is not is_left


def test_what_is_not_decided_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do about it, and the rest of the file is not looked at."""
    monkeypatch.setattr(budget, "FILE_STEPS", 1)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    write(folder / "a.yaml", rule("['web/**', 'data/**', 'x/**']", "['*/*', '*/*/**']"))
    (fault,) = faults(folder)
    assert fault.startswith("a.yaml:6: allow[0].not: whether it leaves anything of 'web/**' is not decided within 1 ")
    assert "use fewer wildcards in one pattern" in fault


@pytest.mark.parametrize(("steps", "is_enough"), [pytest.param(8, True, id="enough"), pytest.param(7, False, id="few")])
def test_many_patterns_under_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int, is_enough: bool
) -> None:
    """To look at them costs a step for each sixteen, and one for the pattern."""
    monkeypatch.setattr(budget, "FILE_STEPS", steps)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    write(folder / "a.yaml", rule("[web/x]", str([f"web/a{number}" for number in range(33)])))
    if is_enough:
        assert compile_policies(folder)[0].rule_count == 1
    else:
        assert f"not decided within {steps} steps" in faults(folder)[0]
