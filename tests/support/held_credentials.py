"""Stored credentials without a storage: an index in memory, and what it was told."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.authn.authenticator import KeyAuthenticator, KeyUses
from tokenserver.authn.stored.ports import Address
from tokenserver.authn.token_tags import tag_of
from tokenserver.credentials import AccessKeyForm, Key, Secret
from tokenserver.errors import BackendUnavailable
from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.identity import Identity, Sort
from tokenserver.storage.credential import StoredCredential, WorkloadProof

NOW = 1_800_000_000


class Held(NamedTuple):
    """A `VerifiedKey`."""

    credential: StoredCredential
    ended: str | None = None
    used: int | None = None


def stored(form: AccessKeyForm, owner: str = "ann", **more: Any) -> StoredCredential:
    """A credential of a person from the source `first`, or of a machine, that was made just now and lasts an hour."""
    sort = Sort.ROBOT if owner.startswith("robot:") else Sort.WORKLOAD if owner.startswith("workload:") else Sort.USER
    facts: dict[str, Any] = {"source": "first" if sort is Sort.USER else "", "created": NOW, "ends": NOW + 3600}
    return StoredCredential(id="", form=form, owner=owner, sort=sort, created_by="test", **facts | more)


@dataclass
class MemoryStorage:
    """A `KeyIndex`, a `LoginStore` and an `Ending`. With `outage`, it does not answer.

    `verified_at` has what logins said about their verification.
    """

    rows: dict[str, Held] = field(default_factory=dict)
    texts: dict[str, AccessKey] = field(default_factory=dict)
    touched: list[tuple[str, float, Address | None]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    verified_at: list[int | None] = field(default_factory=list)
    outage: bool = False

    def add(self, credential: StoredCredential) -> AccessKey:
        """Store it, and its key."""
        key = compose_key(credential.form, bytes([len(self.rows) + 1]) * RANDOM_BYTES)
        self.rows[key.id] = Held(replace(credential, id=key.id))
        self.texts[key.id] = key
        return key

    def change(self, identifier: str, **more: Any) -> None:
        """Change a row, which makes it another object."""
        self.rows[identifier] = self.rows[identifier]._replace(**more)

    def verified(self, key: Key) -> Held | None:
        """See `KeyIndex.verified`."""
        self._answer()
        known = self.texts.get(key.id)
        if known is None or not hmac.compare_digest(known.text.reveal(), key.text.reveal()):
            return None
        return self.rows[key.id]

    def is_current(self, identifier: str, held: object, /) -> bool:
        """See `KeyIndex.is_current`."""
        return not self.outage and self.rows[identifier] is held

    def touch(self, identifier: str, moment: float, client: Address | None, /) -> None:
        """See `Touch`."""
        self.touched.append((identifier, moment, client))

    def end(self, identifier: str, reason: str, /) -> None:
        """See `Ending`."""
        self._answer()
        self.ended.append((identifier, reason))
        self.change(identifier, ended=reason)

    def begin(
        self, wanted: StoredCredential, at_most: int, verified: int | None, _proof: WorkloadProof | None = None
    ) -> NewLogin:
        """See `LoginStore.begin`; the first one goes."""
        self._answer()
        self.verified_at.append(verified)
        live = [one for one, held in self.rows.items() if held.ended is None and held.credential.form is wanted.form]
        displaced = tuple(live[: max(0, len(live) - at_most + 1)])
        for identifier in displaced:
            self.end(identifier, "displaced")
        key = self.add(wanted)
        return NewLogin(key.id, key.text, wanted.created, wanted.ends, displaced)

    def _answer(self) -> None:
        if self.outage:
            raise BackendUnavailable("storage", "is down")


def presented(key: AccessKey, name: str = "") -> Key:
    """The key as a client sends it, with this user name."""
    return Key(key.form, key.id, key.text, name)


def used(authenticator: KeyAuthenticator, key: Key, client: Address | None, now: float, uses: KeyUses) -> Identity:
    """A use of a key by a client that sends the same header each time, as the chain does it."""
    text = key.text.reveal()
    tag = tag_of(f"{key.name}:{text}")
    known = uses.get(tag)
    recalled = None if known is None else known.again(client, now)
    if recalled is not None:
        return recalled
    return authenticator.authenticate(key._replace(text=Secret(text, tag)), client, now, uses)
