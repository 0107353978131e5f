"""Tokens of issuers that may be used once: which ones were, by issuer and `jti`.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, insert, select

from tokenserver.storage.database import Database
from tokenserver.storage.tables import seen_jti


class SeenTokens:
    """The tokens that were used. `prune` removes those that have expired."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_known(self, issuer: str, jti: str) -> bool:
        """Whether a token was used, which this is no use of.

        Raises:
            StorageUnavailable: nobody can tell.
        """
        known = _row(issuer, jti)
        return self._database.read(lambda connection: connection.execute(known).first()) is not None

    def is_new(self, issuer: str, jti: str, ends: int) -> bool:
        """Whether this is the first use of a token, which expires at `ends`; from now on, it is none.

        Raises:
            StorageUnavailable: nobody can tell.
        """

        # All writes of a server are one after another, so that nobody else inserts in between.
        def work(connection: Connection, _: int) -> bool:
            if connection.execute(_row(issuer, jti)).first() is not None:
                return False
            connection.execute(insert(seen_jti).values(issuer=issuer, jti=jti, ends=ends))
            return True

        return self._database.write(work)


def _row(issuer: str, jti: str) -> Select[tuple[str]]:
    return select(seen_jti.c.jti).where(seen_jti.c.issuer == issuer, seen_jti.c.jti == jti)
