"""What a reload changed: names of users, keys and files; for the log a few of each, and how many more there are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.keys.ring import KeyRing
from tokenserver.printable import one_line
from tokenserver.server.reload.watch import FileStates, Loaded
from tokenserver.tokens.issuer import TokenIssuer

MAX_NAMED = 3
"""Names of each kind of change that a line has."""


class Differences(NamedTuple):
    """Names that were added, that were removed, and whose content is another one; in no order."""

    added: list[str]
    removed: list[str]
    changed: list[str]


def describe_change(before: object, loaded: Loaded) -> str:
    """How a part differs from its version `before`: by its users or keys, else by its files. May be empty."""
    after = loaded.value
    if isinstance(before, Htpasswd) and isinstance(after, Htpasswd):
        return _spelled(differing_users(before, after))
    if isinstance(before, TokenIssuer) and isinstance(after, TokenIssuer):
        return _keys(before.ring, after.ring)
    return _spelled(files_of_states(loaded.before, loaded.after))


def differing_users(before: Htpasswd, after: Htpasswd) -> Differences:
    """The users who were added, removed, or have another password or account."""
    both = before.users & after.users
    return Differences(
        added=[*(after.users - before.users)],
        removed=[*(before.users - after.users)],
        changed=[name for name in both if before.stamp(name) != after.stamp(name)],
    )


def key_states(ring: KeyRing) -> dict[str, str]:
    """The state of each key that verifiers must know."""
    return {key.id: state for key in ring.published() if (state := ring.state_of(key.id)) is not None}


def differing_files(before: Mapping[str, object], after: Mapping[str, object]) -> Differences:
    """How two sets of files differ, each given as contents or stamps by name."""
    return Differences(
        added=[*(after.keys() - before.keys())],
        removed=[*(before.keys() - after.keys())],
        changed=[name for name in before.keys() & after.keys() if before[name] != after[name]],
    )


def files_of_states(before: FileStates, after: FileStates) -> Differences:
    """The files that differ, relative to the folder that all are in. Folders themselves are not named."""
    paths = [*before, *after]
    top = Path(os.path.commonpath(paths)) if paths else Path()
    states = [{path: state for path, state in each.items() if _is_file(state)} for each in (before, after)]
    if any(str(top) in each for each in states):
        top = top.parent
    found = differing_files(*states)
    return Differences(*([str(Path(path).relative_to(top)) for path in kind] for kind in found))


def _keys(before: KeyRing, after: KeyRing) -> str:
    states, now = key_states(before), key_states(after)
    moved = [f"{key} is now {state}" for key, state in now.items() if key in states and states[key] != state]
    added = [f"{key} ({state})" for key, state in now.items() if key not in states]
    spelled = _spelled(Differences(added, [*(states.keys() - now.keys())], []))
    return "; ".join([*moved[:MAX_NAMED], *([spelled] if spelled else [])])


def _is_file(state: Sequence[object]) -> bool:
    """Whether a state is that of a regular file; see `stamp_of`."""
    return len(state) == 6


def _spelled(found: Differences) -> str:
    kinds = zip(Differences._fields, map(sorted, found), strict=True)
    return "; ".join(f"{how} {_listed(names)}" for how, names in kinds if names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(map(one_line, names[:MAX_NAMED])) + (f" and {more} more" if more > 0 else "")
