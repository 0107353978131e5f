"""Tables for a terminal: columns aligned with spaces, one line per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenserver.printable import one_line


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows below their column heads. Cells are printed on one line each, without control characters."""
    return aligned([heads, *rows])


def folded(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Rows below their heads, in several tables if one would be wider than `width`; each begins with the first column.

    A table that has only one further column may be wider.
    """
    lines = [[one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    tables: list[list[int]] = [[0]]
    used = widths[0]
    for place in range(1, len(widths)):
        if used + 2 + widths[place] > width and tables[-1] != [0]:
            tables.append([0])
            used = widths[0]
        tables[-1].append(place)
        used += 2 + widths[place]
    return "\n\n".join(aligned([[line[place] for place in places] for line in lines]) for places in tables)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows without heads; all have the same number of cells."""
    lines = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
