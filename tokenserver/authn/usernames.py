"""User names: what a name may hold."""

from __future__ import annotations

MAX_USERNAME = 255
"""Characters, as in policies."""


def problem_with_name(name: str) -> str | None:
    """Why no user can have this name, or None."""
    if not name.strip():
        return "the user name is empty"
    if len(name) > MAX_USERNAME:
        return f"the user name is longer than {MAX_USERNAME} characters"
    # The house's one rule for names, in policies as well: neither control characters nor surrogates, nor blanks
    # other than the plain one, nor what is invisible.
    if not name.isprintable():
        return "the user name holds characters that cannot be printed"
    return None
