"""The page `/access`: whoever is logged in asks what they may do, and sees why, and whom to ask."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, request

from tokenserver.errors import TokenserverError
from tokenserver.management.actors import Actor
from tokenserver.policy.answers.access import AccessAnswer, access_answer, asked_scope
from tokenserver.policy.model import Context
from tokenserver.web.pages.policies.questions import asked_question, question_page
from tokenserver.web.pages.shell import pages_blueprint, signed_in, the_site, visitor


def access_blueprint() -> Blueprint:
    """The page about one's own access."""
    blueprint = pages_blueprint("access")
    blueprint.add_url_rule("/access", "show", show, methods=["GET"])
    return blueprint


@signed_in
def show(actor: Actor) -> Response:
    """The form, and the answer if something is asked. Files and lines are for administrators alone."""
    site, asked = the_site(), asked_question(the_site().settings, request.args)
    answer: AccessAnswer | None = None
    problem: str | None = None
    if asked.is_complete:
        context = Context(asked.service, visitor().client, datetime.fromtimestamp(site.now(), UTC))
        try:
            answer = access_answer(
                site.management.context.policies, actor.identity, asked_scope(asked.action, asked.name), context
            )
        except TokenserverError as error:
            problem = str(error)
    is_administrator = site.management.context.is_administrator(actor)
    return question_page("access.html", actor, asked, problem, answer=answer, is_administrator=is_administrator)
