"""Responses: headers by name, and nothing that prints."""

from __future__ import annotations

from tokenserver.runtime.http.response import HttpResponse

RESPONSE = HttpResponse(200, {"age": ("1", "2"), "set-cookie": ("secret",)}, b"secret", 0.5)


def test_headers() -> None:
    """The first value of each, or None."""
    assert (RESPONSE.header("age"), RESPONSE.header("date")) == ("1", None)


def test_secrets_do_not_print() -> None:
    """Neither headers nor body are in the text of a response."""
    assert repr(RESPONSE) == "HttpResponse(status=200, skew=0.5, is_cut=False)"
