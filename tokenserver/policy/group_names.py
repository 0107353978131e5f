"""Names of groups that one delegated file defines for itself: how the tree knows them, and how people read them.

Such a group must never be taken for one of the tree, of another file or of a directory, whatever it is called. So
the tree knows it under a name that nobody can write: no name in a file, and no segment of a repository, has a line
break in it. A backend that brings such a name all the same leads nowhere, because a group of the tree hides a
brought one of the same name.
"""

from __future__ import annotations

from tokenserver.identity import spell_group

_BETWEEN = "\n"


def is_root(name: str) -> bool:
    """Whether the file of that name, relative to the policy folder, stands at its top."""
    return "/" not in name


def owned_name(name: str, file: str) -> str:
    """The name under which the tree knows the group `name` of the delegated file `file`."""
    return f"{name}{_BETWEEN}{file}"


def shown_name(name: str) -> str:
    """The name of a group as people read it: where it is a file's own, the file stands behind it."""
    plain, _, file = name.partition(_BETWEEN)
    plain = spell_group(plain)
    return f"{plain} ({file})" if file else plain


def plain_name(name: str) -> str:
    """The name of a group as the file that defines it writes it."""
    return name.partition(_BETWEEN)[0]
