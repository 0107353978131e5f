"""Names of groups that one delegated file defines for itself: the internal and the displayed form.

Such a group must never be taken for one of the tree, of another file or of a directory, whatever it is called. So
the tree knows it under a name that nobody can write: no name in a file, and no segment of a repository, has a line
break in it. A backend that brings such a name all the same leads nowhere, because a group of the tree hides a
brought one of the same name.
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
