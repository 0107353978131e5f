"""Reads the bodies of API requests: JSON of a known shape, with everything that is wrong in it by its place."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.web.api.faults import BadRequest, RequestFault
from tokenserver.web.parameters import UnsupportedMediaType

JSON = "application/json"

_UNKNOWN = "extra_forbidden"


def read_body(model: type[BaseModel], content: bytes, media_type: str) -> BaseModel:
    """The body as this model.

    A browser sends this type to another site only after it has asked there, which is always refused (no CORS).

    Raises:
        UnsupportedMediaType: it is not announced as JSON.
        BadRequest: all that is wrong with it; nothing of it is repeated.
    """
    if media_type != JSON:
        raise UnsupportedMediaType(f"the body must be {JSON}")
    try:
        value = read_object(content)
    except InvalidJson as error:
        raise BadRequest.at("body", str(error)) from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise BadRequest([RequestFault(_place(fault["loc"]), _text(fault)) for fault in found]) from None


def _place(location: tuple[int | str, ...]) -> str:
    return "body" + "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in location)


def _text(fault: Any) -> str:
    return "is not known here" if fault["type"] == _UNKNOWN else str(fault["msg"])
