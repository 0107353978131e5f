"""Reads documents of JSON that another program exported: typed members, each fault with its place. Pure.

Members that are not asked for are ignored, since an API may add some. Those that are and have another type are faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import Fault, LoadError, is_full, note

MAX_EXPORT = 128 * 1024 * 1024
"""Limit for the bytes of an export."""


class ExportReader:
    """One document, and the faults that were found in it so far."""

    def __init__(self, content: bytes, file: str) -> None:
        """Read the document.

        Raises:
            LoadError: it is no JSON object, or one that parsers read differently.
        """
        self._file = file
        self._faults: list[Fault] = []
        try:
            self.whole: dict[str, Any] = read_object(content)
        except InvalidJson as error:
            raise LoadError([Fault(file, 0, "", f"{error}; fix: export it again")]) from None

    def require_no_faults(self) -> None:
        """Raise all faults that were found.

        Raises:
            LoadError: there are some.
        """
        if self._faults:
            raise LoadError(self._faults)

    def fault(self, path: str, message: str) -> None:
        """Record a fault at `path`, such as `projects[3].name`; of very many the rest is only counted."""
        note(self._faults, Fault(self._file, 0, "" if is_full(self._faults) else path, message))

    def place(self, path: str) -> str:
        """A place of the document for a report."""
        return f"{self._file}: {path}"

    def objects(self, value: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
        """The objects of a list, each with its place; None is an empty list."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(path, "must be a list of objects")
            return []
        found = []
        for index, one in enumerate(value):
            if isinstance(one, dict):
                found.append((f"{path}[{index}]", one))
            else:
                self.fault(f"{path}[{index}]", "must be an object")
        return found

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        """The object; None is an empty one."""
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(path, "must be an object")
        return {}

    def texts(self, value: Any, path: str) -> list[str]:
        """A list of texts; None is an empty one."""
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value
        self.fault(path, "must be a list of texts")
        return []

    def text(self, entry: Mapping[str, Any], key: str, path: str) -> str:
        """A text that must be there and not be empty; empty after a fault."""
        value = entry.get(key)
        if isinstance(value, str) and value:
            return value
        self.fault(f"{path}.{key}", "must be text, which is missing" if value in (None, "") else "must be text")
        return ""

    def optional_text(self, entry: Mapping[str, Any], key: str, path: str) -> str:
        """A text, empty if it is absent or null."""
        return self.text(entry, key, path) if entry.get(key) not in (None, "") else ""

    def number(self, entry: Mapping[str, Any], key: str, path: str) -> int:
        """A whole number that must be there; 0 after a fault."""
        value = entry.get(key)
        if type(value) is int:
            return value
        self.fault(f"{path}.{key}", "must be a whole number" + (", which is missing" if value is None else ""))
        return 0

    def flag(self, entry: Mapping[str, Any], key: str, path: str) -> bool:
        """A boolean; absent and null are false."""
        value = entry.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(f"{path}.{key}", "must be true or false")
        return False
