"""Warnings about users of files who cannot log in, because a user of an earlier file has the same namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.reported import reject_shared
from tokenserver.errors import Fault, InvalidCredentials


def namespace_warnings(files: Sequence[Htpasswd]) -> Iterator[str]:
    """A sentence for each such user. `files` are in the order of the configuration, and one of the sources maps names.

    Users of directories are compared when they log in.
    """
    for number, file in enumerate(files):
        for user in sorted(file.users):
            try:
                reject_shared(file.identity(user), files[:number])
            except InvalidCredentials as error:
                problem = f"cannot log in: {error.reason}; fix: rename one of them"
                yield str(Fault(file.file, file.lines[user], user, problem))
