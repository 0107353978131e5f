"""Settings of the storage: a path or a URL of PostgreSQL, the file of its password, and the grace."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, faults_of, load

from tokenserver.config.storage import StorageSettings

URL = "postgresql://tokenserver@db.example.com/tokenserver"


def test_nothing_is_stored_by_default(folder: Path) -> None:
    """The storage is off unless it is configured; the grace is 15 minutes."""
    settings = load(folder, MINIMAL)
    assert (settings.storage, settings.storage_grace) == (None, 900)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("storage: state/tokenserver.db", id="shorthand"),
        pytest.param("storage: {url: state/tokenserver.db}", id="section"),
    ],
)
def test_a_path_is_relative_to_the_file(folder: Path, text: str) -> None:
    """SQLite: the path of the file, wherever the command runs."""
    storage = load(folder, MINIMAL + text).storage
    assert storage is not None
    assert storage.file == storage.url == folder / "state/tokenserver.db"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"TOKENSERVER_STORAGE": "s.db"}, Path("s.db"), id="path"),
        pytest.param({"TOKENSERVER_STORAGE_URL": "s.db"}, Path("s.db"), id="path of the key"),
        pytest.param({"TOKENSERVER_STORAGE": URL}, URL, id="url"),
        pytest.param({"TOKENSERVER_STORAGE_URL": URL}, URL, id="url of the key"),
    ],
)
def test_the_environment_names_it(folder: Path, environment: dict[str, str], expected: Path | str) -> None:
    """A path in a variable is relative to the working folder, a URL stays as it is."""
    storage = load(folder, MINIMAL, environment).storage
    assert storage == StorageSettings(url=expected if isinstance(expected, str) else Path.cwd() / expected)


def test_a_variable_adds_the_password_to_the_shorthand(folder: Path) -> None:
    """The file has the URL, and the container its secret."""
    storage = load(folder, f"{MINIMAL}storage: {URL}", {"TOKENSERVER_STORAGE_PASSWORD_FILE": "/run/secret"}).storage
    assert storage == StorageSettings(url=URL, password_file=Path("/run/secret"))
    assert storage is not None
    assert storage.file is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("storage: ''", "storage: must be a path", id="empty"),
        pytest.param("storage: sqlite:///s.db", "storage: is a URL of SQLite; write the path alone", id="sqlite"),
        pytest.param("storage: mysql://db/x", "storage: must be a path such as state/tokenserver.db", id="other"),
        pytest.param("storage: postgres://db/x", "or a URL such as postgresql://", id="old spelling"),
        pytest.param("storage: postgresql://a:canary@db/x", "must not contain a password; name a file", id="password"),
        pytest.param("storage: postgresql://db/x?password=canary", "must not contain a password", id="parameter"),
        pytest.param("storage: postgresql://db", "must end with the name of a database", id="no database"),
        pytest.param("storage: postgresql://db:port/x", "is no URL", id="port"),
        pytest.param("storage: {url: s.db, password_file: p}", "storage.password_file: needs the URL", id="file"),
        pytest.param("storage: {password_file: p}", "storage.url: is missing", id="no url"),
        pytest.param("storage: 5", "storage:", id="number"),
        pytest.param("storage_grace: 25h", "storage_grace: must be from 0s to 24h, not 90000s", id="grace"),
        pytest.param("storage_grace: -1", "storage_grace: must be from 0s to 24h, not -1s", id="negative"),
    ],
)
def test_wrong_settings_are_refused(folder: Path, text: str, fault: str) -> None:
    """Each with its place and its fix, and without a password."""
    (found,) = faults_of(folder, MINIMAL + text)
    assert fault in found
    assert "canary" not in found
