"""Users of an htpasswd file, with hashes that are cheap enough for tests."""

from __future__ import annotations

import argon2
import bcrypt
import pytest

from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import describe, verify
from tokenserver.credentials import Password, Secret


def hashed(text: str = "secret", cost: int = 4) -> str:
    """A bcrypt hash, cheap enough for tests."""
    return bcrypt.hashpw(text.encode(), bcrypt.gensalt(cost)).decode()


GOOD = hashed()


ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")


def credentials(username: str, text: str = "secret") -> Password:
    """A user with a password."""
    return Password(username, Secret(text))


@pytest.fixture
def backend() -> Htpasswd:
    """Two users with hashes of different kinds."""
    return Htpasswd("local", "users", parse_users(f"ann:{GOOD}\nbob:{ARGON2}\n", "users"))


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds and costs of all hashes that are computed, in their order."""
    done: list[str] = []

    def count(password: str, text: str) -> bool:
        done.append(describe(text))
        return verify(password, text)

    monkeypatch.setattr(decoy, "verify", count)
    return done


SAMPLES = 200
"""How often a time is measured."""
