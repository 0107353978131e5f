"""One password against one hash, and the same work for users who do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from tokenserver.authn.passwords import HashingFailed, decoy_like, describe, verify
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable

Room = AbstractContextManager[None]
"""Where hashes are computed: entered for each of them, by many threads at once; it may raise `Overloaded`."""

ANYWHERE: Room = nullcontext()


def checked(source: str, credentials: Password, hashed: str, room: Room, once: Once | None) -> bool:
    """Whether the password is the one of `hashed`, computed in `room`; with `once`, another worker may know already.

    Raises:
        BackendUnavailable: there is no memory for the hash; `source` cannot tell.
    """

    def check() -> bool:
        return verify(credentials.password.reveal(), hashed)

    try:
        if once is not None:
            return once(credentials, hashed, room, check)
        with room:
            return check()
    except HashingFailed as error:
        raise BackendUnavailable(source, str(error)) from error


class Decoy:
    """Does the work of a wrong password where a name is in no file, or in another one.

    That is one hash of each kind and cost that any user has, so that it does not tell whose a name is like: whoever has
    one of them does the others as well. Where there are no users, it is a hash like a new one.
    """

    def __init__(self, source: str, forms: Mapping[str, tuple[str, Once | None]], room: Room) -> None:
        self._source = source
        self._room = room
        self._forms = forms

    @classmethod
    def like(cls, source: str, hashes: Iterable[str], room: Room = ANYWHERE, once: Once | None = None) -> Decoy:
        """A decoy for users with these hashes; `source` is who cannot tell when memory is short."""
        return cls(source, {describe(hashed): (decoy_like(hashed), once) for hashed in sorted(hashes)}, room)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is hashed, in words."""
        return tuple(self._forms)

    def joined_with(self, *others: Decoy) -> Decoy:
        """One decoy for several sources; each kind that several of them have is hashed once."""
        forms: dict[str, tuple[str, Once | None]] = {}
        for decoy in (self, *others):
            forms |= {kind: form for kind, form in decoy._forms.items() if kind not in forms}  # noqa: SLF001 - of this very class
        return Decoy(self._source, forms, self._room)

    def __call__(self, credentials: Password, *, but: str | None = None) -> None:
        """Hash the password once for each kind, `but` the one that was hashed already; nothing comes of it.

        Raises:
            BackendUnavailable: there is no memory for it. A wrong password fails in the same way then.
        """
        forms = self._forms or {"": (decoy_like(None), None)}
        for kind, (form, once) in forms.items():
            if kind != but:
                checked(self._source, credentials, form, self._room, once)
