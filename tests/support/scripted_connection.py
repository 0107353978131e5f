"""A connection to a directory that gives prepared answers, in their order, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from tokenserver.authn.ldap.ber import Result, SearchEntry
from tokenserver.authn.ldap.connection import Connection, Found


def answer(*entries: SearchEntry, code: int = 0, cookie: bytes = b"") -> Found:
    """The answer to a search."""
    return Found(entries, Result(code, ""), cookie)


class ScriptedConnection:
    """Gives one of `answers` for each search; `asked` has base, filter, attributes and cookie of every one."""

    def __init__(self, answers: Iterable[Found]) -> None:
        self.answers = iter(answers)
        self.has_rule: bool | None = None
        self.asked: list[tuple[str, str, tuple[str, ...], bytes]] = []

    @property
    def filters(self) -> list[str]:
        """The filters of all searches."""
        return [asked[1] for asked in self.asked]

    def ask_page(self, base: str, search_filter: str, attributes: Any, _deadline: Any, **more: Any) -> int:
        """As of a connection; its number is that of the search."""
        self.asked.append((base, search_filter, tuple(attributes), more.get("cookie", b"")))
        return len(self.asked)

    def found(self, number: int, _deadline: Any) -> Found:
        """As of a connection: the next answer."""
        assert number == len(self.asked)
        return next(self.answers)

    def page(self, *arguments: Any, **more: Any) -> Found:
        """As of a connection."""
        return self.found(self.ask_page(*arguments, **more), None)

    search = page


def scripted(*answers: Found) -> tuple[Connection, ScriptedConnection]:
    """The same object twice: as a connection, and as itself."""
    made = ScriptedConnection(answers)
    return cast("Connection", made), made
