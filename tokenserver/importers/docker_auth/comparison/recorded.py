"""Recorded requests: JSON lines with the parts of a request, this server's audit log, or docker_auth's own log. Pure.

docker_auth logs the claims of each token that it issues, so of a request there is what was granted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from tokenserver.importers.docker_auth.model import NO_LABELS, DockerAuthConfig, Labels, PeerRequest
from tokenserver.scopes import ACTIONS, ScopeSyntaxError, in_order, parse_scope

_MAX_LINE = 256 * 1024


@dataclass(slots=True)
class Recording:
    """The requests of a log, each once, and the lines without one, by reason."""

    requests: dict[tuple[object, ...], PeerRequest] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)


class _NoRequest(Exception):
    """A line without a request; the text is the reason."""


def recorded_requests(lines: Iterable[str], config: DockerAuthConfig, limit: int) -> Recording:
    """The different requests in the lines, at most `limit`. Static accounts have the labels of the configuration."""
    found = Recording()
    for line in lines:
        if not line.strip():
            continue
        try:
            for request in _requests(line, config):
                labels = tuple(sorted(request.labels.items()))
                key = (
                    request.account,
                    request.name,
                    request.actions,
                    request.type,
                    request.service,
                    request.ip,
                    labels,
                )
                if len(found.requests) < limit or key in found.requests:
                    found.requests[key] = request
                else:
                    found.skipped["more requests than are compared"] += 1
        except _NoRequest as reason:
            found.skipped[str(reason)] += 1
    return found


def _requests(line: str, config: DockerAuthConfig) -> Iterator[PeerRequest]:
    content = _object(line)
    if content.get("event") == "exchange":
        yield from _audited(content, config)
    elif "access" in content and "aud" in content:
        yield from _claimed(content, config)
    elif "name" in content and "actions" in content:
        yield _written(content, config)
    else:
        raise _NoRequest("another event")


def _object(line: str) -> dict[str, Any]:
    """The JSON object of a line, or at its end, as docker_auth writes it."""
    start = line.find("{") if line.startswith("{") else line.find('{"')
    if start < 0 or len(line) > _MAX_LINE:
        raise _NoRequest("no JSON")
    try:
        content = json.loads(line[start:])
    except (ValueError, RecursionError):
        raise _NoRequest("no JSON") from None
    return dict(content)  # a text that begins with a brace is an object


def _audited(event: Mapping[str, Any], config: DockerAuthConfig) -> Iterator[PeerRequest]:
    account = _text(event.get("subject") or "", "subject")
    for text in _texts(event.get("asked", []), "asked"):
        try:
            scope = parse_scope(text)
        except ScopeSyntaxError:
            raise _NoRequest("a scope that cannot be read") from None
        yield _request(
            config,
            account=account,
            name=scope.resource.name,
            actions=tuple(in_order(scope.actions)),
            type=scope.resource.type,
            service=_text(event.get("registry") or "", "registry"),
            ip=_address(event.get("client")),
        )


def _claimed(claims: Mapping[str, Any], config: DockerAuthConfig) -> Iterator[PeerRequest]:
    for one in claims["access"] if isinstance(claims["access"], list) else ():
        if not isinstance(one, dict):
            raise _NoRequest("a token that cannot be read")
        granted = _texts(one.get("actions") or [], "actions")
        yield _request(
            config,
            account=_text(claims.get("sub") or "", "sub"),
            name=_text(one.get("name") or "", "name"),
            actions=tuple(in_order(granted)) or ACTIONS,
            type=_text(one.get("type") or "", "type"),
            service=_text(claims["aud"], "aud"),
            ip=None,
        )


def _written(content: Mapping[str, Any], config: DockerAuthConfig) -> PeerRequest:
    labels = content.get("labels")
    if labels is not None and not isinstance(labels, dict):
        raise _NoRequest("a field that cannot be read: labels")
    return _request(
        config,
        account=_text(content.get("account", ""), "account"),
        name=_text(content["name"], "name"),
        actions=tuple(_texts(content["actions"], "actions")),
        type=_text(content.get("type", "repository"), "type"),
        service=_text(content.get("service", ""), "service"),
        ip=_address(content.get("ip")),
        labels=None if labels is None else {name: tuple(_texts(labels[name], "labels")) for name in labels},
    )


def _request(config: DockerAuthConfig, *, account: str, labels: Labels | None = None, **parts: Any) -> PeerRequest:
    user = (config.users or {}).get(account)
    known = user.labels if user is not None else NO_LABELS
    return PeerRequest(account=account, labels=known if labels is None else labels, **parts)


def _address(value: object) -> str | None:
    if value is None:
        return None
    try:
        return str(ip_address(_text(value, "ip")))
    except ValueError:
        raise _NoRequest("a field that cannot be read: ip") from None


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _NoRequest(f"a field that cannot be read: {name}")
    return value


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list):
        raise _NoRequest(f"a field that cannot be read: {name}")
    return [_text(one, name) for one in value]
