"""Checks of the listener for pages and the API at its public URL, from the point of view of a program. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tokenserver.doctor.checks.live import check_transport
from tokenserver.doctor.findings import Finding, failed, passed
from tokenserver.doctor.http import HttpAnswer, Outcome

PROBE = "/api/v1/whoami"
"""What is asked for, without credentials: the API answers with a problem and a challenge that has the issuer."""


@dataclass(frozen=True, slots=True)
class OurManagement:
    """Our listener for management: its public `url`, where it `listens`, and the `issuer` in its challenges.

    `config` is the file that says so.
    """

    url: str
    listens: str
    issuer: str
    config: str


def check_management(outcome: Outcome, ours: OurManagement) -> Finding:
    """Check that pages and the API of this server are at `server.management_url`, by the answer to `PROBE` there."""
    fault = check_transport("management", ours.url, outcome)
    if fault is not None:
        return fault
    assert isinstance(outcome, HttpAnswer)  # noqa: S101 - a failure always has a finding
    proxy = f"or let the proxy in front of it send requests to {ours.listens} (server.management), the path unchanged"
    match _code(outcome):
        case "authentication_required":
            return _of_issuer(outcome, ours)
        case "plain_http":
            message = "pages and the API at server.management_url reject requests as plain http"
            fix = (
                f"let the proxy in front of it send X-Forwarded-Proto: https, and list it in server.trusted_proxies in"
                f" {ours.config}"
            )
            if ours.url.startswith("http://"):
                fix = f"serve https there, and write https:// in server.management_url in {ours.config}"
            return failed("management", message, fix, ours=ours.url, theirs="plain_http")
        case "unavailable":
            message = "pages and the API at server.management_url cannot answer now"
            return failed("management", message, "wait and retry; /readyz and the log say what is wrong", ours=ours.url)
        case "UNSUPPORTED" if outcome.status == 404:
            message = "server.management_url leads to the public listener, which has no pages and no API"
            return failed("management", message, f"correct it in {ours.config}, {proxy}", ours=ours.url, theirs="404")
    message = f"server.management_url does not lead to pages and the API: {PROBE} is answered with {outcome.status}"
    fix = f"correct server.management_url in {ours.config}, {proxy}"
    return failed("management", message, fix, ours=ours.url, theirs=str(outcome.status))


def _of_issuer(answer: HttpAnswer, ours: OurManagement) -> Finding:
    challenge = answer.header("www-authenticate") or ""
    if f'realm="{ours.issuer}"' in challenge:
        return passed("management", "pages and the API answer at server.management_url", theirs=ours.url)
    message = "another token server answers at server.management_url, or a proxy replaces WWW-Authenticate"
    fix = f"correct server.management_url in {ours.config}, or the proxy in front of it"
    return failed("management", message, fix, ours=ours.issuer, theirs=challenge or "no challenge")


def _code(answer: HttpAnswer) -> str | None:
    """The code of a problem of the API, or of an error of the public listener; None: neither of them answered."""
    try:
        document = json.loads(answer.body)
        code = document["code"] if "code" in document else document["errors"][0]["code"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return code if isinstance(code, str) else None
