"""Notes on names of users and groups in a question: unknown to the policies, spelled otherwise, unfit for `${user}`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from tokenserver.authn.usernames import fold
from tokenserver.cli.policy.options import Source
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.lint.unknown_names import named_groups, named_users
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet, Principal, Rule
from tokenserver.policy.patterns import SegmentKind
from tokenserver.policy.principals import is_unnamed
from tokenserver.policy.queries.path_names import unfilled_rules

MAX_RULES = 3
"""How many rules one note names."""

MAX_GROUPS = 10
"""How many groups one note lists."""


def notes_on_client(source: Source, identity: Identity, service: str) -> list[str]:
    """What is noteworthy about the names of a client: of the user, and of the groups that the user brings."""
    notes = []
    if not identity.is_anonymous and not is_unnamed(identity):
        notes += _notes_on_user(source, identity, service)
    return [
        *notes,
        *(note for name in sorted(identity.groups) for note in _unknown_group(source, name, is_brought=True)),
    ]


def notes_on_principal(source: Source, principal: Principal, groups: Collection[str], service: str) -> list[str]:
    """The same for a principal that a question is about, with groups from a directory."""
    notes = [note for name in sorted(set(groups)) for note in _unknown_group(source, name, is_brought=True)]
    if principal.sort == "group":
        notes = [*_unknown_group(source, principal.name, is_brought=False), *notes]
    if principal.sort == "user":
        user = Identity(principal.name, Kind.PASSWORD, groups=frozenset(groups))
        notes = [*_notes_on_user(source, user, service), *notes]
    return notes


def note_on_new_user(name: str, config: Path | None) -> str | None:
    """What the policies of the configuration cannot do for a new user of this name; None if nothing.

    Policies that cannot be loaded, or no configuration, are reason enough for a warning.
    """
    try:
        policies, _ = compile_policies(load_settings(config).policies)
    except LoadError:
        return f"{name!r} cannot be a segment of a repository name, so ${{user}} in rules never matches this user"
    return next(_unfit(policies, Identity(name, Kind.PASSWORD), None), None)


def _notes_on_user(source: Source, user: Identity, service: str) -> list[str]:
    """Another spelling is probably the one that is meant, so nothing else is said about this one then."""
    return list(_other_spelling(source, user.subject)) or list(_unfit(source.policies, user, service))


def _other_spelling(source: Source, name: str) -> Iterator[str]:
    """The users of the policies that differ from the name in case or width alone, if none is spelled like it."""
    known = named_users(source.policies)
    alike = sorted(one for one in known if fold(one) == fold(name)) if name not in known else []
    if alike:
        spelled = " and ".join(map(repr, alike))
        yield f"the policies know {spelled}, not {name!r}; names are compared letter by letter{_folding(source, name)}"


def _folding(source: Source, name: str) -> str:
    """Which directories report another spelling, which is then the one to ask for."""
    if source.settings is None or name == name.lower():
        return ""
    found = [
        entry.name
        for entry in source.settings.authentication
        if entry.ldap is not None and entry.ldap.directory(None).lowercase
    ]
    return f"; a login as {name!r} to {' or '.join(found)} is reported as {name.lower()!r}" if found else ""


def _unfit(policies: PolicySet, identity: Identity, service: str | None) -> Iterator[str]:
    """The rules that include the user and can never match, because of the name."""
    found = list(map(str, unfilled_rules(policies, identity, service)))
    if found:
        count = len(found) - MAX_RULES
        more = f" and {count} more rule{'s' if count > 1 else ''}" if count > 0 else ""
        yield (
            f"{identity.subject!r} cannot be a segment of a repository name, so for this user these never match:"
            f" {', '.join(found[:MAX_RULES])}{more}"
        )


def _unknown_group(source: Source, name: str, *, is_brought: bool) -> Iterator[str]:
    """That no rule and no group of the policies names the group, with the nearest names.

    One that the client brings from a directory can only be a directory's group. Where a rule has `${group}`, it can be
    any, so only one that is nearly the same as a named one is noted.
    """
    named, tree = named_groups(source.policies), source.policies.groups.by_name
    if name in named or name in tree:
        return
    groups = sorted(map(shown_name, named if is_brought else named.union(tree)))
    close = get_close_matches(name, groups, n=3) or get_close_matches(name.lower(), groups, n=3)
    if not close and is_brought and any(_uses_group(rule) for rule in source.policies.rules):
        return
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else _listed(groups)
    if source.have_groups:
        yield f"the policies name no {'directory group' if is_brought else 'group'} {name!r}; {hint}"
    else:
        yield f"there is no group {name!r}: the policies define none, and no user source has groups; {hint}"


def _listed(groups: Sequence[str]) -> str:
    shown = ", ".join(groups[:MAX_GROUPS]) + (", …" if len(groups) > MAX_GROUPS else "")
    return f"known: {shown or 'none'}"


def _uses_group(rule: Rule) -> bool:
    return any(pattern.uses(SegmentKind.GROUP) for pattern in rule.patterns)
