"""The rotation plan that `keys rotate` prints: the steps that are left, and when each is due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tokenserver.config.settings import RegistrySettings
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.schedule import LEEWAY, Schedule
from tokenserver.printable import shell_word

_GENERATIONS = {"distribution2": "distribution2", "distribution3": "distribution3", "jwks": "distribution3"}


def moment(time: datetime) -> str:
    """A point in time as commands print it."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def rotation_plan(
    ring: KeyRing, schedule: Schedule, registries: Iterable[RegistrySettings], now: datetime
) -> list[str]:
    """The steps that are left, in order, as sentences. They are the same whether or not the next key exists yet."""
    pinned = [registry for registry in registries if registry.compat != "universal"]
    switch_at = schedule.switch_at(ring.next[0]) if ring.next else now + schedule.publish_ahead
    steps = [] if ring.next else ["Create and publish the next key: tokenserver keys rotate"]
    if ring.active.not_after <= now:
        steps.append("The active certificate has expired; switch immediately: tokenserver keys rotate")
    elif not schedule.pinned:
        steps.append(
            "Nothing to distribute and nothing to restart: every registry trusts the token CA. The running server signs"
            f" with the next key from {moment(switch_at)}; without a running server: tokenserver keys rotate"
        )
    else:
        for registry in pinned:
            generation = _GENERATIONS.get(registry.compat, registry.compat)
            command = f"tokenserver registry-config {shell_word(registry.service)}"
            steps.append(
                f"Distribute to {registry.service} ({registry.compat}): {command}"
                f" --for {generation} --write DIR; the file holds both the old and the new key"
            )
        names = ", ".join(registry.service for registry in pinned)
        steps.append(f"Restart {names}: a registry reads its trusted keys only at start-up")
        steps.append(f"Switch, not before {moment(switch_at)}: tokenserver keys rotate")
        steps.append(
            f"After another {_hours(schedule)}, when the last token of the old key has expired: write the files again,"
            " and install them at the registries' next restart"
        )
    return steps


def _hours(schedule: Schedule) -> str:
    minutes = int((schedule.longest_token + LEEWAY).total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min"
