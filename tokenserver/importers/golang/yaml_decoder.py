"""Decoding of YAML into Go's types by gopkg.in/yaml.v2, without its strict mode.

Unknown keys are ignored, and collected here. A repeated key of a structure or a pointer decodes on top of what is
there, one of a list replaces it; `<<` merges where it is, over the keys before it. Every value of a wrong type is a
fault, and the program does not start.
"""

from __future__ import annotations

import math
from typing import Any

from tokenserver.documents.strict_yaml import Step, spell
from tokenserver.documents.yaml_nodes import MAX_NESTING, NodeKind, YamlNode
from tokenserver.errors import Fault, LoadError, note
from tokenserver.importers.golang.durations import parse_duration
from tokenserver.importers.golang.yaml_scalars import BadScalar, is_early_null, is_merge, resolve
from tokenserver.importers.golang.yaml_types import (
    DecodedStruct,
    GoAnything,
    GoBoolean,
    GoInteger,
    GoList,
    GoPointer,
    GoStruct,
    GoTable,
    GoText,
    GoType,
    zero,
)

_FEW, _MANY = 400_000, 4_000_000
"""Decoded values up to which aliases may make up 99 %, and from which 10 %."""


def decode(root: YamlNode | None, kind: GoStruct, file: str) -> tuple[DecodedStruct, list[tuple[str, int]]]:
    """The structure that a document becomes, and its ignored keys with their paths and lines.

    Raises:
        LoadError: values of wrong types, each a fault; or merges and aliases that the decoder rejects.
    """
    decoder = _Decoder(file)
    value = zero(kind)
    if root is not None:
        value, _ = decoder.decode(root, kind, value)
    if decoder.faults:
        raise LoadError(decoder.faults)
    return value, decoder.ignored


class _Decoder:
    """One run over a document, with the counters against excessive aliasing."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.faults: list[Fault] = []
        self.ignored: list[tuple[str, int]] = []
        self._path: list[Step] = []
        self._decoded, self._aliased, self._depth = 1, 0, 0  # Go counts the document itself
        self._level = 0
        self._followed: set[int] = set()

    def decode(self, node: YamlNode, kind: GoType, current: Any) -> tuple[Any, bool]:
        """The value of a node on top of the current one, and whether its type fits."""
        if self._level >= MAX_NESTING:  # by aliases in aliases
            raise self._fatal(node, f"is nested deeper than {MAX_NESTING} levels")
        self._level += 1
        result = self._decode(node, kind, current)
        self._level -= 1
        return result

    def _decode(self, node: YamlNode, kind: GoType, current: Any) -> tuple[Any, bool]:
        self._count(node)
        if node.kind is NodeKind.ALIAS:
            return self._follow(node, kind, current)
        if type(kind) is GoPointer:
            if is_early_null(node):
                return self._null(node, kind)
            kind = kind.to
            current = zero(kind) if current is None else current
        if node.kind is NodeKind.SCALAR:
            return self._scalar(node, kind)
        if node.kind is NodeKind.LIST:
            return self._list(node, kind)
        return self._mapping(node, kind, current)

    def _count(self, node: YamlNode) -> None:
        self._decoded += 1
        if self._depth:
            self._aliased += 1
            if self._aliased > 100 and self._decoded > 1000 and self._aliased / self._decoded > self._allowed():
                raise self._fatal(node, "aliases (*name) repeat too much")

    def _allowed(self) -> float:
        share = (min(max(self._decoded, _FEW), _MANY) - _FEW) / (_MANY - _FEW)
        return 0.99 - 0.89 * share

    def _fatal(self, node: YamlNode, problem: str) -> LoadError:
        return LoadError([*self.faults, Fault(self._file, node.line, spell(self._path), problem)])

    def _wrong(self, node: YamlNode, expected: str) -> tuple[None, bool]:
        found = {NodeKind.LIST: "a list", NodeKind.MAPPING: "a mapping"}.get(node.kind, "another value")
        note(self.faults, Fault(self._file, node.line, spell(self._path), f"must be {expected}, not {found}"))
        return None, False

    def _follow(self, node: YamlNode, kind: GoType, current: Any) -> tuple[Any, bool]:
        if id(node) in self._followed:
            raise self._fatal(node, f"the anchor &{node.text} contains an alias of itself")
        self._followed.add(id(node))
        self._depth += 1
        target = node.target
        assert target is not None  # noqa: S101 - every alias has one
        result = self.decode(target, kind, current)
        self._depth -= 1
        self._followed.discard(id(node))
        return result

    def _null(self, node: YamlNode, pointer: GoPointer) -> tuple[Any, bool]:
        if self._resolved(node) is None:
            return None, True
        # A quoted "null" or "~": only the type itself can be pointed to.
        if type(pointer.to) is GoText and not pointer.to.named:
            return node.text, True
        return self._wrong(node, _expected(pointer.to))

    def _resolved(self, node: YamlNode) -> Any:
        try:
            return resolve(node)
        except BadScalar as error:
            raise self._fatal(node, str(error)) from error

    def _scalar(self, node: YamlNode, kind: GoType) -> tuple[Any, bool]:
        if type(kind) is GoText and node.plain is False and not node.tag:
            return node.text, True
        value = self._resolved(node)
        if value is None:
            return zero(kind), True
        match kind:
            case GoText():
                return (value if node.tag.endswith("binary") else node.text), True
            case GoInteger(duration):
                number = _integer(value, duration)
                return self._wrong(node, _expected(kind)) if number is None else (number, True)
            case GoBoolean() if isinstance(value, bool):
                return value, True
            case GoAnything():
                return value, True
            case _:
                return self._wrong(node, _expected(kind))

    def _list(self, node: YamlNode, kind: GoType) -> tuple[Any, bool]:
        if type(kind) is GoAnything:
            kind = GoList(kind)
        if type(kind) is not GoList:
            return self._wrong(node, _expected(kind))
        items = []
        for index, child in enumerate(node.children):
            self._path.append(index)
            value, good = self.decode(child, kind.item, zero(kind.item))
            self._path.pop()
            if good:
                items.append(value)
        return items, True

    def _mapping(self, node: YamlNode, kind: GoType, current: Any) -> tuple[Any, bool]:
        if type(kind) is GoStruct:
            if not current.line:
                current.line = node.line
            self._struct(node, kind, current)
            return current, True
        if type(kind) is GoAnything:
            table: dict[str, tuple[int, Any]] = {}
            self._table(node, GoTable(kind), table)
            return {key: value for key, (_, value) in table.items()}, True
        if type(kind) is not GoTable:
            return self._wrong(node, _expected(kind))
        table = {} if current is None else current
        self._table(node, kind, table)
        return table, True

    def _struct(self, node: YamlNode, kind: GoStruct, out: DecodedStruct) -> None:
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            if is_merge(key):
                self._merge(value, kind, out)
                continue
            name, good = self.decode(key, GoText(), "")
            if not good:
                continue
            self._path.append(name)
            if name in kind.fields:
                decoded, good = self.decode(value, kind.fields[name], out.values[name])
                if good:
                    out.values[name], out.lines[name] = decoded, key.line
            else:
                self.ignored.append((spell(self._path), key.line))
                out.ignored.append((name, key.line))
            self._path.pop()

    def _table(self, node: YamlNode, kind: GoTable, out: dict[str, tuple[int, Any]]) -> None:
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            if is_merge(key):
                self._merge(value, kind, out)
                continue
            name, good = self.decode(key, GoText(), "")
            if not good:
                continue
            self._path.append(name)
            item, good = self.decode(value, kind.item, zero(kind.item))
            self._path.pop()
            if good:
                out[name] = (key.line, item)

    def _merge(self, node: YamlNode, kind: GoStruct | GoTable, out: Any) -> None:
        # The items of a list in reverse, so that the earlier ones win.
        merged = node.children[::-1] if node.kind is NodeKind.LIST else [node]
        for each in merged:
            source = each.target if each.kind is NodeKind.ALIAS else each
            if source is None or source.kind is not NodeKind.MAPPING:
                raise self._fatal(each, "must be a mapping, or a list of mappings, to be merged by <<")
            self.decode(each, kind, out)


def _integer(value: Any, duration: bool) -> int | None:
    if isinstance(value, str):
        return parse_duration(value) if duration else None
    if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        return None
    return int(value) if -(2**63) <= value < 2**63 else None


def _expected(kind: GoType) -> str:
    match kind:
        case GoText():
            return "text"
        case GoInteger(duration):
            return "a duration such as 30s" if duration else "an integer"
        case GoBoolean():
            return "true or false"
        case GoList():
            return "a list"
        case _:
            return "a mapping"
