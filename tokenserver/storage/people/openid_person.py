"""People who log in by an OpenID provider, as the storage keeps them: each name is that of one `sub` for good. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from tokenserver.errors import TokenserverError


@dataclass(frozen=True, slots=True)
class OpenIdPerson:
    """A person of a provider, under the name of its source. Moments are whole seconds since the epoch.

    `sub` is the provider's own name for them, `groups` are those of the last answer. `seen` is the last login, `asked`
    the last answer of the provider. `not_before`: what was made before has ended. `is_active`: the provider has not
    ended the person since the last login. `is_rechecked`: the provider can be asked about them.
    """

    source: str
    sub: str
    subject: str
    groups: frozenset[str]
    seen: int
    asked: int
    not_before: int = 0
    is_active: bool = True
    is_rechecked: bool = field(default=False, compare=False)

    @property
    def proof(self) -> bytes:
        """Changes when the name becomes somebody else's, or the provider ends what was made before."""
        content = f"{self.source}\0{self.sub}\0{self.not_before}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()


class NotThisPerson(TokenserverError):
    """A login by a name that is pinned to another `sub`, or by a `sub` that is pinned to another name.

    `pinned` is the name that the `sub` has here; None: it has none, and the name is somebody else's.
    """

    def __init__(self, pinned: str | None) -> None:
        self.pinned = pinned
        super().__init__("the name was somebody else's" if pinned is None else "the person had another name")
