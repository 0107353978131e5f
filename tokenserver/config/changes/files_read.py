"""The files from which the settings are read, for watching them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tokenserver.config.load import PREFIX, config_path, variables
from tokenserver.config.registries_folder import registry_files
from tokenserver.documents.document import parse
from tokenserver.documents.files import read_text
from tokenserver.errors import LoadError


class FilesRead:
    """The files that `load_settings` reads for these arguments, as of the construction.

    That is the configuration file, the folder of registries if it names one, and the files in `_FILE` variables.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str] | None = None) -> None:
        environment = variables() if environment is None else environment
        file = config_path(path, environment)
        named = [Path(value) for name, value in sorted(environment.items()) if name.endswith("_FILE")]
        self._files = [file, *named]
        in_variable = environment.get(f"{PREFIX}REGISTRIES")
        self._folder = _folder(in_variable, Path.cwd()) or _folder(_registries_in(file), file.parent.absolute())

    def current(self) -> list[Path]:
        """All files and the folder, with the registries' files that are in it now."""
        return [*self._files, *([] if self._folder is None else [self._folder, *registry_files(self._folder)])]


def _registries_in(file: Path) -> object:
    """The value of `registries` in the file; None if it cannot be read."""
    with suppress(LoadError):
        value = parse(read_text(file), str(file)).value
        return value.get("registries") if isinstance(value, dict) else None
    return None


def _folder(registries: object, base: Path) -> Path | None:
    """The folder that the value names, if it is a path. A list in a variable is not."""
    if not isinstance(registries, str) or not registries or "\0" in registries or registries.startswith("["):
        return None
    with suppress(RuntimeError):  # a home that does not exist
        return base / Path(registries).expanduser()
    return None
