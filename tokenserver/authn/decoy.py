"""One password against one hash, and the same work for users who do not exist."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from tokenserver.authn.checks import Once
from tokenserver.authn.passwords import HashingFailed, decoy_like, verify
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
    """Does the work of a wrong password for a user who does not exist.

    The work is like that of one of the real users, always the same one for the same name; where there are no users,
    like that of a new hash. Which one it is follows from a key made of the hashes, which are secret: all workers,
    replicas and restarts choose alike, or the difference between them would tell which users are unknown.
    """

    def __init__(self, source: str, forms: Sequence[tuple[str, Once | None]], key: bytes, room: Room) -> None:
        self._source = source
        self._room = room
        self._forms = tuple(forms)
        self._key = key

    @classmethod
    def like(cls, source: str, hashes: Iterable[str], room: Room = ANYWHERE, once: Once | None = None) -> Decoy:
        """A decoy for users with these hashes; `source` is who cannot tell when memory is short."""
        hashes = sorted(hashes)
        key = hashlib.blake2b("\n".join(hashes).encode()).digest()
        return cls(source, [(decoy_like(hashed), once) for hashed in hashes], key, room)

    def joined_with(self, *others: Decoy) -> Decoy:
        """One decoy for several sources: an unknown user is like a user of any of them."""
        decoys = (self, *others)
        key = hashlib.blake2b(b"".join(decoy._key for decoy in decoys)).digest()  # noqa: SLF001 - of this very class
        forms = [form for decoy in decoys for form in decoy._forms]  # noqa: SLF001 - of this very class
        return Decoy(self._source, forms, key, self._room)

    def __call__(self, credentials: Password) -> None:
        """Hash the password; nothing comes of it.

        Raises:
            BackendUnavailable: there is no memory for it. A wrong password fails in the same way then.
        """
        name = credentials.username.encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.blake2b(name, key=self._key).digest(), "big")
        forms = self._forms or ((decoy_like(None), None),)
        form, once = forms[number % len(forms)]
        checked(self._source, credentials, form, self._room, once)
