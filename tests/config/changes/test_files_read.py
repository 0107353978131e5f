"""The files from which the settings are read: all of them, also those that come later, and none that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, changed

from tokenserver.config.changes.files_read import FilesRead

IN_A_FOLDER = changed("[{service: registry.example.com}]", "services/")


def read(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    path = folder / "tokenserver.yaml"
    path.write_text(text)
    return [str(file).removeprefix(f"{folder.parent}/") for file in FilesRead(path, environment or {}).current()]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MINIMAL, id="a list"),
        pytest.param("registries: [", id="no YAML"),
        pytest.param("- a list", id="no mapping"),
        pytest.param(changed("[{service: registry.example.com}]", "''"), id="empty"),
        pytest.param(changed("[{service: registry.example.com}]", "~nobody-at-all/x"), id="no such home"),
    ],
)
def test_the_file_alone(folder: Path, text: str) -> None:
    """Where it names no folder, or none can be determined."""
    assert read(folder, text) == ["config/tokenserver.yaml"]


def test_a_folder_with_what_is_in_it(folder: Path) -> None:
    """Also files that come later; hidden and other files do not count."""
    services = folder / "services"
    files = ["config/tokenserver.yaml", "config/services"]
    assert read(folder, IN_A_FOLDER) == files
    services.mkdir()
    for name in ("b.yaml", "a.yml", ".a.yaml", "notes.txt"):
        (services / name).write_text("")
    assert read(folder, IN_A_FOLDER) == [*files, "config/services/a.yml", "config/services/b.yaml"]


def test_variables(folder: Path) -> None:
    """A folder in a variable is relative to the working folder; a list in one is no folder."""
    elsewhere = folder.parent / "elsewhere"
    variables = {"TOKENSERVER_REGISTRIES": "mine", "TOKENSERVER_ISSUER_FILE": "/run/issuer"}
    assert read(folder, IN_A_FOLDER, variables) == ["config/tokenserver.yaml", "/run/issuer", f"{elsewhere.name}/mine"]
    assert read(folder, MINIMAL, {"TOKENSERVER_REGISTRIES": "[{service: x}]"}) == ["config/tokenserver.yaml"]


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    """It is watched all the same."""
    assert FilesRead(tmp_path / "none.yaml", {}).current() == [tmp_path / "none.yaml"]
