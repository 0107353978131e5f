"""Decisions of docker_auth: which account is authenticated, and which entry of the ACL grants what.

The answers are those of docker_auth 1.14, including what looks like a mistake. What this model cannot evaluate raises
`ExpressionBeyondLimits` and is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.importers.docker_auth.model import (
    ANYTHING,
    AUTHENTICATORS,
    AUTHORIZERS,
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    Labels,
    PeerAnswer,
    PeerRequest,
)
from tokenserver.importers.docker_auth.patterns import (
    field_matches,
    may_match,
    request_pairs,
    submatch_pairs,
    text_matches,
)
from tokenserver.importers.golang.addresses import parse_address, parse_network

VerifyPassword = Callable[[str, str], bool]
"""Whether a password has a bcrypt hash; hash and password in this order. False for a hash that is none."""


class AskedElsewhere(Exception):
    """docker_auth asks a source of users or rules that is not in its configuration file; the text names it."""


def authenticate(config: DockerAuthConfig, account: str, password: str, verify: VerifyPassword) -> Labels | None:
    """The labels of an account in `users`; None if the password is wrong, which ends docker_auth's search.

    An account without a password hash accepts any password, and none.

    Raises:
        AskedElsewhere: `users` does not have it, and there are other sources of users.
    """
    user = (config.users or {}).get(account)
    if user is None:
        _ask_others(config, AUTHENTICATORS)
        return None
    if user.password_hash is not None and not verify(user.password_hash, password):
        return None
    return user.labels


def _ask_others(config: DockerAuthConfig, kinds: tuple[str, ...]) -> None:
    other = next((kind for kind in kinds if kind in config.backends), None)
    if other is not None:
        raise AskedElsewhere(other)


def answer(config: DockerAuthConfig, request: PeerRequest, verify: VerifyPassword) -> PeerAnswer:
    """The answer to a request for one scope: 401 if the static users reject it, else what the ACL grants.

    A request without a password has an identity already, with the labels that it brings.

    Raises:
        AskedElsewhere: the file alone does not decide.
        ExpressionBeyondLimits: a pattern cannot be evaluated.
    """
    labels: Labels | None = request.labels
    if request.password is not None:
        labels = authenticate(config, request.account, request.password, verify)
    return PeerAnswer(401) if labels is None else authorize(config, request, labels)


def authorize(config: DockerAuthConfig, request: PeerRequest, labels: Labels) -> PeerAnswer:
    """What the first matching entry of the ACL grants; nothing without one.

    Raises:
        AskedElsewhere: no entry matches, and there are other sources of rules.
        ExpressionBeyondLimits: a pattern cannot be evaluated.
    """
    entry = next((entry for entry in config.acl or () if entry_matches(entry, request, labels)), None)
    if entry is None:
        _ask_others(config, AUTHORIZERS)
        return PeerAnswer(200)
    if entry.actions is None:
        return PeerAnswer(0, (), entry)
    asked = sorted(request.actions, key=_bytes)
    if entry.actions == (ANYTHING,):
        return PeerAnswer(200, tuple(asked), entry)
    granted = {action for action in asked if action in entry.actions}
    return PeerAnswer(200, tuple(sorted(granted, key=_bytes)), entry)


def entry_matches(entry: AclEntry, request: PeerRequest, labels: Labels) -> bool:
    """Whether all conditions of an entry hold. An entry without `match` matches nothing: docker_auth does not start.

    Raises:
        ExpressionBeyondLimits: a pattern cannot be evaluated.
    """
    match = entry.match
    if match is None or not _may_match(match, request, labels):
        return False
    if not _has_placeholders(match):
        return True
    patterns = {"account": match.account, "type": match.type, "name": match.name, "service": match.service}
    fields = {"account": request.account, "type": request.type, "name": request.name, "service": request.service}
    pairs = request_pairs(fields) + submatch_pairs(patterns, fields)
    return all(field_matches(patterns[field], fields[field], pairs, labels) for field in patterns) and all(
        any(text_matches(pattern, value, pairs) for value in labels.get(label, ())) for label, pattern in match.labels
    )


def _has_placeholders(match: AclMatch) -> bool:
    patterns = (match.account, match.type, match.name, match.service, *(pattern for _, pattern in match.labels))
    return any(pattern is not None and "${" in pattern for pattern in patterns)


def _may_match(match: AclMatch, request: PeerRequest, labels: Labels) -> bool:
    """Whether the conditions hold that have no placeholders, and the others may: most entries end here."""
    return (
        _field_may_match(match.account, request.account)
        and _field_may_match(match.name, request.name)
        and _field_may_match(match.type, request.type)
        and _field_may_match(match.service, request.service)
        and _address_matches(match.ip, request.ip)
        and all(
            any(_field_may_match(pattern, value) for value in labels.get(label, ())) for label, pattern in match.labels
        )
    )


def _field_may_match(pattern: str | None, subject: str) -> bool:
    if pattern is None:
        return True
    return may_match(pattern, subject) if "${" in pattern else text_matches(pattern, subject, ())


def _address_matches(network: str | None, address: str | None) -> bool:
    if network is None:
        return True
    parsed_network = parse_network(network)
    parsed_address = None if address is None else parse_address(address)
    return parsed_network is not None and parsed_address is not None and parsed_address in parsed_network


def _bytes(text: str) -> bytes:
    """The order of Go's strings."""
    return text.encode("utf-8", "surrogateescape")
