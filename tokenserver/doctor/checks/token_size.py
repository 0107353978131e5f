"""Checks whether tokens for many repositories reach the registry, or are too large for a proxy in front of it. Pure.

The token is one header line of the request. Registries take headers of 1 MB, and proxies often take 8 kB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tokenserver.doctor.findings import Finding, failed, note, passed, warning
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.documents.base64url import encode_base64url

MANY, SOME, FEW = 1000, 100, 20
"""Repositories in the token of a probe: as many as a request may ask for by default; as a mirroring tool asks for in
one process (regctl, regsync, imgpkg); and more than any other client asks for, whose requests name one to three."""

_TOO_LARGE = frozenset({400, 413, 414, 431, 494})
"""How proxies answer a header that is too large (RFC 6585, section 5, has 431; 494 is nginx' own)."""

_SETTINGS = (
    ("`large_client_header_buffers 4 128k;` in http or server", (b"nginx", b"openresty", b"tengine"), "nginx"),
    ("`LimitRequestFieldSize 131072`", (b"apache", b"size of a request header field exceeds"), "Apache"),
    ("`tune.bufsize 262144` in global", (b"haproxy", b"your browser sent an invalid request."), "HAProxy"),
    ("`max_request_headers_kb: 128`", (b"envoy",), "Envoy"),
    ("`limit_request_field_size = 131072`", (b"gunicorn", b"limit request headers fields size"), "gunicorn"),
)
"""A setting, the signs of the program that has it (in its `Server` header or its answer), and the program's name."""


def claims_for(repositories: int) -> str:
    """The second part of a token for this number of repositories, whose names have 24 characters."""
    names = [f"probe/team-{number % 100:02}/image-{number:04}" for number in range(repositories)]
    access = [{"type": "repository", "name": name, "actions": ["pull"]} for name in names]
    return encode_base64url(json.dumps({"access": access}, separators=(",", ":")).encode("ascii"))


def check_token_size(usual: Outcome, by_repositories: Mapping[int, Outcome]) -> Finding | None:
    """Compare the answers to large invalid tokens, by their repositories, with the `usual` one to a small token.

    None if nothing follows from them, because there was no answer, for another reason than the size.
    """
    if not isinstance(usual, HttpAnswer):
        return None
    if _passes(by_repositories.get(MANY), usual):
        return passed(
            "token size", f"tokens for {MANY:,} repositories reach the registry", theirs=_spelled(by_repositories[MANY])
        )
    if _is_refused(by_repositories.get(FEW), usual):
        refusal = by_repositories[FEW]
        message = f"{_who(refusal)} refuses a token for {FEW} repositories ({_size(FEW)}): {_spelled(refusal)}"
        fix = f"{_fix(refusal)}; clients fail without it as soon as a request names several repositories"
        return warning("token size", message, fix, theirs=_spelled(refusal))
    for count, fewer in ((SOME, FEW), (MANY, SOME)):
        if _is_refused(by_repositories.get(count), usual) and _passes(by_repositories.get(fewer), usual):
            refusal = by_repositories[count]
            message = (
                f"{_who(refusal)} passes a token for {fewer} repositories and refuses one for {count:,}"
                f" ({_size(count)}): {_spelled(refusal)}; only tools that copy many repositories in one process ask for"
                f" so many; to raise its limit for them, {_fix(refusal)}"
            )
            return note("token size", message, theirs=_spelled(refusal))
    return None


def explain_too_large(refused: HttpAnswer) -> Finding | None:
    """Explain a refusal of the token itself that no registry made; None if it is not about its size."""
    if refused.status not in _TOO_LARGE or not refused.is_foreign:
        return None
    message = f"{_who(refused)} refuses the token for its size: {_spelled(refused)}"
    return failed("token size", message, _fix(refused), theirs=_spelled(refused))


def _passes(outcome: Outcome | None, usual: HttpAnswer) -> bool:
    return isinstance(outcome, HttpAnswer) and outcome.status == usual.status


def _is_refused(outcome: Outcome | None, usual: HttpAnswer) -> bool:
    """Whether it was refused for its size. Some proxies close the connection before all of the header was sent."""
    if isinstance(outcome, FetchFailure):
        return outcome.reason is FailureReason.CLOSED
    return outcome is not None and outcome.status in _TOO_LARGE and outcome.status != usual.status


def _known(outcome: Outcome) -> tuple[str, str] | None:
    """The program that answers, and its setting; None if it does not show."""
    if not isinstance(outcome, HttpAnswer):
        return None
    shown = (outcome.header("server") or "").lower().encode("ascii", "replace") + b"\n" + outcome.body[:4096].lower()
    for setting, signs, name in _SETTINGS:
        if any(sign in shown for sign in signs):
            return name, setting
    return None


def _who(outcome: Outcome) -> str:
    known = _known(outcome)
    return f"{'a proxy' if known is None else known[0]} in front of the registry"


def _fix(outcome: Outcome) -> str:
    known = _known(outcome)
    if known is None:
        return "let it take header lines of 128 kB (in nginx: `large_client_header_buffers 4 128k;`)"
    return f"set {known[1]}"


def _spelled(outcome: Outcome) -> str:
    return str(outcome.status) if isinstance(outcome, HttpAnswer) else "the connection is closed"


def _size(repositories: int) -> str:
    return f"{len(claims_for(repositories)) / 1000:.0f} kB"
