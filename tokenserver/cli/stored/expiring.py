"""Notes of `check` about stored credentials that end soon."""

from __future__ import annotations

from tokenserver.cli.stored.opening import site_of
from tokenserver.cli.stored.options import now_utc
from tokenserver.config.settings import Settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import BackendUnavailable
from tokenserver.management.facts import EXPIRES_SOON, SOON, state_of

_KINDS = {
    AccessKeyForm.PERSONAL: ("access key", "tokenserver access-keys list --expiring"),
    AccessKeyForm.ROBOT: ("stored robot secret", "tokenserver robots list"),
}


def expiring_notes(settings: Settings) -> list[str]:
    """How many access keys and stored secrets of robots end soon, as sentences; none if the storage does not answer.

    Refresh tokens are not counted: their owners log in again.

    Raises:
        LoadError: the storage cannot be opened as configured.
    """
    storage = settings.storage
    if storage is None or (storage.file is not None and not storage.file.exists()):  # a look makes no file
        return []
    # Needed only with a storage, whose engines take a while to import.
    from tokenserver.storage.selection import Selection  # noqa: PLC0415 - see above

    now = now_utc()
    try:
        listed = site_of(settings, "").store.listed(Selection(forms=frozenset(_KINDS)))
    except BackendUnavailable:
        return []  # another warning says so
    notes = []
    for form, (kind, command) in _KINDS.items():
        count = sum(state_of(one, now) == EXPIRES_SOON for one in listed if one.credential.form is form)
        if count:
            ends = f"{count} {kind} ends" if count == 1 else f"{count} {kind}s end"
            notes.append(f"{ends} within {SOON.days} days; see {command}")
    return notes
