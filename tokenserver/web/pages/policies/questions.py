"""Questions in the address of a page: a registry, an action and a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response

from tokenserver.config.settings import Settings
from tokenserver.management.actors import Actor
from tokenserver.scopes import REPOSITORY_ACTIONS
from tokenserver.web.pages.shell import page, the_site

_MAX = 1024


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `name` is a repository, or `registry:NAME`. `is_elsewhere`: at a registry that does not exist."""

    service: str
    action: str
    name: str
    is_elsewhere: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether there is something to answer."""
        return bool(self.name) and not self.is_elsewhere


def asked_question(settings: Settings, query: Mapping[str, str]) -> Question:
    """The question in this query; the first registry and `pull` where nothing else is asked."""
    wanted = query.get("service", "")
    registry = settings.registry(wanted) if wanted else settings.registries[0]
    action, name = query.get("action", "pull")[:_MAX], query.get("repository", "").strip()[:_MAX]
    if registry is None:
        return Question(settings.registries[0].service, action, name, is_elsewhere=True)
    return Question(registry.service, action, name)


def question_page(template: str, actor: Actor, asked: Question, problem: str | None, **facts: Any) -> Response:
    """The page about a question, with `facts` for its template; `problem` is why there is no answer."""
    return page(
        template,
        actor=actor,
        status=400 if problem is not None or asked.is_elsewhere else 200,
        asked=asked,
        actions=REPOSITORY_ACTIONS,
        services=[one.service for one in the_site().settings.registries],
        problem=problem,
        **facts,
    )
