"""Introspection of settings: keys of a model, lists, shorthands, and paths relative to the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import AfterValidator

from tokenserver.config.fields import FilePath, Section
from tokenserver.config.introspection import (
    expand_shorthand,
    from_working_folder,
    is_list,
    kinds,
    models,
    paths,
    shorthand,
    spell_variable,
)


class Leaf(Section):
    """A section that a plain string can stand for."""

    shorthand: ClassVar[str | None] = "file"

    file: FilePath
    count: int = 0


class Tree(Section):
    """One of each kind of field."""

    name: str
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    place: Annotated[Path, AfterValidator(lambda path: path)] | None = None


def test_paths() -> None:
    """Every key, sections before what is in them; entries of a list by the index 0."""
    assert list(paths(Tree)) == [
        ("name",),
        ("leaf",),
        ("leaf", "file"),
        ("leaf", "count"),
        ("leaves",),
        ("leaves", 0, "file"),
        ("leaves", 0, "count"),
        ("place",),
    ]


def test_variables() -> None:
    """As in the environment, without the prefix."""
    assert spell_variable(("leaves", 0, "file")) == "LEAVES_0_FILE"


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        pytest.param(Leaf, [Leaf], id="section"),
        pytest.param(Leaf | None, [Leaf], id="optional"),
        pytest.param(tuple[Leaf, ...], [Leaf], id="list"),
        pytest.param(Annotated[Leaf, "x"] | Tree, [Leaf, Tree], id="two"),
        pytest.param(str, [], id="text"),
    ],
)
def test_models(annotation: Any, found: list[type]) -> None:
    """The sections in an annotation."""
    assert models(annotation) == found


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(tuple[int, ...], True, id="tuple"),
        pytest.param(int, False, id="number"),
        pytest.param(Leaf, False, id="section"),
        pytest.param(dict[str, int], False, id="mapping"),
    ],
)
def test_is_list(annotation: Any, expected: bool) -> None:
    """Lists of the settings are tuples."""
    assert is_list(annotation) is expected


def test_kinds() -> None:
    """Plain types, without what validates them."""
    assert kinds(Annotated[Path, "x"] | None) == {Path, type(None)}
    assert kinds(int) == {int}


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        pytest.param("a", Leaf, {"file": "a"}, id="text"),
        pytest.param({"file": "a"}, Leaf, {"file": "a"}, id="section"),
        pytest.param("a", Tree, "a", id="no-shorthand"),
        pytest.param("a", str, "a", id="no-section"),
        pytest.param(5, Leaf, 5, id="no-text"),
    ],
)
def test_shorthands(value: Any, annotation: Any, expected: Any) -> None:
    """A plain string stands for a section that has a shorthand, and for no other."""
    assert expand_shorthand(value, annotation) == expected
    assert (shorthand(Leaf), shorthand(Tree), shorthand(Leaf | None), shorthand(Tree | None)) == (
        "file",
        None,
        "file",
        None,
    )


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        pytest.param("a/b", FilePath, "/base/a/b", id="relative"),
        pytest.param("/a", FilePath, "/a", id="absolute"),
        pytest.param("~/a", FilePath, "~/a", id="home"),
        pytest.param("", FilePath, "", id="empty"),
        pytest.param("a", str, "a", id="no-path"),
        pytest.param(5, FilePath, 5, id="number"),
        pytest.param({"file": "a", "count": "b"}, Leaf, {"file": "/base/a", "count": "b"}, id="section"),
        pytest.param([{"file": "a"}], tuple[Leaf, ...], [{"file": "/base/a"}], id="list"),
        pytest.param({"leaves": [{"file": "a"}]}, Tree, {"leaves": [{"file": "/base/a"}]}, id="nested"),
        pytest.param({"unknown": "a"}, Leaf, {"unknown": "a"}, id="unknown-key"),
    ],
)
def test_from_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: Any, annotation: Any, expected: Any
) -> None:
    """Every path becomes absolute; whatever is no path stays for the validation to judge."""
    monkeypatch.chdir(tmp_path)
    assert from_working_folder(value, annotation) == _in(tmp_path, expected)


def _in(folder: Path, value: Any) -> Any:
    """`value` with /base replaced by the folder."""
    if isinstance(value, dict):
        return {key: _in(folder, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in(folder, item) for item in value]
    return value.replace("/base", str(folder)) if isinstance(value, str) else value
