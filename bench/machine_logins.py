"""Robots, workloads and stored logins for the benchmarks: policies, a source, access keys, refresh tokens and JWTs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from workload_jwts import jwk, jwt, key_set, private_key  # the issuer of the tests

from bench.frames import Sink
from bench.load import Work, post, post_refresh
from bench.servers import PASSWORD, basic
from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, spell_declaration
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.server.stored.opening import prepare_storage
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.state_keys import init_state_keys

ISSUER = "https://issuer.example.com"
SOURCE = (
    f'{{workload: {{name: ci, preset: github_actions, issuer: "{ISSUER}", audience: bench, '
    "keys: {file: jwks.json}}}"
)
"""The entry of `authentication` that the JWTs need."""

STORAGE = "access_keys: {}\nrefresh_tokens: {}\nstorage: state/tokenserver.db\n"
"""The part of the configuration that stored logins need."""

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


def with_storage(config: Path) -> Settings:
    """The settings of this configuration, which has `STORAGE`, after its storage was made."""
    (config.parent / "state").mkdir(mode=0o700)
    init_state_keys(config.parent / "keys")
    settings = load_settings(config)
    prepare_storage(settings)
    return settings


def stored(server: RunningServer, form: AccessKeyForm) -> str:
    """The text of a new credential of `u0`."""
    now = int(time.time())
    known = server.live.snapshot().chain.authenticators[0]
    assert isinstance(known, Htpasswd)  # noqa: S101 - the only source of users
    is_login = form is AccessKeyForm.REFRESH
    proof, idle = (known.identity("u0").proof, 3600) if is_login else (None, None)
    ends = now + 20 * 86_400
    wanted = StoredCredential("", form, "u0", Sort.USER, known.name, now, "u0", ends, proof=proof, idle=idle)
    assert server.storage is not None  # noqa: S101 - it is configured
    key, _ = server.storage.store.create(wanted, at_most=100_000)
    return key.text.reveal()


def stored_logins(config: Path) -> tuple[str, str]:
    """An access key and a refresh token of `u0` in the storage of this configuration, for a server that starts next."""
    server = build(with_storage(config), sink=Sink())
    return stored(server, AccessKeyForm.PERSONAL), stored(server, AccessKeyForm.REFRESH)


def logins(personal: str, refresh: str) -> list[Login]:
    """Repeated logins of machines and by stored credentials, beside those of `u0` by password, by GET and by POST."""
    token = signed(0)
    senders = (
        ("password", "u0", PASSWORD, 1.0),
        ("access key of a robot", "ci", ACCESS_KEY, 0.95),
        ("stored access key", "u0", personal, 0.95),
        ("JWT", "ci", token, 0.90),
    )
    gets = [
        Login(f"{name}, GET", Work(headers=[f"Authorization: {basic(user, text)}"]), "password, GET", goal)
        for name, user, text, goal in senders
    ]
    posts = [Login(f"{name}, POST", post(user, text), "password, POST", goal) for name, user, text, goal in senders]
    return [
        *gets,
        *posts,
        Login("refresh grant, POST", post_refresh(refresh), "password, POST", 0.80),
        Login("password, POST beside GET", post("u0", PASSWORD), "password, GET", 0.80),
    ]
