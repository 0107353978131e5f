"""Reader of one policy document: wrong types, empty values and unknown keys become faults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from tokenserver.documents.document import Document, Path
from tokenserver.documents.hints import nearest
from tokenserver.errors import Fault, TokenserverError, is_full, note

_Term = TypeVar("_Term")

_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}


@dataclass(slots=True)
class Reader:
    """One document and the faults found in it so far. Every method takes a value with its place."""

    document: Document
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, message: str) -> None:
        """Record a fault at `path`; if a file has very many, the rest is only counted."""
        fault = Fault(self.document.file, 0, "", "") if is_full(self.faults) else self.document.fault(path, message)
        note(self.faults, fault)

    def mapping(
        self,
        value: Any,
        path: Path,
        known: Collection[str] | None = None,
        hints: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """The known entries of a mapping that must not be empty; `known` None allows any key.

        `hints` say what to do about unknown keys that are likely.
        """
        if not isinstance(value, dict):
            self.fault(path, f"must be a mapping (key: value), not {kind_of(value)}")
            return {}
        if not value:
            self.fault(path, "is empty: leave the key out, or fill it")
        if known is None:
            return value
        for key in value:
            if key not in known:
                hint = hints.get(key) or ("" if is_full(self.faults) else nearest(key, known))  # `nearest` is slow
                if value[key] is None:
                    hint += "; if it belongs to the value before it, write a list there: [a, b]"
                self.fault((*path, key), f"unknown key; {hint}")
        return {key: entry for key, entry in value.items() if key in known}

    def items(self, value: Any, path: Path, *, may_be_empty: bool = False) -> list[tuple[Path, Any]]:
        """The items of a list, each with its place. An empty list is a fault: it could be taken for everything."""
        if not isinstance(value, list):
            hint = f"; fix: write {json.dumps(re.split(' *, *', value))}" if isinstance(value, str) else ""
            self.fault(path, f"must be a list, not {kind_of(value)}{hint}")
            return []
        if not value and not may_be_empty:
            self.fault(path, "is an empty list: leave the key out, or fill it")
        return [((*path, index), item) for index, item in enumerate(value)]

    def text(self, value: Any, path: Path) -> str | None:
        """Text, or None after a fault."""
        if isinstance(value, str):
            return value
        hint = "; quote it if text is meant" if isinstance(value, (bool, int, float)) else ""
        if isinstance(value, dict) and list(map(type, value.values())) == [str]:
            hint = "; fix: quote it: " + json.dumps(":".join([*value, *value.values()]))
        self.fault(path, f"must be text, not {kind_of(value)}{hint}")
        return None

    def line(self, value: Any, path: Path, most: int) -> str | None:
        """One line for people to read, of at most `most` characters; None after a fault."""
        text = self.text(value, path)
        if text is None or (0 < len(text) <= most and text.isprintable() and not text.isspace()):
            return text
        self.fault(path, f"must be one line of 1 to {most} printable characters")
        return None

    def term(self, value: Any, path: Path, parse: Callable[[str], _Term]) -> _Term | None:
        """Text as parsed by `parse`, or None after a fault with the message of `parse`."""
        text = self.text(value, path)
        if text is None:
            return None
        try:
            return parse(text)
        except TokenserverError as error:
            self.fault(path, str(error))
            return None

    def terms(
        self, value: Any, path: Path, parse: Callable[[str], _Term], *, or_one: bool = False, may_be_empty: bool = False
    ) -> list[_Term]:
        """A list of parsed texts; with `or_one`, a single text is a list of one."""
        if or_one and isinstance(value, str):
            items = [(path, value)]
        else:
            items = self.items(value, path, may_be_empty=may_be_empty)
        terms = (self.term(item, place, parse) for place, item in items)
        return [term for term in terms if term is not None]


def one_of(words: Collection[str], what: str) -> Callable[[str], str]:
    """A parser that accepts one of `words` and suggests the nearest for any other."""

    def parse(text: str) -> str:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > 1 and all(part in words for part in parts):
            raise ChoiceError(f"{text!r} is one text; fix: write each {what} as an item of its own: {', '.join(parts)}")
        if text not in words:
            raise ChoiceError(f"unknown {what} {text!r}; {nearest(text, words)}")
        return text

    return parse


class ChoiceError(TokenserverError):
    """A word that is not among the allowed ones."""


def kind_of(value: Any) -> str:
    """The name of a YAML value's type in a fault."""
    return "nothing" if value is None else _KINDS[type(value)]
