"""What a changed password, a disabled or a removed account does to stored credentials: they end."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from tokenserver.cli.stored.ending import BrowserEnds
from tokenserver.cli.stored.opening import by_whom, site_of
from tokenserver.cli.terminal import echo
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import LoadError, TokenserverError
from tokenserver.printable import shell_word
from tokenserver.storage.changes import unrecorded

_KINDS = {AccessKeyForm.PERSONAL: "access key", AccessKeyForm.REFRESH: "refresh token"}


def end_credentials(name: str, file: Path, config: Path | None, reason: str, *, keep_keys: bool = False) -> None:
    """End the logins of a user of this htpasswd file, also in browsers, and, unless `keep_keys`, the access keys.

    Without a configuration that has the file and a storage, nothing is stored. A storage that does not answer is a
    warning, since the file is changed already.
    """
    try:
        settings = load_settings(config)
    except LoadError:
        return
    source, storage = _source_of(settings, file), settings.storage
    if storage is None or source is None or (storage.file is not None and not storage.file.exists()):
        return
    # Needed only with a storage, whose engines take a while to import.
    from tokenserver.storage.people.epochs import Whose  # noqa: PLC0415 - see above
    from tokenserver.storage.selection import Selection  # noqa: PLC0415 - see above

    try:
        site = site_of(settings, str(config_path(config)))
        end = partial(site.browsers.end_within, whose=Whose(source, "subject", name))
        browsers = BrowserEnds(site.store, end, owner=name, source=source, reason=reason)
        for form, kind in _KINDS.items():
            if keep_keys and form is AccessKeyForm.PERSONAL:
                continue
            selection = Selection(forms=frozenset({form}), owner=name, source=source)
            also = browsers if form is AccessKeyForm.REFRESH else unrecorded
            count = len(site.store.end(selection, by=by_whom(), reason=reason, also=also))
            if count:
                echo(f"Ended {count} {kind}{'' if count == 1 else 's'} of {name}.")
    except TokenserverError as error:
        text = f"warning: the access keys and refresh tokens of {name} were not ended: {error}"
        who = shell_word(name)
        fix = f"tokenserver access-keys revoke --user {who}, and tokenserver logins revoke --user {who}"
        echo(f"{text}; fix: {fix}", fg="yellow", err=True)


def _source_of(settings: Settings, file: Path) -> str | None:
    """The name of the user source that has this htpasswd file."""
    sources = [source.htpasswd for source in settings.authentication if source.htpasswd is not None]
    return next((one.name for one in sources if os.path.realpath(one.file) == os.path.realpath(file)), None)
