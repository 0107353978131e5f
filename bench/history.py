"""`python -m bench.history`: shares of the yardstick over the releases, from the files in bench/history/.

`make bench` prints those of its run beside them, and `make bench-history` writes the file of the current version. It
has ratios alone, since absolute figures of different machines say nothing next to each other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tokenserver import __version__

FOLDER = Path(__file__).parent / "history"

THIS_RUN = "this run"


def main() -> None:
    """Print the table; with `--record`, first write the file of this version from what `bench --json` wrote."""
    parser = argparse.ArgumentParser(prog="bench.history", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FIGURES", help="a file that `bench --json` wrote")
    parser.add_argument("--beside", type=Path, metavar="FIGURES", help="print these figures as well, without a file")
    arguments = parser.parse_args()
    if arguments.record is not None:
        found = ratios(json.loads(arguments.record.read_text(encoding="utf-8")))
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{__version__}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    versions = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.json")}
    if arguments.beside is not None:
        versions[THIS_RUN] = ratios(json.loads(arguments.beside.read_text(encoding="utf-8")))
    print(table(versions))


def ratios(figures: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By table and row, the share of the yardstick, of those tables that have one."""
    return {
        name: {title: round(row["share"], 3) for title, row in rows.items() if "share" in row}
        for name, rows in figures.items()
        if any(isinstance(row, dict) and "share" in row for row in rows.values())
    }


def table(versions: dict[str, dict[str, dict[str, float]]]) -> str:
    """One line for each row and one column for each version, oldest first."""
    order = sorted(versions, key=_place)
    titles = dict.fromkeys(
        (name, title) for version in order for name, rows in versions[version].items() for title in rows
    )
    lines = [f"{'share of the yardstick':60}" + "".join(f"{version:>10}" for version in order)]
    for name, title in titles:
        shares = [versions[version].get(name, {}).get(title) for version in order]
        lines.append(
            f"{f'{name}: {title}':60}" + "".join(f"{'' if one is None else f'{one:.3f}':>10}" for one in shares)
        )
    return "\n".join(lines)


def _place(version: str) -> tuple[bool, list[int]]:
    return version == THIS_RUN, [int(part) if part.isdigit() else 0 for part in version.split(".")]


if __name__ == "__main__":
    main()
