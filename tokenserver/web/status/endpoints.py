"""The endpoints of every server beside that for tokens: the front page, health, readiness, JWKS and CA certificate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from tokenserver.web.pages.guard import ASKED_PATH, is_browser
from tokenserver.web.status.front_page import HTML_HEADERS, as_html, as_json
from tokenserver.web.token_endpoint import JSON_HEADERS

STATUS_PATHS = frozenset({"/", "/healthz", "/readyz", "/.well-known/jwks.json", "/ca.pem"})
"""The paths of these endpoints."""


@dataclass(frozen=True, slots=True)
class Status:
    """The contents of these endpoints. Each is called per request.

    `readiness` returns for each part None if it is ready, else what is wrong; `notes` what is degraded but harmless so
    far. `jwks` and `ca_pem` are called with the service whose keys are wanted, None for those of all; they return None
    if there is no such registry. Readers may cache the JWKS for `jwks_seconds`.
    """

    readiness: Callable[[], Mapping[str, str | None]]
    notes: Callable[[], Mapping[str, str]]
    jwks: Callable[[str | None], str | None]
    ca_pem: Callable[[str | None], str | None]
    jwks_seconds: int = 300


def add_status(app: Flask, status: Status, home: Callable[[bool], Response] | None, *, tokens: bool = True) -> None:
    """Add the front page, health and readiness. `home` is what browsers get at `/` instead of the front page, by
    whether the server is ready. Without `tokens`, the listener of this application issues none.
    """

    @app.get("/", provide_automatic_options=False)
    def front_page() -> Response:
        if request.environ.get("PATH_INFO") != "/":  # an empty path, which a strict rule would redirect to this one
            raise NotFound
        # Links are relative, so the page depends on whether its own address ends with a slash.
        base = f"{request.environ.get(ASKED_PATH, '/').rpartition('/')[2]}/".removeprefix("/")
        is_ready = all(problem is None for problem in status.readiness().values())
        if is_browser():
            if home is not None:
                return home(is_ready)
            response = Response(as_html(is_ready=is_ready, base=base))
            response.headers.update(HTML_HEADERS)
            return response
        response = Response(as_json(is_ready=is_ready, base=base, tokens=tokens))
        response.headers.update(JSON_HEADERS)
        response.headers["Vary"] = "Accept"
        return response

    @app.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return _json(200, {"status": "ok"})

    @app.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        parts = status.readiness()
        ready = all(problem is None for problem in parts.values())
        content: dict[str, object] = {
            "ready": ready,
            "parts": {name: problem or "ok" for name, problem in parts.items()},
        }
        notes = status.notes()
        if notes:
            content["notes"] = notes
        return _json(200 if ready else 503, content)


def add_keys(app: Flask, status: Status) -> None:
    """Add the public keys and the CA certificate."""

    @app.get("/.well-known/jwks.json", provide_automatic_options=False)
    def jwks() -> Response:
        response = _published(status.jwks, "application/json")
        response.headers["Cache-Control"] = f"public, max-age={status.jwks_seconds}"
        return response

    @app.get("/ca.pem", provide_automatic_options=False)
    def ca_pem() -> Response:
        return _published(status.ca_pem, "application/x-pem-file")


def _published(page: Callable[[str | None], str | None], content_type: str) -> Response:
    """A page for all keys or, with `?service=NAME`, for those of one registry."""
    text = page(request.args.get("service"))
    if text is None:
        raise NotFound
    return Response(text, content_type=content_type)


def _json(status: int, content: Mapping[str, object]) -> Response:
    response = Response(json.dumps(content) + "\n", status=status)
    response.headers.update(JSON_HEADERS)
    return response
