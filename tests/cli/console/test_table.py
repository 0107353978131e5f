"""Tables: aligned columns, one line for each row, and no control characters."""

from __future__ import annotations

import pytest

from tokenserver.cli.console.table import aligned, folded, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Two spaces between columns, and no trailing spaces."""
    text = table(("NAME", "KIND"), [("a", "user"), ("developers", "")])
    assert text.split("\n") == ["NAME        KIND", "a           user", "developers"]


def test_heads_alone() -> None:
    """A table without rows still has its heads."""
    assert table(("A", "B"), []) == "A  B"


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param("a\nb", id="newline"),
        pytest.param("a\rb", id="carriage-return"),
        pytest.param("a\x1b[2Jb", id="escape"),
        pytest.param("a\x07b", id="bell"),
        pytest.param("a\u202eb", id="right-to-left"),
    ],
)
def test_a_cell_stays_on_its_line(cell: str) -> None:
    """Whatever a name holds, a row is one line of printable text."""
    first, second = aligned([(cell, "x"), ("y", "z")]).split("\n")
    assert (first.isprintable(), second) == (True, "y" + " " * (len(first) - 2) + "z")


def test_rows_of_different_lengths_are_an_error() -> None:
    """A missing cell would shift the columns."""
    with pytest.raises(ValueError, match="zip"):
        aligned([("a", "b"), ("c",)])


def test_folded() -> None:
    """Columns that do not fit go into a further table, which begins with the first column again."""
    rows = [("ann", "p", "pP", "d"), ("everyone", "", "p", "")]
    wide = folded(("who", "a", "bbbb", "cc"), rows, 100)
    assert wide == table(("who", "a", "bbbb", "cc"), rows)
    assert folded(("who", "a", "bbbb", "cc"), rows, 17) == (
        "who       a  bbbb\nann       p  pP\neveryone     p\n\nwho       cc\nann       d\neveryone"
    )


def test_folded_to_nearly_nothing() -> None:
    """One column beside the first is always shown, even where it is too wide."""
    assert folded(("who", "long", "wide"), [("ann", "1", "2")], 1) == "who  long\nann  1\n\nwho  wide\nann  2"
    assert folded(("who",), [("ann",)], 1) == "who\nann"
