"""Hints at misspelt names: the nearest one, and an amount of work that no number of names exceeds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents import hints
from tokenserver.documents.hints import MAX_LISTED, TOO_MANY, Hints, nearest
from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.policy.machines.claim_names import SourceClaims

NUMBER = 300
WORK = 20_000
RULE = 'allow: [{id: r, to: [everyone], repositories: ["x"], actions: [pull]}]\n'


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        pytest.param("acitons", ["actions", "allow"], "did you mean 'actions'?", id="typo"),
        pytest.param("zzz", ["b", "a"], "known here: a, b", id="nothing-near"),
        pytest.param("zzz", [], "nothing is allowed here", id="nothing-known"),
    ],
)
def test_nearest(word: str, known: list[str], expected: str) -> None:
    """The nearest known word, else all of them in order."""
    assert nearest(word, iter(known)) == expected


def test_a_long_list_is_cut() -> None:
    """It says how many more there are."""
    words = [f"a{number:04}" for number in range(MAX_LISTED + 1_000)]
    hint = nearest("zzz", words)
    assert hint == f"known here: {', '.join(words[:MAX_LISTED])}, and 1,000 more"


@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=30), st.text("abc", min_size=1, max_size=8))
def test_within_the_budget_it_is_what_difflib_says(known: list[str], word: str) -> None:
    """The bound changes nothing that is affordable."""
    assert Hints().closest(word, known, most=3) == difflib.get_close_matches(word, known, n=3)


class Counted:
    """Counts the work of all comparisons, as the product of lengths."""

    def __init__(self) -> None:
        self.work = 0

    def get_close_matches(self, word: str, known: Iterable[str], **options: Any) -> list[str]:
        """As that of `difflib`."""
        return difflib.get_close_matches(word, self._counted(word, known), **options)

    def _counted(self, word: str, known: Iterable[str]) -> Iterator[str]:
        for one in known:
            self.work += len(word) * len(one)
            yield one


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """What the hints of a test compare, within a smaller budget."""
    found = Counted()
    monkeypatch.setattr(hints, "MAX_WORK", WORK)
    monkeypatch.setattr(hints, "difflib", found)
    return found


def test_the_work_for_one_word_is_bounded(counted: Counted) -> None:
    """However many names are known, and however long they are; the first names are compared."""
    hint = nearest("name-00000x", (f"name-{number:05}" for number in range(5_000)))
    assert (hint, counted.work <= WORK) == ("did you mean 'name-00000'?", True)
    nearest("x" * 100_000, ["x" * 100_000] * 3)
    assert counted.work <= WORK


def test_the_work_for_many_words_is_bounded(counted: Counted) -> None:
    """The first ones have hints, the others say why they have none."""
    shared = Hints()
    known = [f"name-{number:05}" for number in range(NUMBER)]
    found = [shared.nearest(f"nam-{number:05}", known) for number in range(NUMBER)]
    assert (found[0], found[-1], counted.work <= WORK) == ("did you mean 'name-00000'?", TOO_MANY, True)


def _many(form: str) -> str:
    return "".join(form.format(number=f"{number:05}") for number in range(NUMBER))


FAULTY = {
    "roles": {
        "a.yaml": "roles:\n"
        + _many("  role-{number}: [pull]\n")
        + "allow:\n"
        + _many('  - {{id: r{number}, to: [everyone], repositories: ["x"], role: rule-{number}}}\n')
    },
    "services": {"a.yaml": "registries: [" + _many("servce-{number}, ") + "]\n" + RULE},
    "delegated files": {
        "a.yaml": "delegate:\n"
        + _many('  - {{file: team/{number}.yaml, repositories: ["x"], actions: [pull]}}\n')
        + RULE
    }
    | {f"teams/{number:05}.yaml": RULE.replace("id: r", f"id: t{number}") for number in range(NUMBER)},
    "included groups": {
        "a.yaml": "groups:\n" + _many("  group-{number}: {{includes: [gruop-{number}]}}\n") + RULE,
    },
    "sources of workloads": {
        "a.yaml": "workloads:\n" + _many('  w{number}: {{from: sorce-{number}, claims: {{sub: "x"}}}}\n') + RULE
    },
    "robots": {
        "a.yaml": "robots:\n"
        + _many("  robot-{number}: {{description: x}}\n")
        + "allow:\n"
        + _many('  - {{id: r{number}, to: ["robot:rbot-{number}"], repositories: ["x"], actions: [pull]}}\n')
    },
}


@pytest.mark.parametrize("files", FAULTY.values(), ids=FAULTY.keys())
def test_the_work_for_a_policy_file_is_bounded(counted: Counted, files: dict[str, str]) -> None:
    """Whatever names in it are wrong (docs/design/threats.md#threat-217)."""
    names = [f"service-{number:05}" for number in range(NUMBER)]
    sources = {name.replace("service", "source"): SourceClaims(frozenset()) for name in names}
    texts = {name: f"version: 1\n{text}" for name, text in files.items()}
    with pytest.raises(LoadError) as caught:
        compile_texts(texts, services=frozenset(names), workload_sources=sources)
    messages = [fault.message for fault in caught.value.faults]
    assert sum("did you mean" in message for message in messages) > 0
    assert sum(TOO_MANY in message for message in messages) > 0
    assert 0 < counted.work <= WORK
