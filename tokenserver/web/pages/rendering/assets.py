"""The files that pages refer to, under names that change with their content, so that browsers keep them for good."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files

from flask import Blueprint, Response

_FOREVER = "public, max-age=31536000, immutable"


class Asset:
    """A file of `static/` in this package."""

    def __init__(self, name: str, content_type: str) -> None:
        self.body = files("tokenserver.web.pages").joinpath("static", name).read_bytes()
        stem, _, ending = name.partition(".")
        self.path = f"/assets/{stem}-{hashlib.sha256(self.body).hexdigest()[:12]}.{ending}"
        """The path of its page."""
        self.content_type = content_type


STYLE = Asset("style.css", "text/css; charset=utf-8")
ICON = Asset("icon.svg", "image/svg+xml")


def assets_blueprint() -> Blueprint:
    """Serves the files."""
    blueprint = Blueprint("assets", __name__)
    for asset in (STYLE, ICON):
        blueprint.add_url_rule(asset.path, asset.path.rpartition("/")[2].partition(".")[0], _served(asset))
    return blueprint


def _served(asset: Asset) -> Callable[[], Response]:
    def serve() -> Response:
        response = Response(asset.body, content_type=asset.content_type)
        response.headers["Cache-Control"] = _FOREVER
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        return response

    return serve
