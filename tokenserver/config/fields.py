"""Strict field types of the settings: durations, names, paths, URLs, addresses and networks."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from tokenserver.documents.urls import checked_origin, checked_url, with_plain_path
from tokenserver.runtime.durations import PATTERN as DURATION_PATTERN
from tokenserver.runtime.durations import parse_duration
from tokenserver.scopes import MAX_LIFETIME, MIN_LIFETIME

MAX_TOKEN_REUSE = 10
"""Seconds for which one signed token may be reused."""

Network = IPv4Network | IPv6Network

_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


def _duration(value: Any) -> Any:
    """Seconds from `90s`, `15m`, `1h`, `30d`, or a plain number of seconds."""
    if isinstance(value, str):
        seconds = parse_duration(value)
        if seconds is None:
            raise ValueError(f"must be a duration such as 90s, 15m or 1h, not {value!r}")
        return seconds
    return value


def _token_reuse(seconds: int) -> int:
    if not 0 <= seconds <= MAX_TOKEN_REUSE:
        raise ValueError(f"must be from 0s (no reuse) to {MAX_TOKEN_REUSE}s, not {seconds}s")
    return seconds


def _lifetime(seconds: int) -> int:
    if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
        raise ValueError(
            f"must be from 60s to 1h, not {seconds}s: clients take less for 60 s, and tokens cannot be revoked"
        )
    return seconds


def _name_text(value: str) -> str:
    """Text that is safe in a quoted string of a header and in a token: printable ASCII without quotes."""
    if not value or len(value) > 255 or re.fullmatch(r"[ -~]+", value) is None or '"' in value or "\\" in value:
        raise ValueError("must be 1 to 255 printable ASCII characters without quotes and backslashes")
    if value != value.strip():
        raise ValueError("must not begin or end with a blank")
    return value


def as_path(value: Any, info: ValidationInfo) -> Any:
    """An absolute path; a relative one is relative to the file that contains it."""
    if not isinstance(value, (str, Path)):
        return value
    if not str(value) or "\0" in str(value):
        raise ValueError("must be a path")
    base = (info.context or {}).get("base", Path())
    try:
        return Path(base) / Path(value).expanduser()
    except RuntimeError as error:  # what expanduser raises for a user that does not exist
        raise ValueError(f"there is no home folder for {Path(value).parts[0]!r}") from error


def _listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or re.fullmatch(r"[0-9]{1,5}", port) is None or not 0 < int(port) < 65536:
        raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:5001 or [::]:5001")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"must begin with an IP address, not {host!r}; 0.0.0.0 listens everywhere") from None
    return value


def _network(value: Any) -> Any:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a network such as 10.0.0.0/8")  # noqa: TRY004 - pydantic takes a ValueError
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        right = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"must be a network such as 10.0.0.0/8, not {value!r}") from None
    raise ValueError(f"{value!r} has host bits set; the network is {right}")


def _source_name(value: str) -> str:
    if _SOURCE_NAME.fullmatch(value) is None:
        raise ValueError("must be lower-case letters, digits, '.', '_' and '-', at most 64")
    return value


_DURATION = WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "integer"}]})

Seconds = Annotated[int, BeforeValidator(_duration), _DURATION]
TokenReuse = Annotated[Seconds, AfterValidator(_token_reuse)]
Lifetime = Annotated[Seconds, AfterValidator(_lifetime)]
NameText = Annotated[str, AfterValidator(_name_text)]
FilePath = Annotated[Path, BeforeValidator(as_path)]
Url = Annotated[str, AfterValidator(checked_url)]
PublicUrl = Annotated[str, AfterValidator(checked_url), AfterValidator(with_plain_path)]
Origin = Annotated[str, AfterValidator(checked_origin)]
Listen = Annotated[str, AfterValidator(_listen)]
NetworkText = Annotated[Network, BeforeValidator(_network)]
SourceName = Annotated[str, AfterValidator(_source_name)]


class Section(BaseModel):
    """A section of the configuration: frozen, strict about types, without unknown keys.

    With a `shorthand`, a plain string is short for a section that sets only the key of that name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        if cls.shorthand is None or not isinstance(value, (str, Path)):
            return value
        return {cls.shorthand: value}
