"""Who answered: the registry or token server itself, or a proxy, a cache or a login page in front of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tokenserver.doctor.facts import Ours
from tokenserver.doctor.findings import Finding, failed, note
from tokenserver.doctor.http import HttpAnswer, Outcome

_GATEWAY = {502: "cannot reach", 503: "has no way to", 504: "gets no answer in time from"}


def check_answerer(answer: HttpAnswer, target: str = "/v2/") -> Finding | None:
    """Report an answer to a request for `target` that no registry made; None if a registry made it."""
    if not answer.is_foreign or answer.is_redirect or answer.bearer() is not None:
        return None
    who = f"something in front of the registry ({answer.maker})"
    told = _spell(answer)
    if answer.status in _GATEWAY:
        message = f"{who} {_GATEWAY[answer.status]} the registry: it answers {answer.status} at {target}"
        fix = "start the registry, or correct the address that the proxy sends requests to"
        return failed("proxy", message, fix, theirs=told)
    if answer.status == 401:
        challenge = answer.header("www-authenticate")
        if challenge is None:
            return None  # a registry whose challenge a proxy has dropped looks the same
        scheme = challenge.partition(" ")[0]
        message = f"{who} asks for {scheme} credentials at {target}: this is not the registry's own answer"
        fix = f"take the password away from {target} in that proxy (nginx: auth_basic off), since the token protects it"
        return failed("proxy", message, fix, ours="Bearer", theirs=told)
    if answer.status == 403:
        message = f"{who} forbids the request for {target}: this is not the registry's own answer"
        return failed("proxy", message, f"let it pass {target} and everything below it", theirs=told)
    what = "a page for people (HTML)" if answer.is_page else "an answer without the header of a registry"
    message = f"no registry answers at {target}: {what} with status {answer.status}, made by {answer.maker}"
    fix = (
        f"let the proxy in front of the registry pass {target} and everything below it unchanged, the path included"
        " (nginx: proxy_pass without a path), and no login page before it; or correct the URL"
    )
    return failed("proxy", message, fix, theirs=told)


def check_token_seen(junk: Outcome, *, is_zot: bool = False) -> Finding | None:
    """Report a registry that answers a token which is junk as if there was none (RFC 6750, section 3.1).

    Distribution says `error="invalid_token"` of every token that it cannot use. zot says so of none: since 2.1.3 it
    answers no token with a challenge for the scope "", and one that it cannot use without a challenge. Before, it has
    one challenge for both, from which nothing follows.
    """
    if not isinstance(junk, HttpAnswer) or junk.status != 401:
        return None
    challenge = junk.bearer()
    if challenge is None or "error=" in challenge:
        return None
    is_known = 'scope=""' in challenge if is_zot else "docker-distribution-api-version" in junk.headers
    return _unseen(junk, challenge) if is_known else None


def check_no_token_sent(first: HttpAnswer) -> Finding | None:
    """Report a zot that answers a request without a token as it answers one with a token that it cannot use."""
    if first.status != 401 or first.bearer() is not None or b'"UNSUPPORTED"' not in first.body:
        return None
    message = "zot got an Authorization that was not sent: something in front of it puts in one of its own"
    fix = "let the proxy in front of zot pass Authorization on (nginx: no proxy_set_header Authorization)"
    return failed("proxy", message, fix, ours="no Authorization", theirs="401 UNSUPPORTED, without a challenge")


def _unseen(junk: HttpAnswer, challenge: str) -> Finding:
    kept = junk.header("age") is not None or "hit" in (junk.header("x-cache") or "").lower()
    how = "a cache answers instead of the registry" if kept else "something in front of it drops or replaces the header"
    message = f"the registry did not see the token: {how} Authorization" if not kept else f"no token is seen: {how}"
    fix = (
        "let the proxy in front of the registry pass Authorization on (nginx: no proxy_set_header Authorization), and"
        " keep no answers below /v2/ in a cache (nginx: proxy_cache off)"
    )
    return failed("proxy", message, fix, ours="Authorization: Bearer …", theirs=challenge)


def check_token_endpoint(answer: HttpAnswer, url: str) -> Finding | None:
    """Report an answer of the token endpoint that our server did not make: ours are all JSON objects."""
    if answer.is_redirect or not answer.is_foreign:
        return None
    told = _spell(answer)
    if answer.status == 401:
        message = f"not our server but something in front of it ({answer.maker}) refuses the login"
        fix = f"let the proxy pass {url} without a login of its own (nginx: auth_basic off)"
        return failed("proxy", message, fix, ours=url, theirs=told)
    if answer.status in _GATEWAY:
        message = f"something in front of our server ({answer.maker}) {_GATEWAY[answer.status]} it: {answer.status}"
        return failed(
            "proxy", message, "start the server, or correct the proxy's address for it", ours=url, theirs=told
        )
    what = "a page for people (HTML)" if answer.is_page else "something that is not JSON"
    message = f"the token endpoint answers with {what}: a proxy or login page ({answer.maker}) answers instead of it"
    return failed("proxy", message, f"let the proxy pass {url} to our server, unchanged", ours=url, theirs=told)


def check_only_tokens(endpoint: Outcome, published: HttpAnswer, ours: Ours) -> Finding | None:
    """Accept a proxy that passes only the token endpoint on, which is all that clients need.

    `endpoint` is the answer to a request there without parameters, `published` the one for our keys, which is not ours.
    """
    if (
        not isinstance(endpoint, HttpAnswer)
        or endpoint.status not in (200, 400, 401)
        or "x-request-id" not in endpoint.headers
    ):
        return None
    if published.status == 200 or "x-request-id" in published.headers or not endpoint.is_from_registry:
        return None
    message = f"{ours.realm} is our server; its other paths answer {published.status}, so keys were not compared"
    return note("server", message, ours=ours.url, theirs=str(published.status))


def check_login_seen(claims: Mapping[str, object], url: str) -> Finding | None:
    """Report a token for nobody that our server issued although a login was sent."""
    if claims.get("sub"):
        return None
    message = "the server did not see the login: the token is for nobody, although a user and a password were sent"
    fix = f"let the proxy in front of {url} pass Authorization on (nginx: no proxy_set_header Authorization)"
    return failed("proxy", message, fix, ours="a token for the user", theirs="a token for nobody (anonymous)")


def check_replicas(statuses: list[int]) -> Finding | None:
    """Report an address that takes the same token one time and rejects it another."""
    if len({status < 400 for status in statuses}) < 2:
        return None
    told = ", ".join(map(str, statuses))
    message = "the same token is accepted one time and rejected another: replicas with different configurations"
    fix = "give all replicas behind this address the same configuration and the same trusted keys, and restart them"
    return failed("replicas", message, fix, theirs=told)


def _spell(answer: HttpAnswer) -> str:
    kind = (answer.header("content-type") or "no type").partition(";")[0]
    return f"{answer.status} {kind}, Server: {answer.header('server') or 'none'}"
