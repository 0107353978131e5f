"""Password verification against one hash, and the same work for users who do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from tokenserver.authn.htpasswd.account import LOCK
from tokenserver.authn.passwords import HashingFailed, decoy_like, describe, verify
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable

Room = AbstractContextManager[None]
"""Bounds concurrent hashing: entered for each hash, by many threads; may raise `Overloaded`."""

ANYWHERE: Room = nullcontext()


def checked(source: str, credentials: Password, hashed: str, room: Room, once: Once | None) -> bool:
    """Whether the password matches `hashed`, computed in `room`; with `once`, another worker may know already.

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


def checked_in_vain(source: str, credentials: Password, hashed: str, room: Room, once: Once | None) -> bool:
    """As `checked`, for a login that is rejected either way.

    It always costs what a wrong password costs: no other worker's result is used, and none learns of this one.

    Raises:
        BackendUnavailable: as `checked`.
    """
    seen: list[bool] = []

    def check() -> bool:
        seen.append(verify(credentials.password.reveal(), hashed))
        return False

    try:
        if once is not None:
            once(credentials, f"{LOCK}{hashed}", room, check)
        else:
            with room:
                check()
    except HashingFailed as error:
        raise BackendUnavailable(source, str(error)) from error
    return any(seen)


class Decoy:
    """Does the work of a wrong password for a name that is in no file, or in another one.

    That is one hash of each kind and cost among the users; a login with a real user's name computes the others as
    well, so the time does not reveal whether a name exists. Without users, it is a hash like that of a new user.
    """

    def __init__(self, source: str, forms: Mapping[str, tuple[str, Once | None]], room: Room) -> None:
        self._source = source
        self._room = room
        self._forms = forms

    @classmethod
    def like(cls, source: str, hashes: Iterable[str], room: Room = ANYWHERE, once: Once | None = None) -> Decoy:
        """A decoy for users with these hashes; `source` is blamed when memory is short."""
        return cls(source, {describe(hashed): (decoy_like(hashed), once) for hashed in sorted(hashes)}, room)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds and costs of its hashes, as returned by `describe`."""
        return tuple(self._forms)

    def joined_with(self, *others: Decoy) -> Decoy:
        """One decoy for several sources; a kind that several of them have is hashed once."""
        forms: dict[str, tuple[str, Once | None]] = {}
        for decoy in (self, *others):
            forms |= {kind: form for kind, form in decoy._forms.items() if kind not in forms}  # noqa: SLF001 - of this very class
        return Decoy(self._source, forms, self._room)

    def __call__(self, credentials: Password, *, but: str | None = None) -> None:
        """Hash the password once for each kind, except `but`, which was hashed already, and discard the results.

        Raises:
            BackendUnavailable: memory is short. A wrong password fails in the same way then.
        """
        forms = self._forms or {"": (decoy_like(None), None)}
        for kind, (form, once) in forms.items():
            if kind != but:
                checked(self._source, credentials, form, self._room, once)
