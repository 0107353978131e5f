"""Edits: the tree with some files replaced, added and removed, and what the playground does not take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.loading.folder import read_folder
from tokenserver.policy.playground.edits import MAX_BYTES, MAX_FILES, edit_faults, edited

TEXTS = {"a.yaml": "a", "teams/b.yaml": "b", "odd name.yaml": "c"}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        pytest.param({}, TEXTS, id="nothing"),
        pytest.param({"a.yaml": "x"}, {**TEXTS, "a.yaml": "x"}, id="changed"),
        pytest.param({"c.yaml": "x"}, {**TEXTS, "c.yaml": "x"}, id="added"),
        pytest.param({"a.yaml": None}, {name: text for name, text in TEXTS.items() if name != "a.yaml"}, id="removed"),
        pytest.param({"gone.yaml": None}, TEXTS, id="removed, and it was not there"),
        pytest.param({"a.yaml": ""}, {**TEXTS, "a.yaml": ""}, id="emptied"),
    ],
)
def test_edited(edits: Mapping[str, str | None], expected: Mapping[str, str]) -> None:
    """What is not named stays as it is."""
    assert edited(TEXTS, edits) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("new.yaml", None),
        ("New.YML", None),
        ("teams/new.yaml", None),
        ("a/b/c/d/e/f/g/h/new.yaml", None),
        ("odd name.yaml", None),
        ("a/b/c/d/e/f/g/h/i/new.yaml", "is deeper than 8 folders"),
        ("new.txt", "does not end with .yaml or .yml"),
        ("", "does not end with .yaml or .yml"),
        ("../new.yaml", "has a part that is empty or hidden"),
        ("/new.yaml", "has a part that is empty or hidden"),
        ("teams//new.yaml", "has a part that is empty or hidden"),
        (".new.yaml", "has a part that is empty or hidden"),
        (".yaml", "has a part that is empty or hidden"),
        (".git/new.yaml", "has a part that is empty or hidden"),
        ("a\n.yaml", "has a part with more than 100 characters"),
        ("a\x00.yaml", "has a part with more than 100 characters"),
        ("a" * 96 + ".yaml", "has a part with more than 100 characters"),
        ("a.yaml/new.yaml", "has a folder that is named like a file"),
    ],
)
def test_names(name: str, expected: str | None) -> None:
    """A new file has a name that the policy folder would read."""
    found = edit_faults(TEXTS, {name: "x"})
    assert [fault.message.partition("; fix:")[0][: len(expected or "")] for fault in found] == (
        [] if expected is None else [expected]
    )


@given(st.lists(st.sampled_from(["a", ".b", "c.yaml", "d.yml", "..", ""]), min_size=1, max_size=4).map("/".join))
def test_accepted_names_are_read(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Each accepted name is one that reading the folder finds."""
    if edit_faults({}, {name: ""}):
        return
    folder = tmp_path_factory.mktemp("tree")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert [*read_folder(folder)[0]] == [name]


def test_size() -> None:
    """The whole tree counts, not only what is new, in UTF-8."""
    half = "\u00e4" * (MAX_BYTES // 4)
    assert edit_faults({"a.yaml": half}, {"b.yaml": half}) == []
    (found,) = edit_faults({"a.yaml": half}, {"b.yaml": half + "x"})
    assert found.message.startswith("has 1,048,577 bytes, and the playground takes 1,048,576; fix: compare folders")
    assert edit_faults({"a.yaml": half}, {"a.yaml": None, "b.yaml": half + "x"}) == []
    assert edit_faults({}, {"b.yaml": "\ud800"}) == []


def test_number() -> None:
    """The files that are removed do not count."""
    texts = {f"{number}.yaml": "" for number in range(MAX_FILES)}
    assert edit_faults(texts, {"0.yaml": "x"}) == []
    assert edit_faults(texts, {"0.yaml": None, "x.yaml": "x"}) == []
    (found,) = edit_faults(texts, {"x.yaml": "x"})
    assert found.message.startswith("has 201 files, and the playground takes 200; fix: ")


def test_documented_name(tmp_path: Path) -> None:
    """The name in the fix is one that is accepted."""
    (found,) = edit_faults({}, {"x": ""})
    assert edit_faults({}, {found.message.rpartition(" ")[2]: ""}) == []
