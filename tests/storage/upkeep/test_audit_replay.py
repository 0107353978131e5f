"""Which credentials an audit log says have ended."""

from __future__ import annotations

import pytest

from tokenserver.storage.upkeep.audit_replay import ended_in

A, B = "0123456789ab", "ba9876543210"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'{{"ended": "{A}"}}', {A}),
        (f'{{"ended": ["{A}", "{B}"]}}', {A, B}),
        (f'{{"credential": "{A}", "reason": "access key x has ended: lost"}}', {A}),
        (f'{{"credential": "{A}", "reason": "access key x expired"}}', set()),
        (f'{{"credential": "{A}"}}', set()),
        ('{"ended": ["short", 5, null, {}]}', set()),
        ('{"ended": {"x": 1}}', set()),
        ('{"reason": "x has ended: y"}', set()),
        ("[]", set()),
        (f'{{"ended": "{A}"', set()),
        ("\udcff", set()),
    ],
)
def test_lines(line: str, expected: set[str]) -> None:
    """Whatever is no event, or names no credential, is skipped."""
    assert ended_in([line.encode("utf-8", "surrogateescape")]) == expected


def test_lines_add_up() -> None:
    """A log has events of many kinds."""
    assert ended_in([f'{{"ended": "{A}"}}'.encode(), b"", f'{{"ended": "{B}"}}'.encode()]) == {A, B}
