"""Whether output is coloured: on terminals, unless the environment says otherwise (no-color.org, force-color.org)."""

from __future__ import annotations

import os
from collections.abc import Mapping


def wants_color(is_terminal: bool, environment: Mapping[str, str] | None = None) -> bool:
    """Whether to colour what is written to a stream, which is a terminal or not.

    `NO_COLOR`, if it is set and not empty, is never; `FORCE_COLOR` is always, except `0`. `TERM=dumb` has no colours.
    """
    environment = os.environ if environment is None else environment
    if environment.get("NO_COLOR"):
        return False
    forced = environment.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return is_terminal and environment.get("TERM") != "dumb"
