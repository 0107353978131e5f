"""Robots and workloads for the benchmarks: their policies, a workload source, an access key and JWTs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from workload_jwts import jwk, jwt, key_set, private_key  # the issuer of the tests

from bench.load import Work, post
from bench.servers import PASSWORD, basic
from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, spell_declaration
from tokenserver.credentials import AccessKeyForm

ISSUER = "https://issuer.example.com"
SOURCE = (
    f'{{workload: {{name: ci, preset: github_actions, issuer: "{ISSUER}", audience: bench, '
    "keys: {file: jwks.json}}}"
)
"""The entry of `authentication` that the JWTs need."""

_WORKLOADS = 'workloads: {job: {from: ci, claims: {repository_id: "74"}}}\n'
_KEY = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES)))
ACCESS_KEY = _KEY.text.reveal()


def files() -> dict[str, str]:
    """What a server needs beside `SOURCE`, by path below its folder: the declarations, and the keys of the issuer."""
    line = spell_declaration(declare(_KEY, datetime.now(UTC) + timedelta(days=30)))
    return {
        "policies/robots.yaml": f"version: 1\nrobots:\n  ci:\n    secrets:\n      {line}\n{_WORKLOADS}",
        "jwks.json": key_set(jwk(private_key("RS256"), "k")).decode(),
    }


def signed(number: int) -> str:
    """A JWT as GitHub's are, each another one."""
    now = int(time.time())
    about = {f"claim_{one}": "x" * 30 for one in range(20)}
    claims = {"iss": ISSUER, "aud": "bench", "sub": "repo:octo-org/web", "iat": now, "exp": now + 3600}
    return jwt({**claims, **about, "repository_id": "74", "run_id": str(number)}, algorithm="RS256")


@dataclass(frozen=True, slots=True)
class Login:
    """One row of the table: what it is compared with, by title, and the least share of its rate."""

    title: str
    work: Work
    compared_with: str
    goal: float


def logins() -> list[Login]:
    """Repeated logins by an access key and by a JWT, beside those of the user `u0` by password, by GET and by POST."""
    token = signed(0)
    senders = (("password", "u0", PASSWORD, 1.0), ("access key", "ci", ACCESS_KEY, 0.95), ("JWT", "ci", token, 0.90))
    gets = [
        Login(f"{name}, GET", Work(headers=[f"Authorization: {basic(user, text)}"]), "password, GET", goal)
        for name, user, text, goal in senders
    ]
    posts = [Login(f"{name}, POST", post(user, text), "password, POST", goal) for name, user, text, goal in senders]
    return [*gets, *posts, Login("password, POST beside GET", post("u0", PASSWORD), "password, GET", 0.80)]
