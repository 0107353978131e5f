"""What a WSGI worker loads: the configuration as a Flask application with its file watch."""

from __future__ import annotations

import time
from pathlib import Path

from flask import Flask

from tokenserver.compose import build, new_id
from tokenserver.config.load import load_settings
from tokenserver.keys.jwk import jwk_set
from tokenserver.parts import Parts
from tokenserver.web.app import Pages, create_app
from tokenserver.web.token import TokenEndpoint


def application(parts: Parts) -> Flask:
    """The application over parts that are already put together."""
    return create_app(token_endpoint(parts), other_pages(parts))


def token_endpoint(parts: Parts) -> TokenEndpoint:
    """The endpoint that gives tokens."""
    settings = parts.settings
    return TokenEndpoint(
        exchange=parts.exchange,
        explanation=parts.explanation,
        trail=parts.trail,
        challenge=f'Basic realm="{settings.issuer}", charset="UTF-8"',
        trusted_proxies=settings.server.trusted_proxies,
        new_id=new_id,
        monotonic=time.perf_counter,
    )


def other_pages(parts: Parts) -> Pages:
    """What is served beside tokens."""
    return Pages(
        readiness=parts.readiness,
        notes=parts.notes,
        jwks=lambda: jwk_set(parts.live.snapshot().issuer.ring),
        ca_pem=lambda: parts.live.snapshot().issuer.ring.ca_certificate_pem,
    )


def load_application(config: Path | None) -> Flask:
    """Read the configuration and build the application, in the process that serves it.

    Raises:
        LoadError: every fault of the configuration and of what it names.
    """
    parts = build(load_settings(config))
    parts.watch()
    return application(parts)
