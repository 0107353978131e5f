"""What commands of the storage share: errors in one line, and the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, load

from tokenserver.cli.storage.site import file_of, reporting
from tokenserver.errors import Fault, LoadError
from tokenserver.storage.connections.failures import StorageUnavailable


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (LoadError([Fault("x", 0, "", "is wrong")]), 2, "x: is wrong\n1 fault found; nothing was done.\n"),
        (StorageUnavailable("it is gone"), 1, "storage: it is gone\n"),
    ],
)
def test_errors(error: Exception, code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A supervisor may try again after 1."""

    @reporting
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        command()
    assert caught.value.code == code
    assert capsys.readouterr().err == told


def test_the_file(tmp_path: Path) -> None:
    """Of SQLite alone."""
    assert file_of(load(tmp_path, f"{MINIMAL}storage: s.db\n"), "x") == tmp_path / "s.db"
    with pytest.raises(LoadError, match="is a PostgreSQL database; fix: x"):
        file_of(load(tmp_path, f"{MINIMAL}storage: postgresql://db/x\n"), "x")
    with pytest.raises(LoadError, match="is not set"):
        file_of(load(tmp_path, MINIMAL), "x")
