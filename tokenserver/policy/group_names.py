"""Names of groups that one delegated file defines for itself: the internal and the displayed form.

Such a group must never be confused with a group of the tree, of another file or of a directory, whatever its name. So
its internal name cannot be written: no name in a file and no segment of a repository contains a line break. If a user
source reports such a name, it has no effect, because a group of the tree hides a directory group of the same name.
"""

from __future__ import annotations

from tokenserver.identity import spell_group

_BETWEEN = "\n"


def is_root(name: str) -> bool:
    """Whether the file, relative to the policy folder, is directly in it."""
    return "/" not in name


def owned_name(name: str, file: str) -> str:
    """The internal name of the group `name` of the delegated file `file`."""
    return f"{name}{_BETWEEN}{file}"


def shown_name(name: str) -> str:
    """The displayed name of a group, followed by its file if one file defines it for itself."""
    plain, _, file = name.partition(_BETWEEN)
    plain = spell_group(plain)
    return f"{plain} ({file})" if file else plain


def plain_name(name: str) -> str:
    """The name of a group as the file that defines it writes it."""
    return name.partition(_BETWEEN)[0]
