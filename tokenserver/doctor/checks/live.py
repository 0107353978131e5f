"""What a registry and a token server answered, judged as a client would feel it. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from tokenserver.doctor.checks.setup import RESTART, split_url
from tokenserver.doctor.facts import Ours
from tokenserver.doctor.findings import Finding, doubtful, failed, known, passed, unprotected
from tokenserver.doctor.http import FetchFailure, HttpAnswer, Outcome, Trouble
from tokenserver.printable import shell_word

_HTTPS_WANTED = (b"Client sent an HTTP request to an HTTPS server", b"plain HTTP request was sent to HTTPS port")


_GENERATIONS = {
    "universal": "distribution2|distribution3",
    "jwks": "distribution3",
    "": "distribution2|distribution3|zot",
}


def place_of(compat: str) -> str:
    """Where a registry of this `compat` keeps what it says about tokens."""
    return "zot's http.auth.bearer" if compat == "zot" else "the registry's auth.token"


def check_registry(url: str, outcome: Outcome, service: str, compat: str = "universal") -> Finding:
    """What `GET /v2/` without a token says: a registry that wants tokens answers 401 with a challenge for one.

    `service` and `compat` are those of the one of ours that it most likely is, for the command that configures it; the
    `compat` of one that is not known is empty.
    """
    trouble = transport_trouble("registry", url, outcome)
    if trouble is not None:
        return trouble
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always is a trouble
    mend = _configure(service, compat)
    if outcome.status == 200:
        return unprotected("the registry asks for no token: everybody may do everything there", mend, theirs="none")
    if outcome.status != 401:
        says = f"the address answers {outcome.status} to /v2/, so that no registry seems to be there"
        return failed("registry", says, "correct the URL, or start the registry", theirs=str(outcome.status))
    if outcome.bearer() is not None:
        return passed("registry", "the registry asks for tokens", theirs=url)
    other = outcome.header("www-authenticate")
    if other is None:
        says = "the registry answers 401 without a challenge, so clients do not know where to ask"
        mend = "let the proxy before the registry pass on the header WWW-Authenticate"
        return failed("auth", says, mend, ours="Bearer")
    way = other.partition(" ")[0]
    says = f"the registry asks for {way} credentials and not for a token"
    return failed("auth", says, mend, ours="Bearer", theirs=way)


def check_verifies(outcome: Outcome, service: str, compat: str) -> Finding | None:
    """What the registry answers to a token that nobody signed: one that takes it looks at none."""
    if not isinstance(outcome, HttpAnswer) or outcome.status >= 400 or outcome.is_redirect:
        return None
    says = "the registry takes a token that nobody signed: everybody may do everything there"
    return unprotected(says, _configure(service, compat), theirs=str(outcome.status))


def _configure(service: str, compat: str) -> str:
    prints = f"`tokenserver registry-config {shell_word(service)} --for {_GENERATIONS.get(compat, compat)}`"
    return f"put into its configuration what {prints} prints {RESTART}"


def transport_trouble(check: str, url: str, outcome: Outcome) -> Finding | None:
    """Why nothing useful came from `url`: no connection, no TLS, the wrong scheme, a redirect. None: it is well."""
    parts = urlsplit(url)
    host = parts.netloc
    if isinstance(outcome, FetchFailure):
        return _no_answer(check, url, outcome)
    if outcome.status == 400 and any(text in outcome.body for text in _HTTPS_WANTED):
        right = f"https://{host}{parts.path}"
        return failed("scheme", f"{host} speaks TLS, and was asked without", f"write {right}", ours=url, theirs="https")
    if outcome.is_redirect:
        target = _joined(url, outcome.header("location") or "")
        says = f"{url} redirects, which clients follow badly: a POST becomes a GET, and credentials are dropped"
        mend = f"use the address that it leads to, everywhere: {target}"
        return failed("redirect", says, mend, ours=url, theirs=target)
    return None


def check_realm_address(realm: str, url: str, ours: Ours, place: str) -> Finding | None:
    """Whether the registry, at `url`, announces its own host: that is `autoredirect`."""
    parts, host = split_url(realm), urlsplit(url).netloc
    if parts is None or parts.netloc != host or parts.path != "/auth/token" or realm.startswith(f"{ours.url}/"):
        return None
    says = "the registry sends clients to its own host (autoredirect), which is not our server.url"
    mend = f"remove autoredirect from {place} {RESTART}"
    return failed("autoredirect", says, mend, ours=ours.realm, theirs=realm)


def check_published(outcome: Outcome, ours: Ours) -> Finding:
    """Whether the server at our URL publishes the keys that stand on this disk (its `/.well-known/jwks.json`)."""
    trouble = transport_trouble("server", ours.jwks_url, outcome)
    if trouble is not None:
        return trouble
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always is a trouble
    kids = _kids(outcome) if outcome.status == 200 else None
    if kids is None:
        says = f"server.url leads to something that is no token server of this kind: it answers {outcome.status}"
        mend = f"correct server.url in {ours.config}, or the proxy before the server"
        return failed("server", says, mend, ours=ours.url, theirs=str(outcome.status))
    if ours.active.names.rfc7638 not in kids:
        says = "the server at server.url has other keys than those on this disk"
        mend = (
            f"see that it runs with {ours.config} and its keys; if it was started before the keys were made, see its"
            " log: a reload may have been refused"
        )
        return failed("server", says, mend, ours=ours.active.names.rfc7638, theirs=", ".join(sorted(kids)))
    return passed("server", "the server at server.url answers, with the keys of this disk", theirs=ours.url)


def check_token_answer(outcome: Outcome, ours: Ours, *, with_login: bool) -> tuple[Finding, str | None]:
    """What the token endpoint answered, and the token, where it gave one."""
    trouble = transport_trouble("server", ours.realm, outcome)
    if trouble is not None:
        return trouble, None
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always is a trouble
    value = _object(outcome.body)
    told = value.get("details")
    said = told if isinstance(told, str) else f"status {outcome.status}"
    text = value.get("token")
    if outcome.status == 200 and isinstance(text, str):
        return passed("login", "the server gives a token", theirs=ours.realm), text
    if outcome.status == 401 and not with_login:
        return known("login", "without --user the server gives no token, so one of our own key is tried"), None
    if outcome.status == 401:
        mend = "check name and password; the server's audit event of this moment says which of them is wrong"
        return failed("login", f"the server refuses the login: {said}", mend, theirs=said), None
    if outcome.status == 400:
        mend = f"if the registry is new in {ours.config}, see the server's log: a reload may have been refused"
        return failed("login", f"the server refuses the request: {said}", mend, theirs=said), None
    if outcome.status in (429, 503):
        mend = "wait a little and ask again; /readyz and the log say what is wrong"
        return failed("login", f"the server cannot answer now: {said}", mend, theirs=said), None
    mend = f"correct server.url in {ours.config}, or the proxy before the server"
    return failed("login", f"the token endpoint answers {said}", mend, theirs=said), None


def check_ready(outcome: Outcome) -> list[Finding]:
    """What `/readyz` says is not well."""
    if not isinstance(outcome, HttpAnswer) or outcome.status not in (200, 503):
        return []
    parts = _object(outcome.body).get("parts")
    wrong = {name: said for name, said in parts.items() if said != "ok"} if isinstance(parts, dict) else {}
    mend = "see the server's log; `tokenserver check` tells faults of the files"
    return [failed("ready", f"the server is not ready: {name}: {said}", mend) for name, said in wrong.items()]


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; as it is where that is no URL."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _no_answer(check: str, url: str, failure: FetchFailure) -> Finding:
    parts = urlsplit(url)
    host, detail = parts.netloc, failure.detail
    match failure.trouble:
        case Trouble.NAME:
            says, mend = f"the name {parts.hostname} is not known here", "correct the URL, or the DNS of this machine"
        case Trouble.REFUSED:
            says, mend = f"nothing listens at {host}", "start it, or correct the URL and its port"
        case Trouble.TIMEOUT:
            says, mend = (
                f"{host} does not answer in time",
                "look for a firewall between, and at the load of the machine",
            )
        case Trouble.CERTIFICATE:
            mend = "if a CA of your own signed it, name that by --ca-file, and give it to every client; else renew it"
            if "hostname mismatch" in detail.lower() or "ip address mismatch" in detail.lower():
                mend = f"use the name that its certificate has, or get a certificate for {parts.hostname}"
            return failed("tls", f"the certificate of {host} is not trusted: {detail}", mend, ours=url, theirs=detail)
        case Trouble.PLAIN:
            right = f"http://{host}{parts.path}"
            says = f"{host} speaks no TLS, and was asked for it"
            return failed("scheme", says, f"write {right}, or give it TLS", ours=url, theirs="http")
        case Trouble.TLS:
            mend = "see its TLS settings: versions, ciphers, a client certificate"
            return failed("tls", f"no TLS connection to {host} came about: {detail}", mend, ours=url, theirs=detail)
        case Trouble.CLOSED:
            mend = f"if it speaks TLS, write https://{host}" if parts.scheme == "http" else "see its log"
            says = f"{host} closes the connection: {detail}"
        case Trouble.EXPOSED:
            says = f"nothing secret was sent to {host}: over plain http, anybody on the way could use it"
            mend = "use https there, or run the doctor on the machine where it listens, with a localhost URL"
            return doubtful("transport", says, mend, ours=url, theirs=detail)
        case Trouble.OTHER:  # pragma: no branch - the type checker proves that no other is left
            says, mend = f"{host} cannot be reached: {detail}", "correct the URL, or the network of this machine"
    return failed(check, says, mend, ours=url, theirs=detail)


def _kids(answer: HttpAnswer) -> set[str] | None:
    keys = _object(answer.body).get("keys")
    if not isinstance(keys, list):
        return None
    return {key["kid"] for key in keys if isinstance(key, dict) and isinstance(key.get("kid"), str)}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
