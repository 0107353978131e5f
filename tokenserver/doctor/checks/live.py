"""Checks of live responses of a registry and of our token server, from a client's point of view. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from tokenserver.doctor.checks.answerer import check_answerer, check_no_token_sent, check_token_endpoint
from tokenserver.doctor.checks.setup import RESTART
from tokenserver.doctor.commands import check_files, print_section
from tokenserver.doctor.facts import OurRegistry, Ours
from tokenserver.doctor.findings import Finding, failed, note, open_registry, passed, warning
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.documents.urls import split_url

_HTTPS_WANTED = (b"Client sent an HTTP request to an HTTPS server", b"plain HTTP request was sent to HTTPS port")


def place_of(compat: str) -> str:
    """The configuration section for tokens in a registry of this `compat`."""
    return "zot's http.auth.bearer" if compat == "zot" else "the registry's auth.token"


def check_registry(url: str, outcome: Outcome, ours: Ours, registry: OurRegistry | None) -> Finding:
    """Check the response to `GET /v2/` without a token: it must be 401 with a Bearer challenge.

    `registry` is the one that it most likely is, for the suggested command; None if that is unknown.
    """
    fault = check_transport("registry", url, outcome)
    if fault is not None:
        return fault
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always has a finding
    proxy = check_answerer(outcome)
    if proxy is not None:
        return proxy
    fix = _configure(ours, registry)
    if outcome.status == 200:
        return open_registry("the registry requires no token: anyone can do anything there", fix, theirs="none")
    if outcome.status != 401:
        message = f"/v2/ answers {outcome.status}, so this does not look like a registry"
        return failed("registry", message, "correct the URL, or start the registry", theirs=str(outcome.status))
    if outcome.bearer() is not None:
        return passed("registry", "the registry asks for tokens", theirs=url)
    other = outcome.header("www-authenticate")
    if (added := check_no_token_sent(outcome)) is not None:
        return added
    if other is None:
        message = "the registry answers 401 without a challenge, so clients do not know where to get a token"
        fix = "let the proxy in front of the registry pass the header WWW-Authenticate"
        return failed("auth", message, fix, ours="Bearer")
    scheme = other.partition(" ")[0]
    message = f"the registry asks for {scheme} credentials instead of a token"
    return failed("auth", message, fix, ours="Bearer", theirs=scheme)


def check_verifies(outcome: Outcome, ours: Ours, registry: OurRegistry) -> Finding | None:
    """Check the response to a token with an invalid signature: a registry that accepts it verifies none."""
    if not isinstance(outcome, HttpAnswer) or outcome.status >= 400 or outcome.is_redirect:
        return None
    message = "the registry accepts a token with an invalid signature: anyone can do anything there"
    return open_registry(message, _configure(ours, registry), theirs=str(outcome.status))


def _configure(ours: Ours, registry: OurRegistry | None) -> str:
    return f"add the output of {print_section(ours, registry)} to its configuration {RESTART}"


def check_transport(check: str, url: str, outcome: Outcome) -> Finding | None:
    """A fault of the transport to `url`: no connection, no TLS, the wrong scheme, a redirect. None if it works."""
    parts = urlsplit(url)
    host = parts.netloc
    if isinstance(outcome, FetchFailure):
        return _no_answer(check, url, outcome)
    if outcome.status == 400 and any(text in outcome.body for text in _HTTPS_WANTED):
        right = f"https://{host}{parts.path}"
        return failed("scheme", f"{host} speaks TLS, but the URL is http", f"write {right}", ours=url, theirs="https")
    if outcome.is_redirect:
        target = _joined(url, outcome.header("location") or "")
        message = f"{url} redirects, which breaks clients: a POST becomes a GET, and credentials are dropped"
        fix = f"use the target of the redirect everywhere: {target}"
        return failed("redirect", message, fix, ours=url, theirs=target)
    return None


def check_realm_address(realm: str, url: str, ours: Ours, place: str) -> Finding | None:
    """Check whether the realm is the registry's own host, which is the sign of `autoredirect`."""
    parts, host = split_url(realm), urlsplit(url).netloc
    if parts is None or parts.netloc != host or parts.path != "/auth/token" or realm.startswith(f"{ours.url}/"):
        return None
    message = "the registry sends clients to its own host (autoredirect), which is not our server.url"
    fix = f"remove autoredirect from {place} {RESTART}"
    return failed("autoredirect", message, fix, ours=ours.realm, theirs=realm)


def check_published(outcome: Outcome, ours: Ours) -> Finding:
    """Check that the server at our URL publishes the keys on this disk (`/.well-known/jwks.json`)."""
    fault = check_transport("server", ours.jwks_url, outcome)
    if fault is not None:
        return fault
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always has a finding
    kids = _kids(outcome) if outcome.status == 200 else None
    if kids is None:
        message = f"server.url does not lead to a tokenserver: it answers {outcome.status}"
        fix = f"correct server.url in {ours.config}, or the proxy in front of the server"
        return failed("server", message, fix, ours=ours.url, theirs=str(outcome.status))
    if ours.active.names.rfc7638 not in kids:
        message = "the server at server.url has different keys than this disk"
        fix = (
            f"check that it runs with {ours.config} and its keys; if it started before the keys were made, check its"
            " log: a reload may have been rejected"
        )
        return failed("server", message, fix, ours=ours.active.names.rfc7638, theirs=", ".join(sorted(kids)))
    return passed("server", "the server at server.url answers, with the keys on this disk", theirs=ours.url)


def check_token_answer(outcome: Outcome, ours: Ours, *, with_login: bool) -> tuple[Finding, str | None]:
    """Check the response of the token endpoint; returns the finding, and the token if it issued one."""
    fault = check_transport("server", ours.realm, outcome)
    if fault is not None:
        return fault, None
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always has a finding
    proxy = check_token_endpoint(outcome, ours.realm)
    if proxy is not None:
        return proxy, None
    value = _object(outcome.body)
    details = value.get("details")
    reported = details if isinstance(details, str) else f"status {outcome.status}"
    text = value.get("token")
    if outcome.status == 200 and isinstance(text, str):
        return passed("login", "the server issues a token", theirs=ours.realm), text
    if outcome.status == 401 and not with_login:
        return note("login", "without --user the server issues no token, so one signed here is tried"), None
    if outcome.status == 401:
        fix = "check the name and the password; the server's audit log says which of them is wrong"
        return failed("login", f"the server rejects the login: {reported}", fix, theirs=reported), None
    if outcome.status == 400 and reported == "service: is missing":
        message = "our server got the request without its query, which names the service and the scopes"
        fix = f"let the proxy in front of it pass the query of {ours.realm} on (nginx: no rewrite that ends in ?)"
        return failed("proxy", message, fix, ours="?service=…", theirs=reported), None
    if outcome.status == 400:
        fix = f"if the registry is new in {ours.config}, check the server's log: a reload may have been rejected"
        return failed("login", f"the server rejects the request: {reported}", fix, theirs=reported), None
    if outcome.status in (429, 503):
        fix = "wait and retry; /readyz and the log say what is wrong"
        return failed("login", f"the server cannot answer now: {reported}", fix, theirs=reported), None
    fix = f"correct server.url in {ours.config}, or the proxy in front of the server"
    return failed("login", f"the token endpoint answers {reported}", fix, theirs=reported), None


def check_ready(outcome: Outcome, ours: Ours) -> list[Finding]:
    """One finding for each part that `/readyz` reports as not ready, and one if its configuration is not in force."""
    if not isinstance(outcome, HttpAnswer) or outcome.status not in (200, 503):
        return []
    answer = _object(outcome.body)
    parts = answer.get("parts")
    wrong = {name: state for name, state in parts.items() if state != "ok"} if isinstance(parts, dict) else {}
    fix = f"check the server's log; {check_files(ours)} lists faults in the files"
    found = [failed("ready", f"the server is not ready: {name}: {state}", fix) for name, state in wrong.items()]
    notes = answer.get("notes")
    pending = notes.get("configuration") if isinstance(notes, dict) else None
    if isinstance(pending, str):
        fix = f"fix what {check_files(ours)} lists, if anything, then restart the server"
        found.append(warning("configuration", f"not what the server runs with: {pending}", fix))
    return found


def _joined(url: str, location: str) -> str:
    """The target of a redirect; unchanged if it is not a URL."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _no_answer(check: str, url: str, failure: FetchFailure) -> Finding:
    parts = urlsplit(url)
    host, detail = parts.netloc, failure.detail
    match failure.reason:
        case FailureReason.NAME:
            message, fix = (
                f"the name {parts.hostname} does not resolve here",
                "correct the URL, or the DNS of this machine",
            )
        case FailureReason.REFUSED:
            message, fix = f"nothing listens at {host}", "start it, or correct the URL and its port"
        case FailureReason.TIMEOUT:
            message, fix = (
                f"{host} does not answer in time, to {detail}",
                "check firewalls on the way, and the load of that machine; --timeout SECONDS waits longer",
            )
        case FailureReason.CERTIFICATE:
            fix = (
                "if your own CA signed it, pass that CA by --ca-file and install it on every client; otherwise renew it"
            )
            if "hostname mismatch" in detail.lower() or "ip address mismatch" in detail.lower():
                fix = f"use the name that its certificate has, or get a certificate for {parts.hostname}"
            return failed("tls", f"the certificate of {host} is not trusted: {detail}", fix, ours=url, theirs=detail)
        case FailureReason.PLAIN:
            right = f"http://{host}{parts.path}"
            message = f"{host} does not speak TLS, but the URL is https"
            return failed("scheme", message, f"write {right}, or configure TLS there", ours=url, theirs="http")
        case FailureReason.TLS:
            fix = "check its TLS settings: versions, ciphers, client certificates"
            return failed("tls", f"the TLS handshake with {host} failed: {detail}", fix, ours=url, theirs=detail)
        case FailureReason.CLOSED:
            fix = f"if it speaks TLS, write https://{host}" if parts.scheme == "http" else "see its log"
            message = f"{host} closes the connection: {detail}"
        case FailureReason.EXPOSED:
            message = f"no credentials were sent to {host}: over plain http they could be read on the way"
            fix = "use https there, or run the doctor on the machine where it listens, with a localhost URL"
            return warning("transport", message, fix, ours=url, theirs=detail)
        case FailureReason.OTHER:  # pragma: no branch - the type checker proves that this is the last one
            message, fix = f"{host} cannot be reached: {detail}", "correct the URL, or the network of this machine"
    return failed(check, message, fix, ours=url, theirs=detail)


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
