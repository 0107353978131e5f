"""Anonymous files are unnamed and hold what was allocated, with and without `memfd_create`."""

from __future__ import annotations

import os

import pytest

from tokenserver.runtime.anonymous_file import allocate, anonymous_file


class Owner:
    """Has a file."""


def forbidden(*_: object) -> int:
    """As a sandbox answers."""
    raise PermissionError


@pytest.mark.parametrize(
    "is_forbidden", [pytest.param(False, id="in memory"), pytest.param(True, id="in the folder for temporary files")]
)
def test_it_is_allocated(monkeypatch: pytest.MonkeyPatch, *, is_forbidden: bool) -> None:
    """It has its whole size, and no name that another process could open."""
    if is_forbidden:
        monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    owner = Owner()
    file = anonymous_file("tokenserver-test", owner)
    allocate(file, 100)
    status = os.fstat(file)
    assert (status.st_size, status.st_nlink) == (100, 0)
    del owner
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
