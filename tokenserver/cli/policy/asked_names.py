"""Repositories and patterns as users paste them: image names and URLs, and the registry that their host names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from tokenserver.cli.policy.options import Source
from tokenserver.cli.terminal import echo
from tokenserver.policy.image_names import ImageName, RegistryNames, parse_image_name, registries_at, split_host


@dataclass(frozen=True, slots=True)
class AskedName:
    """What a question is about: a repository or a pattern, and the registry that its host names (None: no host).

    `image` has the parts of a pasted image name; None for a plain name, which needs no `note` either.
    """

    name: str
    service: str | None
    image: ImageName | None = None
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """The image name for `--json`; empty for a plain name."""
        if self.image is None:
            return {}
        parts = {"host": self.image.host, "tag": self.image.tag, "digest": self.image.digest}
        given = {key: value or None for key, value in parts.items()}
        return {"image": {"repository": self.name, "service": self.service, **given, "note": self.note}}

    def print_note(self) -> None:
        """Say on standard error how the name was read, unless it was plain."""
        if self.note:
            echo(self.note, err=True)


def asked_name(source: Source, text: str, service: str | None) -> AskedName:
    """The repository that `text` names, as a plain name, an image name or a URL; `registry:NAME` stays as it is.

    `service` is the value of `--service`, which must not contradict the host.

    Raises:
        ImageNameError: no such name.
        click.UsageError: the host is no configured registry, or another one than `service`.
    """
    if _is_registry_resource(text):
        return AskedName(text, service)
    image = parse_image_name(text)
    if image.is_plain:
        return AskedName(text, service)
    if not image.scheme and image.tag.isdigit() and "/" not in text and registries_at(text, "", source.known):
        raise click.UsageError(f"{text!r} is a registry; add the repository: {text}/NAME")
    return _placed(source, text, image, service)


def asked_pattern(source: Source, text: str, service: str | None) -> AskedName:
    """Like `asked_name`, for a pattern of repositories, of which only the host is removed.

    Raises:
        click.UsageError: as `asked_name`.
    """
    host, rest = split_host(text)
    return _placed(source, text, ImageName(host, rest), service) if host else AskedName(text, service)


def chosen_service(source: Source, asked: Sequence[AskedName], service: str | None) -> str:
    """The registry of a question about these names: the one of `--service`, or of their hosts.

    Raises:
        click.UsageError: none is named although policies differ, or several are.
    """
    found = {one.service for one in asked if one.service is not None}
    if len(found) > 1:
        raise click.UsageError(f"the names are of several registries: {', '.join(sorted(found))}; fix: ask one by one")
    return source.service(min(found, default=service))


def _is_registry_resource(text: str) -> bool:
    return text.startswith("registry:") and "/" not in text


def _placed(source: Source, text: str, image: ImageName, service: str | None) -> AskedName:
    """The name without its host, on the registry of the host."""
    name = image.repository
    if not image.host:
        return AskedName(name, service, image, _note(text, name, None, image))
    found = registries_at(image.host, image.scheme, source.known)
    if not found and _is_named(source, image.host):
        # Such as `docker.io/library/alpine` on a registry that mirrors others, where it is no host but a segment.
        name = f"{image.host}/{name}"
        note = f"{_note(text, name, None, image)}, because rules name repositories below {image.host}"
        return AskedName(name, service, image, note)
    if not found and source.settings is None:
        note = f"{_note(text, name, None, image)}; with --policies, no registry is known by the host {image.host}"
        return AskedName(name, service, image, note)
    registry = _registry(source, text, image, found, service)
    return AskedName(name, registry, image, _note(text, name, registry, image))


def _registry(source: Source, text: str, image: ImageName, found: Sequence[RegistryNames], service: str | None) -> str:
    if not found:
        fix = "leave the host out, or set the url of its registry in the configuration"
        if image.host != image.host.lower():
            fix = f"write {image.host.lower()}/{image.repository} if it is no host; repositories are lower case"
        known = ", ".join(map(_spell, source.known))
        raise click.UsageError(
            f"{text!r}: the host {image.host} is no configured registry; configured: {known}; fix: {fix}"
        )
    chosen = None if service is None else source.service(service)
    services = [one.service for one in found]
    if chosen is not None and chosen not in services:
        raise click.UsageError(f"--service {service} contradicts {text!r}, which is on {' or '.join(services)}")
    if chosen is None and len(services) > 1:
        raise click.UsageError(f"{text!r}: several registries are at {image.host}; fix: add --service {services[0]}")
    return chosen or services[0]


def _is_named(source: Source, host: str) -> bool:
    """Whether a rule names repositories that begin with this segment."""
    patterns = (pattern for rule in source.policies.rules for pattern in rule.patterns)
    return any(pattern.prefix.partition("/")[0] == host for pattern in patterns)


def _spell(registry: RegistryNames) -> str:
    return registry.service + (f" ({registry.url})" if registry.url is not None else "")


def _note(text: str, name: str, service: str | None, image: ImageName) -> str:
    """How the name was read."""
    ignored = [part for part, value in (("tag", image.tag), ("digest", image.digest)) if value]
    where = f" on registry {service}" if service else ""
    return f"{text} is read as {name}{where}" + (
        f"; policies ignore the {' and the '.join(ignored)}" if ignored else ""
    )
