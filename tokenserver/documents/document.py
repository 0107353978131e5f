"""Strict YAML documents: a parsed file with the line of each place, and its validation against a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from tokenserver.documents.hints import nearest
from tokenserver.documents.strict_yaml import Path, Step, read_yaml, spell
from tokenserver.errors import Fault, LinkedText, LoadError, is_full, note, redacted

__all__ = ["Document", "Path", "PlacedError", "Step", "parse", "spell", "validate", "validation_faults"]

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file: its plain value, and the line of each place in it.

    `origin` is the file that a link led to (`errors.LinkedText`); faults do not show its content.
    """

    file: str
    value: Any
    lines: Mapping[Path, int]
    origin: str | None = None

    def line(self, path: Iterable[Step]) -> int:
        """The line of `path`, or of its nearest ancestor in the file."""
        place = tuple(path)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, path: Iterable[Step], message: str) -> Fault:
        """A fault at `path` of this document."""
        place = tuple(path)
        fault = Fault(self.file, self.line(place), spell(place), message)
        return fault if self.origin is None else redacted(fault, self.origin)


class PlacedError(ValueError):
    """Raised by a model's validator about a place below the model; `path` is relative to the model."""

    def __init__(self, path: Path, message: str) -> None:
        self.path = path
        super().__init__(message)


def parse(text: str, file: str) -> Document:
    """Parse one strict YAML document; an empty one has the value None.

    Raises:
        LoadError: all faults that could be found; after a syntax error just that one.
    """
    origin = text.target if isinstance(text, LinkedText) else None
    try:
        value, lines = read_yaml(str(text), file)  # the parser accepts no subclass of str
    except LoadError as error:
        if origin is None:
            raise
        raise LoadError(redacted(fault, origin) for fault in error.faults) from None
    return Document(file, value, lines, origin)


def validate(document: Document, model: type[_Model]) -> _Model:
    """The document as `model`, which should forbid extra keys and be strict.

    Raises:
        LoadError: every fault that the model finds, each with its line; a misspelt key with the nearest known one.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise LoadError(validation_faults(document, model, error)) from error


def validation_faults(document: Document, model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Pydantic's errors as faults with lines, in the terms of the file."""
    faults: list[Fault] = []
    for item in error.errors(include_url=False):
        if is_full(faults):  # a fault that is only counted needs no text
            note(faults, Fault(document.file, 0, "", ""))
            continue
        below = getattr(item.get("ctx", {}).get("error"), "path", ())
        place = (*_place_in(document, item["loc"]), *below)
        note(faults, document.fault(place, _message(model, item)))
    return faults


def _place_in(document: Document, location: tuple[Step, ...]) -> Path:
    """Pydantic's location without the names of union branches, which are not in the file."""
    place: Path = ()
    value = document.value
    for position, step in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(value, dict) and isinstance(step, str):
            if step in value:
                place, value = (*place, step), value[step]
            elif is_last:
                place = (*place, step)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            place, value = (*place, step), value[step]
    return place


def _message(model: type[BaseModel], item: Any) -> str:
    kind = item["type"]
    location = item["loc"]
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(location[-1]), _fields_at(model, location[:-1]))}"
    if kind == "missing":
        return "is missing"
    if kind == "string_type":
        hint = "" if isinstance(item["input"], (list, dict)) else "; quote it if text is meant"
        return f"must be text, not {_kind_of(item['input'])}{hint}"
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "is_instance_of":
        return f"must be a {item['ctx']['class'].lower()}, not {_kind_of(item['input'])}"
    if kind == "bool_type":
        return f"must be true or false, not {item['input']!r}"
    if kind == "literal_error":
        return f"must be one of {item['ctx']['expected']}, not {item['input']!r}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"must be a mapping (key: value), not {_kind_of(item['input'])}"
    if kind in ("list_type", "tuple_type"):
        return f"must be a list, not {_kind_of(item['input'])}"
    message: str = item["msg"]
    return message[:1].lower() + message[1:]


def _fields_at(model: type[BaseModel], location: tuple[Step, ...]) -> list[str]:
    """The keys that are allowed at `location`, according to the model's annotations."""
    candidates: list[type[BaseModel]] = [model]
    for step in location:
        if not isinstance(step, str):
            continue
        following = []
        for candidate in candidates:
            for name, field in candidate.model_fields.items():
                if step in (name, field.alias):
                    following.extend(_models_in(field.annotation))
        # A step that is not a field is the name of a union branch or the key of a free mapping.
        candidates = following or candidates
    return [field.alias or name for candidate in candidates for name, field in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _kind_of(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
