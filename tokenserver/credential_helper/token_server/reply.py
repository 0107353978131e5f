"""Responses to the credential helper, and how they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Form = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A response: its status, its whole body, and the values of its headers `WWW-Authenticate`."""

    status: int
    body: bytes = field(repr=False)
    challenges: tuple[str, ...] = ()


class Fetch(Protocol):
    """One request; None where there is no response that can be used. See `Web.fetch`."""

    def __call__(
        self,
        url: str,
        form: Form | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = 5.0,
    ) -> ServerReply | None:
        """A GET, or a POST of the form."""
