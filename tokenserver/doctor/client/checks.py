"""Checks of the client's side: files of stored logins, the logins in them, and proxies. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.answerer import check_token_endpoint
from tokenserver.doctor.checks.live import check_transport
from tokenserver.doctor.client.proxies import ProxyVariables, proxy_address, raw_host
from tokenserver.doctor.client.stored_logins import (
    HUB_KEY,
    ClientFile,
    ClientKind,
    HelperAnswer,
    HelperOutcome,
    StoredEntry,
    near_miss,
    stored_key,
    without_scheme,
)
from tokenserver.doctor.findings import Finding, failed, note, passed, warning
from tokenserver.doctor.http import HttpAnswer, Outcome
from tokenserver.documents.hints import Hints
from tokenserver.printable import shell_word

HELPER_SECONDS = 10.0
"""How long a credential helper may take."""


@dataclass(frozen=True, slots=True)
class ClientTarget:
    """A registry as clients name it: `host` with a port if images have one, and the URL of its API.

    `service` is its name in our configuration; None if it is not there.
    """

    host: str
    url: str
    service: str | None


@dataclass(frozen=True, slots=True)
class HeldLogin:
    """A stored login that can be tried. `place` is the file or the helper that holds it; `written` is when."""

    place: str
    kind: ClientKind
    user: str
    password: Secret
    written: datetime | None = None

    @property
    def pair(self) -> tuple[str, Secret]:
        """What is sent of it."""
        return self.user, self.password


def check_client_file(file: ClientFile) -> list[Finding]:
    """Check a file as a whole: whether clients can read it, and whether others can."""
    place = f"{file.path}:{file.line}" if file.line else file.path
    if file.problem is not None:
        fix = f"correct {place}; every login that it holds is lost to clients until then"
        return [failed("client file", f"{place}: {file.problem}", fix)]
    found = []
    for one in file.entries.values():
        if one.stops_docker:
            message = f"the entry {one.key} {one.problem}, so docker reads nothing of {file.path}"
            found.append(
                failed("client file", message, f"correct the entry, or log in again: {_login(file.kind, one.key)}")
            )
    if file.mode is not None and file.mode & 0o044 and any(not one.is_empty for one in file.entries.values()):
        message = f"{file.path} holds logins and can be read by others (mode {file.mode & 0o7777:04o})"
        found.append(warning("client file", message, f"chmod 600 {shell_word(file.path)}"))
    return found


def check_entry(entry: StoredEntry, file: ClientFile, target: ClientTarget) -> list[Finding]:
    """Check a stored login of a registry, as far as that is possible without trying it."""
    again = _login(file.kind, target.host)
    what = f"the login for {entry.key} in {file.path}"
    if entry.has_identity:
        return [_identity(f"{what} is an identity token", file.kind, target.host)]
    if entry.has_bearer:
        message = f"{what} is a registrytoken, which clients send as it is instead of asking for a token; it expires"
        return [failed("stored login", message, again)]
    if entry.stops_docker:
        return []  # reported for the file
    if entry.problem is not None:
        return [failed("stored login", f"{what} {entry.problem}", again)]
    if entry.is_empty:
        message = f"{what} is empty: a credential helper held it, and {file.path} names none for this host any more"
        return [failed("stored login", message, f"set credsStore or credHelpers there, or log in again: {again}")]
    if entry.key.startswith(f"{target.host}/") and file.kind is ClientKind.PODMAN:
        return [passed("stored login", f"{file.path} holds a login for images below {entry.key}", theirs=entry.user)]
    found = [passed("stored login", f"{file.path} holds a login for {target.host}", theirs=entry.user)]
    if entry.key != stored_key(target.host, file.kind):
        message = f"it is stored as {entry.key}; most clients read that as {target.host}, some need it exactly"
        found.append(note("stored login", message, ours=target.host, theirs=entry.key))
    return found


def check_helper(
    name: str, answer: HelperAnswer, file: ClientFile, target: ClientTarget, *, is_shadowing: bool = False
) -> Finding:
    """Check what a credential helper answered for a registry. `is_shadowing`: the file itself has a login, too."""
    program = f"docker-credential-{name}"
    there = f"{file.path} leaves logins for {target.host} to {program}"
    again = _login(file.kind, target.host)
    match answer.outcome:
        case HelperOutcome.MISSING:
            fix = f"install {program}, or correct its name in {file.path} (credHelpers, credsStore)"
            return failed("helper", f"{there}, which is not on the PATH", fix)
        case HelperOutcome.NOT_RUN:
            fix = f"chmod go-w {shell_word(file.path)}; then check that {program} is what you want to run"
            return failed("helper", f"{there}, and others can change that file, so it was not run", fix)
        case HelperOutcome.HANGS:
            fix = f"run it yourself, it may wait for a password or a locked keyring: {_get(program, target.host)}"
            return failed("helper", f"{there}, which does not answer in {HELPER_SECONDS:g} s", fix)
        case HelperOutcome.NOT_FOUND:
            unused = "; the one in the file itself is not used" if is_shadowing else ""
            return failed("helper", f"{there}, which holds none{unused}", again)
        case HelperOutcome.FAILED:
            fix = f"to see what it says: {_get(program, target.host)}"
            return failed("helper", f"{there}, which fails with exit code {answer.code}", fix)
        case HelperOutcome.UNREADABLE:
            fix = f"log in again: {again}; if that changes nothing, {program} does not follow the protocol"
            return failed("helper", f"{there}, whose answer has no user and secret", fix)
        case HelperOutcome.ANSWERED:  # pragma: no branch - the type checker proves that this is the last one
            if answer.is_identity:
                return _identity(f"{program} holds an identity token for {target.host}", file.kind, target.host)
            return passed("helper", f"{program} holds a login for {target.host}", theirs=answer.user)


def check_missing(
    target: ClientTarget, files: Sequence[ClientFile], others: Collection[str], *, is_asked: bool
) -> Finding:
    """Explain that no file holds a login of a registry: under which other name it may be stored.

    `others` are the hosts of our other registries. `is_asked`: the operator asked about this registry. Otherwise it may
    be one that nobody uses from here, and a login for another registry is no login for this one under a wrong name.
    """
    found = [
        (key, file) for file in files for key, one in file.entries.items() if not one.is_empty or file.helper_of(key)
    ]
    keys = [(key, file) for key, file in found if is_asked or key not in others]
    for key, file in keys:
        reason = near_miss(key, target.host)
        if reason is not None:
            message = f"{file.path} holds a login for {key}, which clients do not use for {target.host}: {reason}"
            fix = _login(file.kind, target.host)
            return failed("stored login", message, fix, ours=target.host, theirs=key)
    kind = next((file.kind for file in files), ClientKind.DOCKER)
    names = sorted({without_scheme(key).partition("/")[0] for key, _ in keys})
    close = Hints().closest(target.host, names, most=1, cutoff=0.85)
    message = f"neither docker nor podman nor helm has a login for {target.host}"
    if close:
        message += f"; there is one for {close[0]}: check which of the two names is right"
    elif any(key == HUB_KEY for key, _ in keys):
        message += "; there is one for Docker Hub, which a login without a host makes"
    if is_asked or close:
        return failed("stored login", message, _login(kind, target.host))
    return note("stored login", message)


def check_stored_password(outcome: Outcome, realm: str, login: HeldLogin, target: ClientTarget) -> Finding:
    """Check the answer of our token endpoint to one login with what is stored."""
    fault = check_transport("server", realm, outcome)
    if fault is not None:
        return fault
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always has a finding
    proxy = check_token_endpoint(outcome, realm)
    if proxy is not None:
        return proxy
    since = "" if login.written is None else f", last changed on {login.written:%Y-%m-%d}"
    where = f"for {target.host} in {login.place}{since}"
    if outcome.status == 200:
        return passed("stored login", f"the server accepts the stored login {where}", theirs=login.user)
    said = _without(_details(outcome.body), login) or f"status {outcome.status}"
    if outcome.status == 401:
        message = f"the server rejects the stored login {where}: {said}"
        fix = f"log in with the password of today: {_login(login.kind, target.host)}"
        return failed("stored login", message, fix, theirs=login.user)
    if outcome.status in (429, 503):
        message = f"the server cannot check the stored login {where} now: {said}"
        return warning("stored login", message, "wait, then run doctor client again", theirs=login.user)
    message = f"the server rejects the request with the stored login {where}: {said}"
    fix = "look into the audit log of the server: its event of this request has the reason"
    return failed("stored login", message, fix, theirs=login.user)


def check_proxies(views: Sequence[ProxyVariables], urls: Sequence[str]) -> list[Finding]:
    """Check which of the URLs that a client visits go through a proxy, for each of the views on the variables."""
    found: dict[str, Finding] = {}
    for url in dict.fromkeys(urls):
        host = urlsplit(url).netloc
        for view in views:
            finding = _check_proxy(view, url, host)
            if finding is not None:
                found.setdefault(host, finding)
    if len(views) > 1 and found:
        first, second = (view.shown for view in views)
        message = "variables differ in upper and lower case: older clients in Go prefer upper case, newer ones lower"
        found[""] = note("client proxy", message, ours=f"upper: {first}", theirs=f"lower: {second}")
    return list(found.values())


def check_proxies_section(file: ClientFile) -> list[Finding]:
    """The section `proxies` of docker's file, which is often taken for the client's own."""
    if not file.has_proxies:
        return []
    message = f"proxies in {file.path} are for containers and builds; the client itself does not use them"
    return [note("client proxy", message)]


def _check_proxy(view: ProxyVariables, url: str, host: str) -> Finding | None:
    if view.is_refused(url):
        message = f"REQUEST_METHOD is set, so clients in Go refuse HTTP_PROXY, and requests to {host} fail"
        return failed("client proxy", message, "start the client without the variable REQUEST_METHOD")
    variable = view.proxy_for(url)
    if variable is None:
        return None
    exempt = view.no_proxy
    name = raw_host(host)
    spoiled = None if exempt is None else next((one for one in _entries(exempt.value) if name in one), None)
    message = f"requests to {host} go through a proxy ({variable.name})"
    if exempt is not None and spoiled is not None:
        message += f"; {exempt.name} has {spoiled}, which does not match: an entry is a host, or a host with its port"
    set_name = "NO_PROXY" if exempt is None else exempt.name
    extended = ",".join([*([] if exempt is None else [exempt.value]), name])
    fix = (
        f"try once without it: export {set_name}={shell_word(extended)}; if the login works then, keep that, or let the"
        " proxy pass Authorization and WWW-Authenticate"
    )
    return warning("client proxy", message, fix, theirs=proxy_address(variable.value))


def _entries(no_proxy: str) -> Iterator[str]:
    return (entry.strip() for entry in no_proxy.split(","))


def _identity(what: str, kind: ClientKind, host: str) -> Finding:
    word = shell_word(host)
    message = f"{what} of another token server: this server answers 401 to it, and no password is asked for"
    return failed("identity token", message, f"{kind} logout {word}, then {kind} login {word}")


def _login(kind: ClientKind, host: str) -> str:
    if kind is ClientKind.VARIABLE:
        return (
            f"correct the login for {host} where DOCKER_AUTH_CONFIG is set: docker login does not change the variable"
        )
    return f"{kind} login {shell_word(host)}"


def _get(program: str, host: str) -> str:
    return f"printf %s {shell_word(host)} | {shell_word(program)} get"


def _details(body: bytes) -> str:
    """What the server says about an error, by its own JSON; empty if it says nothing."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = value.get("details") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _without(text: str, login: HeldLogin) -> str:
    """The text, empty if it repeats the password, as it is or in the form of a Basic header (RFC 7617, section 2)."""
    secret = login.password.reveal()
    header = base64.b64encode(f"{login.user}:{secret}".encode("utf-8", "surrogatepass")).decode("ascii")
    return "" if text.count(secret) or text.count(header) else text
