"""Settings of a database of users: where it is, and the queries that find a user in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from tokenserver.authn.sql.presets import QUERIES
from tokenserver.authn.sql.query import names_column, query_problem
from tokenserver.config.fields import FilePath, Section, SourceName, as_path
from tokenserver.config.protection import Cache, Grace
from tokenserver.config.sources.ldap_fields import LoginDeadline
from tokenserver.documents.document import PlacedError

MAX_LABELS = 32

_SCHEMES = ("postgresql", "mariadb", "mysql")
_EXAMPLE = "postgresql://reader@db.example.com/people"
_PARAMETERS: Mapping[str, frozenset[str]] = {
    "postgresql": frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"}),
    "mariadb": frozenset({"unix_socket"}),
}


def _place(value: Any, info: ValidationInfo) -> Any:
    """A `Path` for SQLite, text for the others. No message repeats a URL, which may hold a password."""
    if not isinstance(value, str) or "://" not in value:
        if isinstance(value, str) and value.startswith("sqlite:"):
            raise ValueError("is a URL of SQLite; write the path of the file alone")
        return as_path(value, info)
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.path.strip("/")) and parts.port != 0
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise ValueError(f"is no URL; it looks like {_EXAMPLE}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"must be the path of an SQLite file, or a URL such as {_EXAMPLE} (mariadb:// for MariaDB)")
    if parts.password is not None or "password" in parameters:
        raise ValueError("must not contain a password; name a file with it: url_password_file")
    if not is_whole or not value.isprintable() or " " in value:
        raise ValueError(f"must have a user, a host and the name of a database, as in {_EXAMPLE}")
    known = _PARAMETERS["postgresql" if parts.scheme == "postgresql" else "mariadb"]
    unknown = sorted(parameters.keys() - known)
    if unknown:
        raise ValueError(f"has the parameter {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return value


def _query(value: str) -> str:
    problem = query_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value.strip()


SqlPlace = Annotated[Path | str, BeforeValidator(_place)]
SqlQuery = Annotated[str, AfterValidator(_query)]
PlainLabels = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, max_length=MAX_LABELS)]


class Sql(Section):
    """A user source: one database. `preset` provides the query for the tables of a known program.

    `find` is the query for a user whose name the database has spelled, where `query` also finds other names.
    `group_labels` are the labels of docker_auth whose values are groups by themselves.
    """

    name: SourceName = "sql"
    preset: Literal["docker_auth"] | None = None
    url: SqlPlace
    url_password_file: FilePath | None = None
    ca_file: FilePath | None = None
    insecure_plaintext: bool = False
    query: SqlQuery | None = None
    find: SqlQuery | None = None
    group_labels: PlainLabels = ()
    deadline: LoginDeadline = 5
    cache: Cache = 60
    stale_grace: Grace = 0

    @model_validator(mode="after")
    def _file_needs_no_server(self) -> Self:
        for key in ("url_password_file", "ca_file", "insecure_plaintext"):
            if self.file is not None and getattr(self, key):
                raise PlacedError((key,), "has no effect: url is the path of a file")
        return self

    @model_validator(mode="after")
    def _tls_is_clear(self) -> Self:
        if self.insecure_plaintext and self.ca_file is not None:
            raise PlacedError(("ca_file",), "verifies nothing without TLS; fix: remove insecure_plaintext")
        modes = ("sslmode" in str(self.url), "sslrootcert" in str(self.url))
        for key in ("insecure_plaintext", "ca_file"):
            if any(modes) and getattr(self, key):
                raise PlacedError((key,), "contradicts the parameters of url; keep one of the two")
        return self

    @model_validator(mode="after")
    def _has_a_query(self) -> Self:
        if self.query is None and self.preset is None:
            example = "SELECT password_hash, name AS subject FROM users WHERE name = :user"
            raise PlacedError(("query",), f"is missing, such as {example} (or preset: docker_auth)")
        return self

    @model_validator(mode="after")
    def _names_are_compared_exactly(self) -> Self:
        """MariaDB ignores case, accents and trailing blanks, so what was typed is not the name of a user."""
        for key, query in (("query", self.query), ("find", self.find)):
            if self.is_mariadb and query is not None and not names_column(query, "subject"):
                message = (
                    "must return the name as the table spells it, since MariaDB takes ALICE and 'alice ' for alice;"
                    " fix: SELECT name AS subject, …"
                )
                raise PlacedError((key,), message)
        return self

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a server."""
        return self.url if isinstance(self.url, Path) else None

    @property
    def is_mariadb(self) -> bool:
        """Whether it is MariaDB or MySQL."""
        return self.file is None and not str(self.url).startswith("postgresql:")

    @property
    def user_query(self) -> str:
        """The query for a name that was typed."""
        return self.query or QUERIES[self.preset or ""]

    @property
    def find_query(self) -> str:
        """The query for a user as the database spells the name."""
        return self.find or self.user_query
