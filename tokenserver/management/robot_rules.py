"""The rules for secrets of robots: how many are valid at a time, and for how long. Commands follow them, too."""

from __future__ import annotations

from datetime import datetime, timedelta

from tokenserver.config.protection import MAX_SECRET_LIFETIME
from tokenserver.config.settings import Settings
from tokenserver.management.wishes import SecretLifetimes
from tokenserver.policy.machines.robots import Robot

MAX_LIVE = 2
"""Secrets of one robot that are valid at a time, so that one can replace the other."""

USUAL_LIFETIME = timedelta(days=90)
"""How long a secret is valid by default, unless the configuration allows less."""


def secret_lifetimes(settings: Settings | None) -> SecretLifetimes:
    """How long new secrets are valid by these settings; None: there is no configuration yet."""
    most = timedelta(seconds=MAX_SECRET_LIFETIME if settings is None else settings.robots.max_lifetime)
    return SecretLifetimes(min(USUAL_LIFETIME, most), most)


def live_declared(robot: Robot, now: datetime) -> list[str]:
    """The ids of a robot's declared secrets that are valid now."""
    return [one.id for one in robot.secrets if not one.is_expired(now)]


def third_secret(name: str) -> str:
    """The message for a robot that has as many live secrets as it may."""
    return f"the robot {name} has {MAX_LIVE} live secrets, in files and stored, which is the limit"
