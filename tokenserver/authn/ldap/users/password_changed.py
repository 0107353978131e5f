"""The proof that a directory user's password is unchanged: a digest of the attribute that changes with it."""

from __future__ import annotations

import hashlib

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import Directory


def proof_in(entry: SearchEntry, directory: Directory) -> bytes:
    """The `proof` of the user's identity; empty if the entry has no such attribute, or the account cannot read it.

    An attribute with another name gives another proof.
    """
    if directory.password_changed is None:
        return b""
    name = directory.password_changed.lower()
    values = entry.attributes.get(name, ())
    return hashlib.sha256(b"\0".join([name.encode(), *sorted(values)])).digest() if values else b""
