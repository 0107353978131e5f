"""What a version of a part is called in the audit trail, its digest, and how it differs from the version before.

Names alone: of users, keys and files. The digest of a users file is that of the file, whose hashes are salted; files of
secrets that a person may have chosen, such as the password of a directory, have no digest, since it could be guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.config.settings import Settings
from tokenserver.keys.ring import KeyRing
from tokenserver.policy.model import PolicySet
from tokenserver.server.reload.changes import Differences, differing_files, differing_users, key_states
from tokenserver.server.reload.watch import FileStates
from tokenserver.tokens.issuer import TokenIssuer

MAX_NAMES = 100
"""Names of one kind that an event lists; `…_omitted` counts the rest."""

STATE_CHANGES = {"next": "added", "active": "activated", "retired": "retired"}
"""What has happened to a key that is in this state now."""


def digest_of(value: object) -> str | None:
    """The digest of a loaded part, in hexadecimal; None for parts without one.

    That of policies is the `policy` of exchange events.
    """
    if isinstance(value, PolicySet):
        return value.digest
    if isinstance(value, Htpasswd):
        return value.digest or None
    if isinstance(value, TokenIssuer):
        return _digest_of_ring(value.ring)
    return None


def state_of(value: object, files: FileStates) -> bytes:
    """32 bytes that distinguish versions of a part, the same in all workers that have loaded the same files."""
    digest = digest_of(value)
    if digest is not None:
        return bytes.fromhex(digest)
    return hashlib.sha256(repr((value is None, sorted(files.items()))).encode("utf-8", "surrogateescape")).digest()


def differences(before: object, after: object, files: Differences | None = None) -> dict[str, Any]:
    """How two versions of a part differ, as members of an event; `files` are those of a part without a digest."""
    if isinstance(before, PolicySet) and isinstance(after, PolicySet):
        return _listed(differing_files(before.texts, after.texts)._asdict())
    if isinstance(before, Htpasswd) and isinstance(after, Htpasswd):
        return _listed(differing_users(before, after)._asdict())
    if isinstance(before, TokenIssuer) and isinstance(after, TokenIssuer):
        return _listed(_key_changes(before.ring, after.ring))
    return {} if files is None else _listed(files._asdict())


def digest_of_settings(settings: Settings) -> str:
    """The digest of all keys with their values, whether they are in the file or have their default.

    Secrets are no values: they are in files of their own.
    """

    def plain(value: object) -> object:
        return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)

    return hashlib.sha256(json.dumps(settings.model_dump(), default=plain, sort_keys=True).encode()).hexdigest()


def listed_members(name: str, values: Iterable[str]) -> dict[str, Any]:
    """A list of an event, with at most `MAX_NAMES` entries; nothing if there are none."""
    some = [*values]
    omitted = {f"{name}_omitted": len(some) - MAX_NAMES} if len(some) > MAX_NAMES else {}
    return {name: some[:MAX_NAMES], **omitted} if some else {}


def _listed(kinds: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, names in kinds.items():
        found |= listed_members(kind, sorted(names))
    return found


def _key_changes(before: KeyRing, after: KeyRing) -> dict[str, list[str]]:
    old, new = key_states(before), key_states(after)
    found: dict[str, list[str]] = {"added": [], "activated": [], "retired": []}
    for key, state in new.items():
        if old.get(key) != state:
            found[STATE_CHANGES[state]].append(key)
    found["added"] = sorted({*found["added"], *(new.keys() - old.keys())})
    return {**found, "dropped": [*(old.keys() - new.keys())]}


def _digest_of_ring(ring: KeyRing) -> str:
    """SHA-256 over the certificates: that of the token CA, and each key's with the state that it is in."""
    digest = hashlib.sha256(ring.ca_certificate_pem.encode("ascii"))
    for key in sorted(ring.published(), key=lambda one: one.id):
        digest.update(f"\n{ring.state_of(key.id)} {key.id} ".encode("ascii") + b"".join(key.chain))
    return digest.hexdigest()
