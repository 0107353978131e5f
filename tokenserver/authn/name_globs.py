"""Wildcard patterns of the names of groups, as user sources filter them: `reg-*`. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


def matches(glob: str, name: str) -> bool:
    """Whether `name` matches `glob`: `*` is any run of characters; everything else is literal, ignoring case."""
    return _compiled(glob).fullmatch(name.casefold()) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    first, *rest = (re.escape(part.casefold()) for part in re.sub(r"\*+", "*", glob).split("*"))
    if not rest:
        return re.compile(first)
    # Each inner part is matched where it occurs first, without backtracking, which would take hours on a hostile name.
    inner = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{inner}.*{rest[-1]}", re.DOTALL)
