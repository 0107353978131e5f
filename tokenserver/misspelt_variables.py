"""Misspelt variables in the patterns of repositories, with the spelling that was probably meant."""

from __future__ import annotations

import re

_LIKE_A_VARIABLE = re.compile(r"\$?\{\s*([A-Za-z_]\w*)\s*\}|\$\{?([A-Za-z_]\w*)", re.ASCII)


def mistake_in_variables(text: str, variable: str) -> str | None:
    """The fault of the variables in a segment of a pattern, with a hint; None if they are fine, or it has none.

    `variable` is the name of what the rule captures; empty if it captures nothing.
    """
    known = ("user", variable or "group")
    names = f"the variables are {' and '.join(f'${{{name}}}' for name in known)}"
    found = list(_LIKE_A_VARIABLE.finditer(text))
    for one in found:
        name = one[1] or one[2]
        if name in known and one[0] == f"${{{name}}}":
            continue
        if name.lower() in known:
            return f"{names}; fix: write ${{{name.lower()}}}"
        if name == "group":
            return (
                f"a rule to a group with {{{variable}}} in its name has no ${{group}}; fix: use ${{{variable}}}, "
                "or write a rule of its own"
            )
        return f"{names}; ${{{name}}} needs a rule to a group such as group:reg-{{{name}}}-rw"
    return names if text.count("$") > len(found) else None
