"""The page `/admin/policies`: administrators change policy files to see what would happen. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, request

from tokenserver.config.settings import Settings
from tokenserver.errors import LinkedText
from tokenserver.management.actors import Actor
from tokenserver.policy.playground.examination import Examination
from tokenserver.policy.playground.playground import PlaygroundBusy
from tokenserver.policy.playground.question import Surroundings
from tokenserver.web.pages.shell import (
    administrators_only,
    checked_form,
    page,
    pages_blueprint,
    slot_released,
    the_site,
)

OPEN_AT_ONCE = 64 * 1024
"""The size up to which all files are open; of a larger tree, files are chosen first."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file in the form. `is_removed`: the tree is examined without it."""

    name: str
    text: str
    is_removed: bool = False


def playground_blueprint() -> Blueprint:
    """The page for trying changes of policies."""
    blueprint = pages_blueprint("playground")
    blueprint.add_url_rule("/admin/policies", "show", show, methods=["GET"])
    blueprint.add_url_rule("/admin/policies", "examine", examine, methods=["POST"])
    return blueprint


@administrators_only
def show(actor: Actor) -> Response:
    """The files, with those open that are chosen."""
    texts = shown_texts(the_site().management.context.policies.texts)
    chosen = request.args.getlist("file")
    if not chosen and sum(map(len, texts.values())) <= OPEN_AT_ONCE:
        chosen = [*texts]
    return _form(actor, [OpenFile(name, text) for name, text in texts.items() if name in chosen])


@administrators_only
def examine(actor: Actor) -> Response:
    """The files as they were sent, and what is found in the tree with them."""
    form, site = checked_form(), the_site()
    live = site.management.context.policies
    opened = [*_opened(form)]
    added = OpenFile(form.get("name.new", "").strip(), _with_newlines(form.get("text.new", "")))
    edits = {
        one.name: None if one.is_removed else one.text
        for one in (*opened, *([added] if added.name else []))
        if one.is_removed or one.text != shown_texts(live.texts).get(one.name)
    }
    now = datetime.fromtimestamp(site.now(), UTC)
    try:
        with slot_released():
            found = site.playground.examine(live, edits, surroundings_of(site.settings), now)
    except PlaygroundBusy:
        return _form(actor, opened, added, is_busy=True)
    return _form(actor, opened, added, found=found, changed=sorted(edits))


def shown_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that the page shows, with line ends as forms have them; those that were read through a link are not."""
    return {name: _with_newlines(text) for name, text in texts.items() if not isinstance(text, LinkedText)}


def surroundings_of(settings: Settings) -> Surroundings:
    """What the policies of this server are loaded and linted with."""
    return Surroundings(
        services=frozenset(one.service for one in settings.registries),
        namespaces=settings.namespaces,
        workload_sources=settings.workload_claims,
        have_groups=any(one.htpasswd is None for one in settings.user_sources),
        anonymous=settings.anonymous,
        presets=settings.workload_presets,
        longest=timedelta(seconds=settings.robots.max_lifetime),
        access_keys=settings.access_keys is not None,
    )


def _opened(form: Mapping[str, str]) -> Iterator[OpenFile]:
    number = 0
    while (name := form.get(f"name.{number}")) is not None:
        yield OpenFile(name, _with_newlines(form.get(f"text.{number}", "")), f"remove.{number}" in form)
        number += 1


def _with_newlines(text: str) -> str:
    """Browsers send every line end as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _form(
    actor: Actor,
    opened: list[OpenFile],
    added: OpenFile = OpenFile("", ""),
    *,
    found: Examination | None = None,
    changed: list[str] | None = None,
    is_busy: bool = False,
) -> Response:
    texts = the_site().management.context.policies.texts
    return page(
        "playground.html",
        actor=actor,
        status=503 if is_busy else 200,
        files=[(name, len(text.splitlines()), isinstance(text, LinkedText)) for name, text in texts.items()],
        opened=opened,
        added=added,
        found=found,
        changed=changed or [],
        is_busy=is_busy,
    )
