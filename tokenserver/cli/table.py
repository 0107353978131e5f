"""Tables for a terminal: columns aligned with spaces, one line per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenserver.printable import one_line


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows below their column heads. Cells are printed on one line each, without control characters."""
    return aligned([heads, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows without heads; all have the same number of cells."""
    lines = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
