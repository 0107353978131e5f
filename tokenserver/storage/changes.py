"""What a change of stored credentials may run into, and how it is recorded before it is in force.

Apart from all that knows databases, so that anyone may import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tokenserver.access_keys import AccessKey
from tokenserver.errors import TokenserverError
from tokenserver.storage.credential import CredentialRow, StoredCredential, WorkloadProof

Recorded = Callable[[StoredCredential], None]
"""Called with a credential in the transaction that makes or changes it, before that commits. What it raises undoes the
change. It is called again for the same change if the transaction breaks off, and in another thread."""


class TooManyCredentials(TokenserverError):
    """The owner has as many live credentials of this form as there may be. The text says how to go on."""


class RotatedAlready(TooManyCredentials):
    """The credential has a live successor."""


class NoSuchCredential(TokenserverError):
    """There is no live credential with this id, or its row is not what this server wrote."""


def unrecorded(*_: object) -> None:
    """Record nothing, and change nothing more."""


class ActingLogin(NamedTuple):
    """The login by which somebody asks for a change, to be confirmed in the transaction of the change.

    `subject` of the user source `source` was `verified` at this revision; see `Identity.verified`. `session` is the id
    of the browser session that vouched for it, `credential` that of the stored or declared secret, empty for none.
    `proof` is that of a workload.
    """

    source: str
    subject: str
    verified: int | None
    session: str = ""
    credential: str = ""
    proof: WorkloadProof | None = None


class MadeCredential(NamedTuple):
    """A new credential with its key, and the row that was stored."""

    key: AccessKey
    row: CredentialRow
    credential: StoredCredential
