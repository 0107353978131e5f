"""The API below `/api/v1` in Flask: finds the operation, the client and the body, and answers as JSON or a problem."""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request
from flask.sansio.blueprints import BlueprintSetupState
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import PathConverter

from tokenserver.errors import RequestError
from tokenserver.web.api.authentication import CSRF_HEADER, authenticated
from tokenserver.web.api.bodies import read_body
from tokenserver.web.api.faults import BadRequest, UnknownPath
from tokenserver.web.api.openapi import IDEMPOTENCY_KEY, JSON, PROBLEM
from tokenserver.web.api.operation import API, Call, Operation, Router, read_query
from tokenserver.web.api.operations.table import OPERATIONS
from tokenserver.web.api.problems import api_problem
from tokenserver.web.api.repetition import SentAnswer, once
from tokenserver.web.pages.guard import BODY_ERROR, page_limit
from tokenserver.web.pages.site import Site
from tokenserver.web.token_endpoint import log_failure

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

MAX_FIELDS = 100

HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RestOfPath(PathConverter):
    """Any rest of a path. Werkzeug's `path` matches no line break and no leading slash, and a path that no rule of the
    API matches is answered as the token endpoint answers."""

    regex = r"[\s\S]*?"
    part_isolating = False


def api_blueprint(site: Site) -> Blueprint:
    """The API of this site."""
    blueprint = Blueprint("api", __name__)
    router = Router(OPERATIONS)

    def answer(rest: str = "") -> Response:
        request_id = site.new_id()
        try:
            response = _answered(site, router, f"/api/{rest}", request_id)
        except Exception as error:
            log_failure(error, request_id)
            problem = api_problem(error, request_id, challenge=_challenge(site))
            response = Response(problem.body, problem.document.status, content_type=PROBLEM)
            response.headers.update(problem.headers)
        response.headers.update(HEADERS)
        response.headers["X-Request-Id"] = request_id
        if BODY_ERROR in request.environ:
            response.headers["Connection"] = "close"  # nothing more is read from it
        return response

    blueprint.record(_know_rest)
    for path in ("/api", "/api/<rest:rest>"):
        blueprint.add_url_rule(path, view_func=answer, methods=METHODS, provide_automatic_options=False)
    return blueprint


def _know_rest(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["rest"] = RestOfPath


def _answered(site: Site, router: Router, path: str, request_id: str) -> Response:
    environ = request.environ
    client = site.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))
    if site.https_only is not None:
        site.https_only(environ, client)
    error = environ.get(BODY_ERROR)
    if isinstance(error, RequestError):
        raise error
    operation, values = router.find(request.method, _below_api(path))
    actor = None
    if not operation.is_public:
        actor = authenticated(site, request, request_id=request_id, client=client)
    query, repeated = read_query(operation.query, _fields(environ.get("QUERY_STRING") or ""))
    content = _content()
    body = _body(operation, content)
    call = Call(site.management, site.now(), actor, values, query, repeated, body)

    def work() -> SentAnswer:
        # What looks people up gives the slot of `admission` back, so it must hold one.
        with site.admission:
            reply = operation.handle(call)
        sent = reply.body.model_dump_json().encode("utf-8") + b"\n" if isinstance(reply.body, BaseModel) else reply.body
        return SentAnswer(reply.status, sent or b"", reply.location)

    if actor is None or operation.method != "POST":
        sent = work()
    else:
        target = f"{path}?{environ.get('QUERY_STRING') or ''}"
        key = request.headers.get(IDEMPOTENCY_KEY)
        may_receive = partial(site.management.context.require_recipient, actor)
        sent = once(site.answers, key, actor, target=target, content=content, work=work, may_receive=may_receive)
    response = Response(sent.body, sent.status, content_type=JSON)
    if sent.status == 204:
        del response.headers["Content-Type"]
    if sent.location is not None:
        response.headers["Location"] = f"{site.settings.server.pages_url}{API}{sent.location}"
    if sent.was_repeated:
        response.headers["Idempotent-Replayed"] = "true"
    if actor is not None and actor.session is not None and operation.name == "whoAmI":
        cookie = site.cookies.read(request, site.cookies.session)
        if cookie is not None:
            response.headers[CSRF_HEADER] = site.forms.new(cookie)
    return response


def _below_api(path: str) -> str:
    if not path.startswith(f"{API}/"):
        raise UnknownPath(f"nothing is at this path; the API is below {API}")
    return path[len(API) :]


def _content() -> bytes:
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise page_limit(request.path).error from None
    except HTTPException as error:  # the connection broke off
        raise BadRequest.at("body", error.name.lower()) from None


def _body(operation: Operation, content: bytes) -> BaseModel | None:
    if operation.body is not None:
        return read_body(operation.body, content, request.mimetype)
    if content:
        raise BadRequest.at("body", "is there, and this operation has none")
    return None


def _fields(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise BadRequest.at("query", "is malformed") from None


def _challenge(site: Site) -> str:
    """What a 401 asks for. A browser would open its window for a password and repeat that for ever, so it is not asked
    for one."""
    scheme = "Session" if "Sec-Fetch-Mode" in request.headers else "Basic"
    extra = "" if scheme == "Session" else ', charset="UTF-8"'
    return f'{scheme} realm="{site.settings.issuer}"{extra}'
