"""Settings as plain values, for the other processes of a server: they must have these, not what a file says by then.

The values contain secrets. They are only for memory that no other program can read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret

PlainSettings = dict[str, Any]
"""The settings as YAML would have them, without the keys that have their default."""


def plain(settings: Settings) -> PlainSettings:
    """The settings as plain values; paths are absolute, and secrets are revealed."""
    found: PlainSettings = json.loads(json.dumps(settings.model_dump(exclude_unset=True), default=_plain_value))
    return found


def validated(values: PlainSettings) -> Settings:
    """The settings of plain values.

    Raises:
        ValidationError: of pydantic, if their combination is impossible.
    """
    return Settings.model_validate(values, context={"base": Path("/")})


def _plain_value(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)
