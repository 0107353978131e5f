"""YAML as other programs read it: text to a tree of nodes with lines, without a judgement on what a scalar means.

Anchors, aliases, tags and repeated keys are kept. An alias refers to the node of its anchor and is never copied, so
that a text costs no more than its length; a reader that follows aliases must bound its own work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml

from tokenserver.documents.yaml_hints import beginners_hint
from tokenserver.errors import Fault, LoadError

MAX_NESTING = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NodeKind(Enum):
    """What a node is."""

    SCALAR = "scalar"
    LIST = "list"
    MAPPING = "mapping"
    ALIAS = "alias"


@dataclass(slots=True, eq=False)
class YamlNode:
    """A node of a document. Lines count from 1. Nodes are compared by identity.

    `tag` is the tag as written, with its prefix resolved; empty without one. `plain` says that a scalar is not quoted
    and has no tag, so that its text decides its type. `children` are the items of a list; those of a mapping are its
    keys and values, alternately. `target` is what an alias stands for.
    """

    kind: NodeKind
    line: int
    tag: str = ""
    text: str = ""
    plain: bool = False
    children: list[YamlNode] = field(default_factory=list, repr=False)
    target: YamlNode | None = field(default=None, repr=False)


def read_nodes(text: str, file: str) -> YamlNode | None:
    """The first document of a text; None if there is none. What follows it is not read, as libyaml's users do.

    Raises:
        LoadError: the text is not valid YAML, an alias has no anchor, or the nesting is too deep.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LoadError([Fault(file, text.count("\n", 0, error.start) + 1, "", "is not UTF-8 text")]) from error
    at = text.find("\ufeff", 1)
    if at > 0:  # parsers disagree about what it is
        line = text.count("\n", 0, at) + 1
        raise LoadError([Fault(file, line, "", "has a byte order mark inside; fix: remove the invisible character")])
    loader = None
    try:
        loader = _Loader(text)
        return _Composer(loader, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = f"{error.problem or error.context}{beginners_hint(text, line)}"
        raise LoadError([Fault(file, line, "", f"is not valid YAML: {problem}")]) from error
    except (yaml.YAMLError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise LoadError([Fault(file, 0, "", f"is not valid YAML: {problem}")]) from error
    finally:
        if loader is not None:
            loader.dispose()


class _Composer:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader, self._file = loader, file
        self._anchors: dict[str, YamlNode] = {}
        self._level = 0

    def document(self) -> YamlNode | None:
        self._loader.get_event()  # the start of the stream
        if type(self._loader.get_event()) is not yaml.DocumentStartEvent:
            return None
        root = self._node(self._loader.get_event())
        self._loader.get_event()  # the end of the document: anything else there is a syntax error
        return root

    def _node(self, event: Any) -> YamlNode:
        line = event.start_mark.line + 1
        if type(event) is yaml.AliasEvent:
            name = str(event.anchor)
            if name not in self._anchors:
                raise LoadError([Fault(self._file, line, "", f"the alias *{name} has no anchor before it")])
            return YamlNode(NodeKind.ALIAS, line, text=name, target=self._anchors[name])
        tag = event.tag or ""
        if type(event) is yaml.ScalarEvent:
            node = YamlNode(NodeKind.SCALAR, line, tag, event.value, bool(event.implicit[0]))
            if event.anchor is not None:
                self._anchors[event.anchor] = node
            return node
        is_list = type(event) is yaml.SequenceStartEvent
        node = YamlNode(NodeKind.LIST if is_list else NodeKind.MAPPING, line, tag)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._fill(node, yaml.SequenceEndEvent if is_list else yaml.MappingEndEvent)
        return node

    def _fill(self, node: YamlNode, end: type) -> None:
        self._level += 1
        if self._level > MAX_NESTING:
            raise LoadError([Fault(self._file, node.line, "", f"is nested deeper than {MAX_NESTING} levels")])
        while type(event := self._loader.get_event()) is not end:
            node.children.append(self._node(event))
        self._level -= 1
