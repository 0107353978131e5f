"""Strict YAML parser: text to plain values and line numbers, in one pass over the parser's events.

Scalars follow the YAML 1.2 core schema (`no` is text, `true` is a boolean). Duplicate keys, aliases, tags, a second
document and deep nesting are errors. Every fault is reported, each with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from tokenserver.documents.yaml_hints import beginners_hint
from tokenserver.errors import Fault, LoadError, note

MAX_DEPTH = 24

_SHALLOW = 2  # `allow[3]`: the depth at which a loaded rule keeps its line

QUOTED_STYLES = {"'", '"', "|", ">"}

Step = str | int
Path = tuple[Step, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", re.ASCII)
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def spell(path: Iterable[Step]) -> str:
    """A path in its usual notation: `registries[0].compat`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_yaml(text: str, file: str) -> tuple[Any, Mapping[Path, int]]:
    """The value of one strict YAML document (None if it is empty), and the line of each place in it.

    Raises:
        LoadError: all faults that could be found; after a syntax error just that one.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise LoadError([Fault(file, line, "", "is not UTF-8 text")]) from error
    shallow = _read(text, file, _SHALLOW)
    if shallow.refused:
        raise LoadError(shallow.refused)
    if shallow.repeated:
        raise LoadError(_read(text, file, MAX_DEPTH).repeated)
    return shallow.value, _Lines(text, file, shallow.lines)


class _Lines(Mapping[Path, int]):
    """The line of every place. Lines of deep places are computed on first use, since they are rarely needed.

    A tree of many thousand rules would otherwise keep a million of them in memory.
    """

    def __init__(self, text: str, file: str, shallow: Mapping[Path, int]) -> None:
        self._text, self._file, self._shallow = text, file, shallow
        self._all: Mapping[Path, int] | None = None

    def __getitem__(self, place: Path) -> int:
        return (self._shallow if len(place) <= _SHALLOW else self._whole())[place]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> Mapping[Path, int]:
        if self._all is None:
            self._all = _read(self._text, self._file, MAX_DEPTH).lines
        return self._all


def _read(text: str, file: str, depth: int) -> _Reading:
    """Read the text once, with the lines of its places down to `depth` steps."""
    loader = None
    try:
        loader = _Loader(text)
        reading = _Reading(loader, file, depth)
        reading.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = f"{error.problem or error.context}{beginners_hint(text, line)}"
        raise LoadError([Fault(file, line, "", f"is not valid YAML: {problem}")]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LoadError([Fault(file, 0, "", f"is not valid YAML: {_first_line(error)}")]) from error
    finally:
        if loader is not None:
            loader.dispose()
    return reading


class _Reading:
    """One pass over the events of a text: its value, the line of each place, rejected constructs and repeated keys.

    Constructs are rejected on the event itself, so that neither an alias bomb nor deep nesting costs anything. Places
    deeper than `depth` steps count as their ancestor at that depth.
    """

    def __init__(self, loader: Any, file: str, depth: int) -> None:
        self._loader = loader
        self._file, self._depth, self._level = file, depth, 0
        self.value: Any = None
        self.lines: dict[Path, int] = {}
        self.refused: list[Fault] = []
        self.repeated: list[Fault] = []

    def document(self) -> None:
        """Read the text up to a second document.

        Raises:
            LoadError: the nesting is too deep; with the faults found before that.
        """
        documents = 0
        while self._loader.check_event():
            event = self._loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a file must contain only one YAML document")
                    return
            elif isinstance(event, yaml.NodeEvent):
                self._begin(event)

    def _begin(self, event: Any) -> None:
        self.lines[()] = event.start_mark.line + 1
        self.value = self._node(event, ())

    def _refuse(self, event: Any, message: str) -> None:
        note(self.refused, Fault(self._file, event.start_mark.line + 1, "", message))

    def _check(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            message = "aliases (*name) are not allowed: write the value out, or quote it if text is meant"
            self._refuse(event, message)
            return
        if event.anchor is not None:
            self._refuse(event, "anchors (&name) are not allowed")
        if event.tag is not None and event.tag != "!":
            self._refuse(event, "tags (!name) are not allowed: quote it if text is meant")

    def _node(self, event: Any, path: Path) -> Any:
        """The value that starts with `event`, at `path`."""
        self._check(event)
        if type(event) is yaml.ScalarEvent:
            return event.value if event.style in QUOTED_STYLES else _plain_scalar(event.value)
        if isinstance(event, yaml.AliasEvent):
            return None
        self._level += 1
        if self._level > MAX_DEPTH:
            self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels")
            raise LoadError(self.refused)
        is_list = type(event) is yaml.SequenceStartEvent
        value = self._list(path) if is_list else self._mapping(path)
        self._level -= 1
        return value

    def _place(self, path: Path, step: Step, line: int) -> Path:
        if len(path) >= self._depth:
            return path
        place = (*path, step)
        self.lines[place] = line
        return place

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while type(event := self._loader.get_event()) is not yaml.SequenceEndEvent:
            items.append(self._node(event, self._place(path, len(items), event.start_mark.line + 1)))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while type(event := self._loader.get_event()) is not yaml.MappingEndEvent:
            line = event.start_mark.line + 1
            if type(event) is not yaml.ScalarEvent:
                self._node(event, path)
                self._repeat(line, path, "a key must be plain text")
                continue
            self._check(event)
            key = event.value
            if key in lines:
                self._repeat(line, (*path, key), f"the key is already set on line {lines[key]}")
                continue
            lines[key] = line
            mapping[key] = self._node(self._loader.get_event(), self._place(path, key, line))
        return mapping

    def _repeat(self, line: int, path: Path, message: str) -> None:
        """Note a fault of a key, and skip its value."""
        note(self.repeated, Fault(self._file, line, spell(path), message))
        noted, last = len(self.repeated), self.repeated[-1]
        self._node(self._loader.get_event(), path)
        self.repeated[noted - 1 :] = [last]


def _plain_scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text in _NULLS:
        return None
    if len(text) <= 18 and _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
