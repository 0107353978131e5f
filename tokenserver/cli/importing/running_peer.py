"""A running docker_auth, asked what its configuration file says it would answer."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from tokenserver.credentials import Secret
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.http import FetchFailure
from tokenserver.doctor.token import UnreadableToken, read_claims
from tokenserver.documents.files import read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerRequest
from tokenserver.scopes import ACTIONS, Resource

MAX_ASKED = 200
"""Requests to a running server, each of which costs it a password hash."""

_DENIED = 401


def read_passwords(path: Path) -> dict[str, Secret]:
    """Passwords by account, from lines `NAME:PASSWORD` of a file that nobody else can read.

    Raises:
        LoadError: others can read it, or a line is none.
    """
    found: dict[str, Secret] = {}
    for number, line in enumerate(read_text(path, private=True).splitlines(), 1):
        name, colon, password = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name:
            raise LoadError([Fault(str(path), number, "", "is not NAME:PASSWORD")])
        found[name] = Secret(password)
    return found


def what_can_be_asked(
    config: DockerAuthConfig, requests: Iterable[PeerRequest], accounts: Collection[str]
) -> Iterator[PeerRequest]:
    """The requests of accounts whose passwords are known, and of anonymous clients where these are served.

    Raises:
        LoadError: entries have addresses, and the running server knows that of this machine alone.
    """
    if any(entry.match is not None and entry.match.ip for entry in config.acl or ()):
        message = "entries have conditions on the address, which a request from this machine cannot have; fix: no --url"
        raise LoadError([Fault(config.file, config.acl_line, "acl", message)])
    has_anonymous = "" in (config.users or {})
    count = 0
    for request in requests:
        if request.account in accounts or (not request.account and has_anonymous):
            yield request
            count += 1
            if count == MAX_ASKED:
                return


def ask(url: str, request: PeerRequest, password: Secret | None) -> frozenset[str]:
    """The known actions in the token that the server at `url`, its token endpoint, issues.

    Raises:
        LoadError: the server does not answer with a token, nor with a refusal.
    """
    scope = f"{request.type}:{request.name}:{','.join(request.actions)}"
    query = urlencode({"service": request.service, "scope": scope})
    authorization = None
    if password is not None:
        pair = f"{request.account}:{password.reveal()}".encode()
        authorization = Secret(f"Basic {base64.b64encode(pair).decode('ascii')}")
    outcome = fetch(f"{url}?{query}", context=ssl.create_default_context(), authorization=authorization)
    if isinstance(outcome, FetchFailure):
        raise LoadError([Fault(url, 0, "", f"does not answer: {outcome.reason}: {outcome.detail}")])
    if outcome.status == _DENIED:
        return frozenset()
    try:
        access = read_claims(outcome.body.decode("utf-8", "replace")).access
    except UnreadableToken as error:
        message = f"answers with status {outcome.status}, and what it sends {error}"
        raise LoadError([Fault(url, 0, "", message)]) from error
    granted = access.get(Resource(request.type, request.name), frozenset())
    return granted.intersection(ACTIONS)
