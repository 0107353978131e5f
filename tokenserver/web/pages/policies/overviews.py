"""The pages `/admin/who-can` and `/admin/matrix`, for administrators."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tokenserver.errors import TokenserverError
from tokenserver.management.actors import Actor
from tokenserver.policy.answers.access import asked_scope
from tokenserver.policy.answers.overviews import MatrixTable, WhoCanAnswer, matrix_table, who_can_answer
from tokenserver.policy.queries.matrix import LEGEND
from tokenserver.web.pages.policies.questions import asked_question, question_page
from tokenserver.web.pages.shell import administrators_only, pages_blueprint, the_site


def overviews_blueprint() -> Blueprint:
    """The pages about everybody's access."""
    blueprint = pages_blueprint("overviews")
    blueprint.add_url_rule("/admin/who-can", "who_can", who_can, methods=["GET"])
    blueprint.add_url_rule("/admin/matrix", "show_matrix", show_matrix, methods=["GET"])
    return blueprint


@administrators_only
def who_can(actor: Actor) -> Response:
    """The form, and everybody who can do what is asked."""
    site, asked = the_site(), asked_question(the_site().settings, request.args)
    answer: WhoCanAnswer | None = None
    problem: str | None = None
    if asked.is_complete:
        try:
            answer = who_can_answer(
                site.management.context.policies, asked_scope(asked.action, asked.name), asked.service
            )
        except TokenserverError as error:
            problem = str(error)
    return question_page("who_can.html", actor, asked, problem, answer=answer)


@administrators_only
def show_matrix(actor: Actor) -> Response:
    """What everybody whom rules name may do, at one registry."""
    site, asked = the_site(), asked_question(the_site().settings, request.args)
    table: MatrixTable | None = None
    problem: str | None = None
    if not asked.is_elsewhere:
        try:
            table = matrix_table(site.management.context.policies, asked.service)
        except TokenserverError as error:
            problem = str(error)
    return question_page("matrix.html", actor, asked, problem, table=table, legend=LEGEND.splitlines())
