"""Exit codes: the numbers that scripts and supervisors rely on."""

from __future__ import annotations

from tokenserver.cli import exits


def test_the_codes() -> None:
    """None of them ever changes; `diff` tells less access and new access apart from everything else."""
    codes = {name: value for name, value in vars(exits).items() if name.isupper()}
    assert codes == {"OK": 0, "NO": 1, "ADDRESS_IN_USE": 1, "WRONG_USE": 2, "LESS_ACCESS": 3, "NEW_ACCESS": 4}
