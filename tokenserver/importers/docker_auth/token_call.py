"""A call of docker_auth's token endpoint: from the request's text to the status and the granted access."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenserver.importers.docker_auth.evaluator import VerifyPassword, authenticate, authorize
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerRequest, PeerServerSettings
from tokenserver.importers.golang.addresses import parse_address
from tokenserver.importers.golang.forms import basic_credentials, parse_form

_HOST_PORT = re.compile(r"\[(.+)\]:[0-9]+|([^:]+):[0-9]+")
_SCOPE_TYPE = re.compile(r"[a-z0-9]+")
_SPACES = " \t\n\v\f\r\x85\xa0"
_WITH_BODY = ("POST", "PUT", "PATCH")


class BadCall(ValueError):
    """docker_auth answers 400; the text is what it says."""


class DroppedCall(Exception):
    """docker_auth crashes while it handles the request, and drops the connection."""


@dataclass(frozen=True, slots=True)
class TokenCall:
    """A request to `/auth`. `client` is the address of the connection; `form` a body of the type of HTML forms.

    `headers` have lower-case names and the first value of each.
    """

    client: str
    query: str = ""
    method: str = "GET"
    authorization: str | None = field(default=None, repr=False)
    form: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerScope:
    """One requested scope, as docker_auth understands it, with its actions sorted."""

    type: str
    name: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadCall:
    """What docker_auth takes from a request."""

    account: str
    password: str = field(repr=False)
    service: str
    ip: str
    scopes: tuple[PeerScope, ...]


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The status (0: the connection is dropped), and with 200 the claims of the token."""

    status: int
    subject: str = ""
    audience: str = ""
    access: tuple[PeerScope, ...] = ()


def answer_call(config: DockerAuthConfig, call: TokenCall, verify: VerifyPassword) -> CallAnswer:
    """The answer to a request.

    Raises:
        AskedElsewhere: the configuration file alone does not decide.
        ExpressionBeyondLimits: a pattern cannot be evaluated.
    """
    try:
        read = read_call(config.server, call)
    except BadCall:
        return CallAnswer(400)
    except DroppedCall:
        return CallAnswer(0)
    labels = authenticate(config, read.account, read.password, verify)
    if labels is None:
        return CallAnswer(401)
    access = []
    for scope in read.scopes:
        request = PeerRequest(
            read.account, scope.name, scope.actions, scope.type, service=read.service, ip=read.ip, labels=labels
        )
        answer = authorize(config, request, labels)
        if answer.status != 200:
            return CallAnswer(answer.status)
        access.append(PeerScope(scope.type, scope.name, answer.granted))
    return CallAnswer(200, read.account, read.service, tuple(access))


def read_call(server: PeerServerSettings, call: TokenCall) -> ReadCall:
    """What docker_auth takes from a request.

    Raises:
        BadCall: it answers 400.
        DroppedCall: it crashes.
    """
    ip = _client_address(server, call)
    query = parse_form(call.query)
    form = parse_form(call.form) if call.method in _WITH_BODY else {}
    values = {name: [*form.get(name, ()), *query.get(name, ())] for name in (*form, *query)}

    def first(name: str) -> str:
        return next(iter(values.get(name, ())), "")

    basic = basic_credentials(call.authorization)
    user, password = basic or ("", "")
    if basic is None and call.method == "POST" and first("username") and first("password"):
        user, password = first("username"), first("password")
    account = first("account") or user
    if basic is not None and account != user:
        raise BadCall("user and account are not the same")
    scopes = [_scope(text) for value in values.get("scope", ()) for text in value.split(" ")] if first("scope") else []
    return ReadCall(account, password, first("service"), ip, tuple(scopes))


def _client_address(server: PeerServerSettings, call: TokenCall) -> str:
    address = call.client
    if server.real_ip_header:
        entries = call.headers.get(server.real_ip_header.lower(), "").split(",")
        position = server.real_ip_pos
        if position < 0:
            position = max(position + len(entries), 0)
        if position >= len(entries):
            raise DroppedCall
        address = entries[position].strip(_SPACES)
        if not address:
            raise BadCall("client address not provided")
    found = _HOST_PORT.fullmatch(address)
    ip = address if found is None else found[1] or found[2]
    if parse_address(ip) is None:
        raise BadCall("unable to parse remote addr")
    return ip


def _scope(text: str) -> PeerScope:
    kind, *rest = text.split(":")
    found = _SCOPE_TYPE.search(kind)
    if found is None:
        raise BadCall("malformed scope request")
    if len(rest) not in (2, 3):
        raise BadCall("invalid scope")
    actions = sorted(rest[-1].split(","), key=lambda action: action.encode("utf-8", "surrogateescape"))
    return PeerScope(found[0], ":".join(rest[:-1]), tuple(actions))
