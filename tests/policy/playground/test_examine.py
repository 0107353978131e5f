"""The examination of edited trees: it says what loading, linting and comparing the same files on disk says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playground_trees import NOW, ROOT, TEAM, TREE, changed_texts, live, on_disk
from slow_properties import slow_examples

from tokenserver.errors import Fault, LinkedText, LoadError
from tokenserver.policy import budget
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.diff.report import summary_of
from tokenserver.policy.loading.loader import PolicyLoader, compile_policies, load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.policy.playground.edits import edited
from tokenserver.policy.playground.examination import MAX_LISTED, Examination
from tokenserver.policy.playground.examine import MAX_TEXT, examine
from tokenserver.policy.playground.question import PlaygroundQuestion, Surroundings

UNKNOWN = Surroundings()
MORE = "version: 1\nallow:\n  - {id: more, to: [authenticated], repositories: [more], role: reader}\n"


def examined(
    edits: Mapping[str, str | None], surroundings: Surroundings = UNKNOWN, texts: Mapping[str, str] = TREE
) -> Examination:
    """The last stage."""
    question = PlaygroundQuestion(edited(texts, edits), texts, NOW, surroundings, live(texts).is_marked)
    *_, found = examine(question)
    return found


def test_nothing_changed() -> None:
    """All parts are there, and nothing is wrong."""
    found = examined({})
    assert (found.faults, found.unfinished, found.is_loadable) == ((), (), True)
    assert found.tests is not None
    assert (found.tests.count, found.tests.failed) == (2, 0)
    assert found.difference is not None
    assert found.difference.summary == "the same access as before"
    assert found.lint is not None
    assert found.lint.findings == ()


def test_faults() -> None:
    """Each with its file and line, and with nothing else."""
    found = examined(
        {"company.yaml": ROOT.replace("role: reader", "role: raeder"), "new.yaml": "version: 1\nalow: 1\n"}
    )
    assert sorted(str(fault) for fault in found.faults) == [
        "company.yaml:7: allow[0].role: unknown role 'raeder'; did you mean 'reader'?",
        "new.yaml:2: alow: unknown key; did you mean 'allow'?",
    ]
    assert (found.tests, found.lint, found.difference, found.is_loadable) == (None, None, None, False)


def test_a_tree_without_rules() -> None:
    """A fault of all files is at none of them."""
    (fault,) = examined({"company.yaml": "version: 1\ngroups: {a: {users: [b]}}\n", "teams/web.yaml": None}).faults
    assert (fault.file, fault.line) == (".", 0)


def test_many_faults() -> None:
    """They are counted, and not all listed."""
    text = "".join(f"k{number}: 1\n" for number in range(150))
    found = examined(dict.fromkeys(("company.yaml", "teams/web.yaml"), text))
    assert len(found.faults) == MAX_LISTED
    assert found.more_faults >= 100


def test_failing_tests() -> None:
    """A tree that loads but for its tests is linted and compared."""
    found = examined({"company.yaml": ROOT.replace("reader}", "writer}")})
    assert found.tests is not None
    assert [(one.file, one.line) for one in found.tests.failures] == [("company.yaml", 9)]
    assert (found.tests.count, found.tests.failed, found.is_loadable) == (2, 1, False)
    assert found.difference is not None
    assert [line.cells()[:3] for line in found.difference.gains] == [["authenticated", "push", "base/**"]]


FAILING = TEAM.replace("can: [push web/x]", "cannot: [push web/x]")
DELEGATE = '  - {file: teams/new.yaml, repositories: ["new/**"], actions: [pull, push]}\n'


@pytest.mark.parametrize(
    ("edits", "rejects", "held_back"),
    [
        pytest.param({}, False, (), id="none"),
        pytest.param({"teams/web.yaml": FAILING}, False, ("teams/web.yaml",), id="of a team"),
        pytest.param({"company.yaml": ROOT.replace("reader}", "writer}")}, True, (), id="of a root file"),
        pytest.param(
            {
                "company.yaml": ROOT.replace("allow:\n", f"{DELEGATE}allow:\n"),
                "teams/new.yaml": FAILING.replace("web", "new"),
            },
            True,
            (),
            id="of a new file of a team",
        ),
        pytest.param({"new.yaml": FAILING.replace("id: web", "id: new")}, True, (), id="of a new root file"),
    ],
)
def test_what_failing_tests_hold_back(
    tmp_path: Path, edits: Mapping[str, str | None], rejects: bool, held_back: tuple[str, ...]
) -> None:
    """Whole trees or single files, as in a reload of a running server."""
    found = examined(edits).tests
    assert found is not None
    assert (found.rejects, found.held_back) == (rejects, held_back)
    folder = on_disk(tmp_path / "policies", TREE)
    loader = PolicyLoader(folder)
    loader.load(NOW)
    (tmp_path / "policies" / "more.yaml").write_text(MORE)  # so that there is a change besides
    for name, text in edits.items():
        (folder / name).write_text(text or "")
    if rejects:
        with pytest.raises(LoadError):
            loader.load(NOW)
    else:
        notes = loader.load(NOW).notes
        assert {note.file.removeprefix(f"{folder}/") for note in notes} == set(held_back)


def test_failures_beyond_the_list() -> None:
    """One that is not listed counts, too."""
    tests = "".join(f"  - {{as: {{user: u{number}}}, can: [push web/x]}}\n" for number in range(MAX_LISTED))
    last = "version: 1\ntests:\n  - {as: {user: ann}, can: [push base/x]}\n"
    found = examined({"teams/web.yaml": TEAM + tests, "zz.yaml": last})
    assert found.tests is not None
    assert {one.file for one in found.tests.failures} == {"teams/web.yaml"}
    assert (found.tests.more, found.is_loadable) == (1, False)


def test_differences_of_each_sort() -> None:
    """Access, administrators and lifetimes."""
    root = ROOT.replace("otto", "nina").replace(", max_lifetime: 10m", "")
    found = examined({"company.yaml": root, "teams/web.yaml": TEAM.replace("ann", "ben")}).difference
    assert found is not None
    assert [line.who for line in found.gains] == ["user:ben"]
    assert [line.who for line in found.losses] == ["user:ann"]
    assert found.administrators == (("added", "user:nina", "group:ops"), ("removed", "user:otto", "group:ops"))
    assert found.lifetimes == (("teams/web.yaml", "600 s", "no limit"),)
    assert (found.summary, found.more) == ("new access (2 gained, 2 lost)", 0)


def test_owners() -> None:
    """Who comes to manage a robot, and who no longer does."""
    robots = 'robots: {ci: {owners: ["user:nina"]}}\n'
    known = examined({"company.yaml": ROOT.replace("allow:", f"{robots}allow:", 1)})
    assert known.difference is not None
    assert known.difference.owners == (("added", "ci", "user:nina", "user:nina"),)


def test_surroundings() -> None:
    """Registries, and what lint needs to know, are those of the configuration."""
    found = examined({"new.yaml": "version: 1\nregistries: [other]\n" + TEAM.partition("\n")[2].replace("web", "own")})
    assert found.faults == ()
    known = Surroundings(services=frozenset({"one"}), access_keys=True)
    (fault,) = examined({"company.yaml": "registries: [other]\n" + ROOT}, known).faults
    assert (fault.line, fault.path) == (1, "registries[0]")
    without = examined({"company.yaml": ROOT.replace('administrators: ["group:ops"]\n', "")}, known)
    assert without.lint is not None
    assert "TS136" in [one.code for one in without.lint.findings]


def test_the_end_marker() -> None:
    """Where the live files end with it, each has to."""
    texts = {name: f"{text}...\n" for name, text in TREE.items()}
    (fault,) = examined({"teams/web.yaml": TEAM}, texts=texts).faults
    assert fault.message.startswith("does not end with the line ...")


def test_a_file_behind_a_link() -> None:
    """Its content is in no fault and no failing test. docs/design/threats.md#threat-172"""
    texts = {"company.yaml": ROOT, "teams/web.yaml": TEAM}
    secret = LinkedText("hunter2: [\n", "/srv/secret")
    *_, found = examine(PlaygroundQuestion({**texts, "teams/web.yaml": secret}, texts, NOW))
    assert "hunter2" not in str(found)
    failing = LinkedText(TEAM.replace("can: [push web/x]", "cannot: [push web/hunter2]"), "/srv/secret")
    *_, found = examine(PlaygroundQuestion({**texts, "teams/web.yaml": failing}, texts, NOW))
    assert found.tests is not None
    assert found.tests.failed == 1
    assert "hunter2" not in str(found.tests)


def test_live_policies_with_faults() -> None:
    """What would be rejected by now cannot be compared, and all else is said."""
    *_, found = examine(PlaygroundQuestion(TREE, {"company.yaml": "version: 2\n"}, NOW))
    assert (found.difference, found.is_loadable) == (None, True)
    (reason,) = found.unfinished
    assert reason.startswith("the live policies have faults by now")


def test_a_comparison_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as that; the rest is there."""
    monkeypatch.setattr(budget, "COMMAND_STEPS", budget.QUESTION_STEPS // 4)
    wild = "version: 1\nallow:\n" + "".join(
        f"  - {{id: r{number}, to: ['user:u{number}'], repositories: ['**/{'*/' * 6}a{number}*/**'], role: writer}}\n"
        for number in range(30)
    )
    deny = wild.replace("allow:", "deny:").replace("id: r", "id: d").replace("role: writer", "actions: [push]")
    hard = {"company.yaml": wild, "b.yaml": deny.replace("/**'", "/**/x*'")}
    *_, found = examine(PlaygroundQuestion(hard, TREE, NOW))
    assert found.faults == ()
    assert found.difference is None
    assert "limit for" in found.unfinished[0]


def test_long_texts() -> None:
    """No text of an answer is as long as what somebody sends."""
    users = ", ".join(f'"user:{"u" * 20}{number}"' for number in range(100))
    found = examined(
        {"new.yaml": f"version: 1\nallow:\n  - {{id: n, to: [{users}], repositories: [n], role: reader}}\n"}
    )
    assert found.difference is not None
    assert max(len(cell) for line in found.difference.gains for cell in line.cells()) == MAX_TEXT


@slow_examples()
@given(st.dictionaries(st.sampled_from(["company.yaml", "teams/web.yaml", "new.yaml"]), changed_texts(), max_size=3))
def test_as_on_disk(tmp_path_factory: pytest.TempPathFactory, edits: dict[str, str]) -> None:
    """Whatever is in the texts, the answer is that of the same files in a folder, and nothing is raised."""
    texts = edited(TREE, edits)
    found = examined(edits)
    folder = on_disk(tmp_path_factory.mktemp("trees") / "policies", texts)
    policies, faults = _loaded(folder)
    assert _comparable(found.faults, folder) == _comparable(faults, folder)
    if policies is None:
        return
    assert found.difference is not None
    assert found.difference.summary == summary_of(diff(live(), policies, NOW))
    try:
        load_policies(folder, now=NOW)
    except LoadError:
        assert found.is_loadable is False
    else:
        assert found.is_loadable is True


def _loaded(folder: Path) -> tuple[PolicySet | None, tuple[Fault, ...]]:
    """The policies of the folder without their tests, or its faults."""
    try:
        return compile_policies(folder, now=NOW)[0], ()
    except LoadError as error:
        return None, error.faults


def _comparable(faults: Iterable[Fault], folder: Path) -> list[str]:
    """The faults without the path of the folder, and without the commands that fix them."""
    lines = (f"{one.file}:{one.line}:{one.path}:{one.message.partition(' fix, if it is: ')[0]}" for one in faults)
    return [line.replace(f"{folder}/", "").replace(str(folder), ".") for line in lines]
