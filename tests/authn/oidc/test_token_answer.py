"""Answers of a token endpoint: tokens, refusals, and everything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.oidc.presets import PRESETS
from tokenserver.authn.oidc.refusals import RefusedByProvider
from tokenserver.authn.oidc.token_answer import MAX_TOKEN, UnusableAnswer, read_answer


def test_tokens() -> None:
    """Each may be missing; what is no text, or too long, is as good as missing."""
    found = read_answer(200, b'{"id_token": "a", "refresh_token": "b", "access_token": "c"}')
    assert found.id_token is not None
    assert found.refresh_token is not None
    assert (found.id_token.reveal(), found.refresh_token.reveal()) == ("a", "b")
    assert "'a'" not in repr(found)
    for text in (b"{}", b'{"id_token": 1}', json.dumps({"id_token": "x" * (MAX_TOKEN + 1)}).encode()):
        assert read_answer(200, text).id_token is None


def test_refusals() -> None:
    """Only `invalid_grant` says something about the person."""
    for status in (400, 401):
        with pytest.raises(RefusedByProvider):
            read_answer(status, b'{"error": "invalid_grant"}')
    with pytest.raises(UnusableAnswer):
        read_answer(400, b'{"error": "invalid_request"}')
    with pytest.raises(RefusedByProvider):  # as dex says of a refresh token
        read_answer(400, b'{"error": "invalid_request"}', PRESETS["dex"].refusals)
    with pytest.raises(UnusableAnswer, match="redirect_uri_mismatch; fix: enter the redirect URI"):
        read_answer(400, b'{"error": "redirect_uri_mismatch"}')
    with pytest.raises(UnusableAnswer, match="status 500 and the error invalid_grant"):
        read_answer(500, b'{"error": "invalid_grant"}')


@given(st.integers(100, 599), st.binary(max_size=30))
def test_anything_else(status: int, body: bytes) -> None:
    """Is never a person."""
    try:
        found = read_answer(status, body)
    except (UnusableAnswer, RefusedByProvider):
        return
    assert status == 200
    assert found.id_token is None
