"""Settings of the storage: a file (SQLite), or the URL of a PostgreSQL database that replicas share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, model_validator

from tokenserver.config.fields import FilePath, Seconds, Section, as_path
from tokenserver.documents.document import PlacedError

USUAL_FILE = "state/tokenserver.db"
"""Where `tokenserver init` puts the storage, relative to the configuration."""

DEFAULT_GRACE, MAX_GRACE = 900, 86400

_EXAMPLE = "postgresql://tokenserver@db.example.com/tokenserver"


def _place(value: Any, info: ValidationInfo) -> Any:
    """A `Path` for SQLite, text for PostgreSQL."""
    if not isinstance(value, str) or "://" not in value:
        return as_path(value, info)
    if value.startswith("sqlite:"):
        raise ValueError(f"is a URL of SQLite; write the path alone, such as {USUAL_FILE}")
    if not value.startswith("postgresql://"):
        raise ValueError(f"must be a path such as {USUAL_FILE}, or a URL such as {_EXAMPLE}")
    try:
        parts = urlsplit(value)
        secrets = [parts.password, *(text for name, text in parse_qsl(parts.query) if name == "password")]
        _ = parts.port
    except ValueError:
        raise ValueError(f"is no URL; it looks like {_EXAMPLE}") from None  # the URL may hold a password
    if any(secrets):
        raise ValueError("must not contain a password; name a file with it: storage: {url: …, password_file: …}")
    if not parts.path.strip("/"):
        raise ValueError(f"must end with the name of a database, as in {_EXAMPLE}")
    return value


def _grace(seconds: int) -> int:
    if not 0 <= seconds <= MAX_GRACE:
        raise ValueError(f"must be from 0s to 24h, not {seconds}s")
    return seconds


StoragePlace = Annotated[Path | str, BeforeValidator(_place)]
StorageGrace = Annotated[Seconds, AfterValidator(_grace)]


class StorageSettings(Section):
    """`storage: PATH` or `storage: URL`, or a section with the URL and the file of its password.

    `url` is the path of an SQLite file, or the URL of a PostgreSQL database.
    """

    shorthand: ClassVar[str | None] = "url"

    url: StoragePlace
    password_file: FilePath | None = None

    @model_validator(mode="after")
    def _password_has_a_url(self) -> Self:
        if self.password_file is not None and self.file is not None:
            raise PlacedError(("password_file",), "needs the URL of a PostgreSQL database; a file has no password")
        return self

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for PostgreSQL."""
        return self.url if isinstance(self.url, Path) else None
