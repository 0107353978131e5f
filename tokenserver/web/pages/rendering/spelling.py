"""How pages show limits and programs in a few words."""

from __future__ import annotations

from tokenserver.ceilings import Ceiling
from tokenserver.management.facts import EVERYTHING
from tokenserver.scopes import in_order

_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
MAX_PROGRAM = 60


def spell_program(agent: str) -> str:
    """What a browser calls itself, as its usual name and its system: `Firefox, Linux`."""
    found = [next((name for mark, name in table if mark in agent), None) for table in (_BROWSERS, _SYSTEMS)]
    known = [name for name in found if name is not None]
    if known:
        return ", ".join(known)
    return agent if len(agent) <= MAX_PROGRAM else agent[:MAX_PROGRAM] + "…"


def bounds_of(ceiling: Ceiling | None) -> list[tuple[str, str]]:
    """The actions of a ceiling, and the patterns that each are for; no pattern stands for all repositories."""
    if ceiling is None or any(bound.type != "repository" for bound in ceiling.bounds):
        return []
    return [
        (
            ", ".join(action for action in in_order(bound.actions) if action != "*"),
            ", ".join(pattern.text for pattern in bound.patterns if pattern.text != EVERYTHING),
        )
        for bound in ceiling.bounds
    ]
