"""How many examples a property gets whose examples are slow: a part of the profile's by day, all of them at night."""

from __future__ import annotations

from hypothesis import settings

BY_DAY = ("everyday", "quick")
"""The profiles of tests/conftest.py for the runs that somebody waits for."""


def slow_examples(share: int = 4, most: int = 100_000) -> settings:
    """The settings of such a property: by day one of `share` examples, and at night and for mutants at most `most`."""
    examples = settings().max_examples
    if settings.get_current_profile_name() in BY_DAY:
        examples = max(1, examples // share)
    return settings(deadline=None, max_examples=min(examples, most))
