"""An issuer of JWTs for workloads, such as GitHub or GitLab: discovery, keys, and JWTs with any claims."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import canaries
import pytest

from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need


class WorkloadIssuer:
    """A running issuer at `url`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://localhost:{port}"

    def jwt(self, audience: str, *, seconds: int = 300, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A JWT for this audience with these claims, valid for `seconds`; `header` has more members of its header."""
        now = int(time.time())
        payload = {"aud": audience, "sub": "repo:octo-org/web", "iat": now - 5, "nbf": now - 5, "exp": now + seconds}
        form = {"grant_type": "client_credentials", "claims": json.dumps(payload | claims)}
        if header is not None:
            form["header"] = json.dumps(header)
        return self._ask(form)

    def say(self, **claims: Any) -> None:
        """Say this of whoever logs in at this issuer from now on."""
        self._ask({"grant_type": "client_credentials", "claims": "{}", "next": json.dumps(claims)})

    def _ask(self, form: Mapping[str, str]) -> str:
        body = urllib.parse.urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = web.request(self.port, "POST", "/token", headers=headers, body=body)
        assert answer.status == 200, answer
        token = str(answer.json()["access_token"])
        canaries.know(token)
        return token


@contextmanager
def workload_issuer(folder: Path) -> Iterator[WorkloadIssuer]:
    """A real issuer, started for this test."""
    program, port = need("workload-issuer"), free_port()
    daemon = Daemon("workload-issuer", [program, str(port)], environment=plain_environment(folder), folder=folder)
    with running(daemon, lambda: answers(port)):
        yield WorkloadIssuer(port)


def own_issuer() -> Any:
    """A fixture for a module whose server trusts one issuer: that of a CI system."""

    @pytest.fixture(scope="module")
    def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkloadIssuer]:
        with workload_issuer(tmp_path_factory.mktemp("issuer")) as issuer:
            yield issuer

    return started
