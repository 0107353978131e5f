"""Engines for databases of users, without a server: drivers, TLS, and a file that is only read."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.exc import OperationalError
from user_tables import make_table

from tokenserver.authn.sql.engines import DriverMissing, UserDatabasePlace, engine_for
from tokenserver.credentials import Secret

CA = Path("/etc/ca.pem")


@pytest.mark.parametrize(("scheme", "module"), [("postgresql", "psycopg"), ("mariadb", "pymysql")])
def test_a_missing_driver(scheme: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    usual = builtins.__import__

    def refuse(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        if name in ("tokenserver.storage.connections.postgresql", "tokenserver.authn.sql.mariadb"):
            raise ModuleNotFoundError(module)
        return usual(name, globals_, locals_, names, level)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DriverMissing, match=rf"pip install 'tokenserver\[{scheme}\]'"):
        engine_for(UserDatabasePlace(f"{scheme}://reader@db/people", None, None, False, 5))


@pytest.mark.parametrize(
    ("url", "ca_file", "is_plaintext", "expected"),
    [
        ("postgresql://reader@db/people", None, False, "verify-full"),
        ("postgresql://reader@db/people", CA, False, "verify-full"),
        ("postgresql://reader@db/people", None, True, "disable"),
        ("postgresql://reader@127.0.0.1/people", None, False, None),
        ("postgresql://reader@127.0.0.1/people", CA, False, "verify-full"),
    ],
)
def test_tls_of_postgresql(
    url: str, ca_file: Path | None, expected: str | None, monkeypatch: pytest.MonkeyPatch, *, is_plaintext: bool
) -> None:
    """Beyond this machine, the server's name is verified unless that is switched off."""
    asked: list[dict[str, object]] = []

    def connect(**options: object) -> None:
        asked.append(options)
        raise ConnectionAbortedError

    monkeypatch.setattr("tokenserver.storage.connections.postgresql._Impatient.connect", connect)
    engine = engine_for(UserDatabasePlace(url, Secret("canary"), ca_file, is_plaintext, 3))
    assert "canary" not in repr(engine)
    with pytest.raises(ConnectionAbortedError):
        engine.connect()
    (options,) = asked
    assert (options.get("sslmode"), options.get("sslrootcert")) == (expected, None if ca_file is None else str(CA))
    assert options["password"] == "canary"
    assert "statement_timeout=3s" in str(options["options"])


@pytest.mark.parametrize(
    "statement", ["DELETE FROM users", "CREATE TABLE x (y)", "ATTACH '/tmp/x.db' AS other", "PRAGMA user_version = 2"]
)
def test_a_file_is_only_read(statement: str, tmp_path: Path) -> None:
    """Whatever is executed (docs/design/threats.md#threat-205)."""
    file = make_table(tmp_path / "users.db", ("ann", "x", "", 1))
    before = file.read_bytes()
    with engine_for(UserDatabasePlace(file, None, None, False, 1)).connect() as connection, suppress(OperationalError):
        connection.exec_driver_sql(statement)
        connection.commit()
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["users.db"]


def test_a_folder_with_marks_of_urls(tmp_path: Path) -> None:
    """A path is no URL."""
    folder = tmp_path / "a?mode=rw#%41"
    folder.mkdir()
    file = make_table(folder / "users.db")
    with engine_for(UserDatabasePlace(file, None, None, False, 1)).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM users").scalar() == 0
