"""Introspection of the settings' types: which keys exist, which of them are paths, and shorthands for sections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from tokenserver.config.fields import Section

Path_ = tuple[str | int, ...]


def spell_variable(path: Path_) -> str:
    """The name of the environment variable for a path, without the prefix."""
    return "_".join(str(step) for step in path).upper()


def paths(model: type[BaseModel], prefix: Path_ = ()) -> Iterator[Path_]:
    for name, field in model.model_fields.items():
        path = (*prefix, name)
        yield path
        step = (0,) if is_list(field.annotation) else ()
        for inner in models(field.annotation):
            yield from paths(inner, (*path, *step))


def models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]


def is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is tuple


def shorthand(annotation: Any) -> str | None:
    """The key of a section that a plain string sets; None if the section has no such shorthand."""
    found = [kind for kind in kinds(annotation) if isinstance(kind, type) and issubclass(kind, Section)]
    return found[0].shorthand if len(found) == 1 else None


def expand_shorthand(value: Any, annotation: Any) -> Any:
    """A plain string that is short for a section, as that section."""
    key = shorthand(annotation)
    return {key: value} if key is not None and isinstance(value, str) else value


def from_working_folder(value: Any, annotation: Any) -> Any:
    """`value` with every path in it resolved against the working folder, according to the annotation."""
    if Path in kinds(annotation) and isinstance(value, str) and value and not value.startswith("~"):
        if "://" in value and str in kinds(annotation):
            return value
        return str(Path(value).absolute())
    if isinstance(value, list) and is_list(annotation):
        return [from_working_folder(item, get_args(annotation)[0]) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {name: field for model in models(annotation) for name, field in model.model_fields.items()}
    return {
        key: from_working_folder(item, fields[key].annotation) if key in fields else item for key, item in value.items()
    }


def kinds(annotation: Any) -> set[Any]:
    """The plain types of an annotation: those of `Annotated[Path, …] | None` are Path and None."""
    if get_origin(annotation) is Annotated:
        return kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in kinds(part)}
    return {annotation}
