"""The form for a new secret, of a person or a robot: what it offers, and the wish that was filled in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.management.refusals import InvalidWish, WishFault
from tokenserver.management.wishes import KeyWish, SecretLifetimes

HOUR, DAY = 3600, 86_400

LIFETIMES = (
    (12 * HOUR, "12 hours"),
    (7 * DAY, "7 days"),
    (30 * DAY, "30 days"),
    (90 * DAY, "90 days"),
    (365 * DAY, "1 year"),
)
"""What can be chosen, as far as the configuration allows it: seconds, and their text."""

USES: Mapping[str, tuple[str, tuple[str, ...] | None]] = {
    "all": ("Everything allowed", None),
    "pull": ("Pull only", ("pull",)),
    "push": ("Pull and push", ("pull", "push")),
}
"""What a secret is for: by the value in the form, its text and its actions."""


class LoginCommand(NamedTuple):
    """How to log in to a registry."""

    host: str
    command: str


@dataclass(frozen=True, slots=True)
class SecretForm:
    """What a form for a secret shows: what was typed, and what is wrong with it, by the names of the fields."""

    typed: Mapping[str, str]
    lifetimes: tuple[tuple[int, str], ...]
    services: tuple[str, ...]
    uses: tuple[tuple[str, str], ...]
    wrong: Mapping[str, str] = field(default_factory=dict)


def secret_form(
    settings: Settings, lifetimes: SecretLifetimes, *, typed: Mapping[str, str] | None = None
) -> SecretForm:
    """The form for secrets that are valid for so long. `typed` has what was filled in, by the names of the fields."""
    most, usual = int(lifetimes.most.total_seconds()), lifetimes.usual.total_seconds()
    offered = tuple(one for one in LIFETIMES if one[0] <= most) or ((most, "As long as possible"),)
    chosen = max((seconds for seconds, _ in offered if seconds <= usual), default=offered[0][0])
    services = tuple(registry.service for registry in settings.registries)
    empty = {"name": "", "use": "all", "repositories": "", "service": "", "networks": "", "lifetime": str(chosen)}
    uses = tuple((value, text) for value, (text, _) in USES.items())
    return SecretForm(empty | dict(typed or {}), offered, services, uses)


def wish_of(form: Mapping[str, str]) -> KeyWish:
    """The wish in a form that was sent.

    Raises:
        InvalidWish: it is no form of ours.
    """
    use, lifetime = form.get("use", "all"), form.get("lifetime", "")
    if use not in USES:
        raise InvalidWish.of("use", "is none of those on the page")
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 10):
        raise InvalidWish.of("lifetime", "is none of those on the page")
    service = form.get("service", "")
    return KeyWish(
        name=form.get("name", "").strip(),
        actions=USES[use][1],
        repositories=_lines(form.get("repositories", "")),
        services=(service,) if service else (),
        networks=_lines(form.get("networks", "")),
        lifetime=int(lifetime),
    )


_FIELDS = {"actions": "use", "services": "service"}


def wrong_fields(faults: tuple[WishFault, ...]) -> dict[str, str]:
    """What is wrong, by the names of the fields of the form."""
    found: dict[str, str] = {}
    for fault in faults:
        name = fault.field.partition("[")[0]
        found.setdefault(_FIELDS.get(name, name), fault.message)
    return found


def login_commands(settings: Settings, name: str, service: str = "") -> list[LoginCommand]:
    """How to log in with a secret that is for one registry, or for all of them."""
    registries = [one for one in settings.registries if not service or service in one.names]
    hosts = dict.fromkeys(_host(one) for one in registries)
    return [LoginCommand(host, f"docker login -u {shlex.quote(name)} {shlex.quote(host)}") for host in hosts]


def _host(registry: RegistrySettings) -> str:
    return registry.service if registry.url is None else urlsplit(registry.url).netloc


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
