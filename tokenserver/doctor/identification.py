"""Identification of the registry at an address, and the access that a token sent there may carry. Pure.

A registry's description of itself is not trusted, and plain http can be tampered with in transit. So the service comes
from the operator (`--service`, or the `url` of a registry in our configuration), the scopes come from `--scope`, and
the challenge (RFC 6750, section 3) is only compared with them. A visited registry never gets a token that is valid
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tokenserver.doctor.facts import OurRegistry, Ours
from tokenserver.doctor.findings import Finding, failed, note, warning
from tokenserver.documents.urls import host_of, port_of
from tokenserver.printable import shell_word
from tokenserver.scopes import Access, Resource, Scope

READ = frozenset({"pull"})
"""The only action that the doctor performs at a registry."""


@dataclass(frozen=True, slots=True)
class Identified:
    """The registry at an address. If `registry` is None, no token is sent there and `why` explains it."""

    registry: OurRegistry | None
    why: Finding | None = None


def identify(ours: Ours, chosen: OurRegistry | None, url: str, announced: str) -> Identified:
    """The registry at `url`: the one `chosen` by `--service`, else the one that has this `url` configured.

    `announced` is the service in its challenge; it is only used in the suggested fix.
    """
    at_url = [one for one in ours.registries if one.url is not None and _same_address(one.url, url)]
    if chosen is None and len(at_url) == 1:
        return Identified(at_url[0])
    if chosen is None:
        guess = announced if announced in ours.services else "NAME"
        message = "only its own challenge says which registry this is, so no login was tried and no token was sent"
        option = f"--service {shell_word(guess)}"
        fix = f"pass {option} if you trust this address with tokens for it, or add its url in {ours.config}"
        return Identified(None, warning("service", message, fix, ours=", ".join(ours.services), theirs=announced))
    if at_url and not any(one.service in chosen.names for one in at_url):
        message = f"--service is {chosen.service}, and {ours.config} gives this address to another registry"
        fix = "correct --service or --registry"
        return Identified(None, failed("service", message, fix, ours=chosen.service, theirs=at_url[0].service))
    return Identified(chosen)


def check_asked_scopes(asked: Sequence[Scope], wanted: Sequence[Scope]) -> list[Finding]:
    """Scopes that the challenge names and `--scope` does not: reported, and not requested."""
    more = [str(one) for one in asked if one not in wanted]
    if not more:
        return []
    message = "the challenge names more scopes; only those of --scope are requested"
    return [note("scope", message, ours=" ".join(map(str, wanted)) or "none", theirs=" ".join(more))]


def least_access(granted: Mapping[Resource, frozenset[str]], wanted: Sequence[Scope]) -> tuple[Access, ...]:
    """The access of the token that is sent: pull on what `--scope` names, as far as it was granted."""
    names = {one.resource for one in wanted if one.resource.type == "repository" and one.actions & READ}
    held = {resource: granted.get(resource, frozenset()) & READ for resource in names}
    return tuple(Access(resource, held[resource]) for resource in sorted(held, key=str) if held[resource])


def _same_address(one: str, other: str) -> bool:
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, str, int, str]:
    """A URL's scheme, host, port and path, normalized (RFC 3986, section 6.2)."""
    parts = urlsplit(url)
    return parts.scheme, host_of(url), port_of(parts), parts.path.rstrip("/").removesuffix("/v2").rstrip("/")
