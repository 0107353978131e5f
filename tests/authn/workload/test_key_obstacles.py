"""What keeps keys from being fetched: each way of failing leaves what its fix needs."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from fake_issuer import fake_issuer
from harness.misfits import Reply
from harness.processes import free_port

from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.authn.workload.key_origins import Discovery, KeyOrigin, KeysNotFetched, KeyUrl
from tokenserver.runtime.http.response import FailureReason

CONTEXT = ssl.create_default_context()
OTHER = "https://other.example.com"


def obstacle(origin: KeyOrigin) -> Obstacle:
    """What keeps this origin from having keys."""
    with pytest.raises(KeysNotFetched) as caught:
        origin()
    return caught.value.obstacle


def test_answers(tmp_path: Path) -> None:
    """A status, a redirect with its target, another issuer, no keys, and a token that cannot be read."""
    with fake_issuer() as issuer:
        issuer.serve(b"{}")
        url = f"{issuer.url}/keys"
        assert obstacle(Discovery(issuer.url, CONTEXT)) == Obstacle(url)
        issuer.serve(b"{}", issuer=OTHER)
        assert obstacle(Discovery(issuer.url, CONTEXT)).issuer == OTHER
        issuer.replies["/keys"] = Reply(403)
        assert obstacle(KeyUrl(url, CONTEXT)) == Obstacle(url, status=403)
        issuer.replies["/keys"] = Reply(302, (("Location", OTHER),))
        assert obstacle(KeyUrl(url, CONTEXT)) == Obstacle(url, status=302, location=OTHER)
        token = tmp_path / "token"
        assert obstacle(KeyUrl(url, CONTEXT, token_file=token)) == Obstacle(file=str(token))


def test_no_answer() -> None:
    """The reason is that of the request."""
    url = f"http://localhost:{free_port()}/keys"
    assert obstacle(KeyUrl(url, CONTEXT)) == Obstacle(url, FailureReason.REFUSED)
