"""Which of our registries stands at an address, and what it may be sent there. Pure.

A registry says about itself whatever it likes, and over plain http anybody on the way can say it in its place. So the
service comes from the operator (`--service`, or the `url` of a registry in our configuration), the scopes from
`--scope`, and the challenge (RFC 6750, section 3) is only compared with them. A visited registry gets no token that
could be used elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tokenserver.doctor.facts import OurRegistry, Ours
from tokenserver.doctor.findings import Finding, doubtful, failed, known
from tokenserver.printable import shell_word
from tokenserver.scopes import Access, Resource, Scope

READ = frozenset({"pull"})
"""All that the doctor does at a registry."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What is known about the registry at an address. Without a `registry`, no token goes there; `why` says so."""

    registry: OurRegistry | None
    why: Finding | None = None


def identify(ours: Ours, chosen: OurRegistry | None, url: str, announced: str) -> Identified:
    """The registry at `url`: the one that was `chosen` by `--service`, else the one that has this `url` configured.

    `announced` is the service of its challenge; it never chooses, and is only named in the advice.
    """
    at_url = [one for one in ours.registries if one.url is not None and _same_address(one.url, url)]
    if chosen is None and len(at_url) == 1:
        return Identified(at_url[0])
    if chosen is None:
        guess = announced if announced in ours.services else "NAME"
        says = "which registry this is, only its own challenge says, so it was sent no token and you were not logged in"
        option = f"--service {shell_word(guess)}"
        mend = f"say {option} if you trust this address with tokens for it, or add its url in {ours.config}"
        return Identified(None, doubtful("service", says, mend, ours=", ".join(ours.services), theirs=announced))
    if at_url and not any(one.service in chosen.names for one in at_url):
        says = f"--service is {chosen.service}, and {ours.config} gives this address to another registry"
        mend = "correct --service or --registry"
        return Identified(None, failed("service", says, mend, ours=chosen.service, theirs=at_url[0].service))
    return Identified(chosen)


def check_asked_scopes(asked: Sequence[Scope], wanted: Sequence[Scope]) -> list[Finding]:
    """Scopes that the challenge names and `--scope` does not: they are told, and not asked for."""
    more = [str(one) for one in asked if one not in wanted]
    if not more:
        return []
    says = "the challenge names scopes; only those of --scope are asked for"
    return [known("scope", says, ours=" ".join(map(str, wanted)) or "none", theirs=" ".join(more))]


def least_access(granted: Mapping[Resource, frozenset[str]], wanted: Sequence[Scope]) -> tuple[Access, ...]:
    """What the token that is sent may allow: to read what `--scope` names, as far as that was granted."""
    names = {one.resource for one in wanted if one.resource.type == "repository" and one.actions & READ}
    held = {resource: granted.get(resource, frozenset()) & READ for resource in names}
    return tuple(Access(resource, held[resource]) for resource in sorted(held, key=str) if held[resource])


def _same_address(one: str, other: str) -> bool:
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, str, int, str]:
    """A URL's scheme, host, port and path (RFC 3986, section 6.2): the host's case and a default port are nothing."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (
        parts.scheme,
        (parts.hostname or "").rstrip("."),
        port,
        parts.path.rstrip("/").removesuffix("/v2").rstrip("/"),
    )
