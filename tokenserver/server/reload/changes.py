"""What a reload changed, for the log: names of users, keys and files, a few of each, and how many more there are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.printable import one_line
from tokenserver.server.reload.watch import FileStates, Loaded
from tokenserver.tokens.issuer import TokenIssuer

MAX_NAMED = 3
"""Names of each kind of change that a line has."""


def describe_change(before: object, loaded: Loaded) -> str:
    """How a part differs from its version `before`: by its users or keys, else by its files. May be empty."""
    after = loaded.value
    if isinstance(before, Htpasswd) and isinstance(after, Htpasswd):
        return _users(before, after)
    if isinstance(before, TokenIssuer) and isinstance(after, TokenIssuer):
        return _keys(before, after)
    return _files(loaded.before, loaded.after)


def _users(before: Htpasswd, after: Htpasswd) -> str:
    both = before.users & after.users
    return _spelled(
        added=after.users - before.users,
        removed=before.users - after.users,
        changed=[name for name in both if before.stamp(name) != after.stamp(name)],
    )


def _keys(before: TokenIssuer, after: TokenIssuer) -> str:
    old, new = before.ring, after.ring
    states = {key.id: old.state_of(key.id) for key in old.published()}
    now = {key.id: new.state_of(key.id) for key in new.published()}
    moved = [f"{key} is now {state}" for key, state in now.items() if key in states and states[key] != state]
    added = [f"{key} ({state})" for key, state in now.items() if key not in states]
    spelled = _spelled(added=added, removed=states.keys() - now.keys(), changed=())
    return "; ".join([*moved[:MAX_NAMED], *([spelled] if spelled else [])])


def _files(before: FileStates, after: FileStates) -> str:
    """The files that differ, relative to the folder that all are in. Folders themselves are not named."""
    here = {path for path, state in after.items() if _is_file(state)}
    there = {path for path, state in before.items() if _is_file(state)}
    paths = [*before, *after]
    top = Path(os.path.commonpath(paths)) if paths else Path()
    if str(top) in here | there:
        top = top.parent

    def below(paths: Iterable[str]) -> list[str]:
        return [str(Path(path).relative_to(top)) for path in paths]

    return _spelled(
        added=below(here - there),
        removed=below(there - here),
        changed=below(path for path in here & there if before[path] != after[path]),
    )


def _is_file(state: Sequence[object]) -> bool:
    """Whether a state is that of a regular file; see `stamp_of`."""
    return len(state) == 6


def _spelled(*, added: Iterable[str], removed: Iterable[str], changed: Iterable[str]) -> str:
    kinds = (("added", sorted(added)), ("removed", sorted(removed)), ("changed", sorted(changed)))
    return "; ".join(f"{how} {_listed(names)}" for how, names in kinds if names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(map(one_line, names[:MAX_NAMED])) + (f" and {more} more" if more > 0 else "")
