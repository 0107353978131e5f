"""Notes on names of users and groups in a question: unknown to the policies, spelled otherwise, unfit for `${user}`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tokenserver.authn.namespaces import FileNamespaces
from tokenserver.authn.usernames import fold
from tokenserver.cli.policy.options import Source
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.names import rule_of
from tokenserver.documents.hints import Hints
from tokenserver.errors import LoadError
from tokenserver.identity import Identity, NamespaceRule, Namespaces
from tokenserver.patterns import SegmentKind
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.lint.unknown_names import named_groups, named_users
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import is_unnamed, user_identity
from tokenserver.policy.queries.path_names import unfilled_rules
from tokenserver.scopes import is_path_component

_FIX = "; fix: map names to namespaces with names: in the user source"

MAX_RULES = 3
"""How many rules one note names."""

MAX_GROUPS = 10
"""How many groups one note lists."""


def notes_on_client(source: Source, identity: Identity, service: str) -> list[str]:
    """What is noteworthy about the names of a client: of the user, and of the groups that the user brings."""
    notes, hints = [], Hints()
    if not identity.is_anonymous and not is_unnamed(identity):
        notes += _notes_on_user(source, identity, service)
    return [
        *notes,
        *(note for name in sorted(identity.groups) for note in _unknown_group(source, name, hints, is_brought=True)),
    ]


def notes_on_principal(source: Source, principal: Principal, groups: Collection[str], service: str) -> list[str]:
    """The same for a principal that a question is about, with groups from a directory."""
    hints = Hints()
    notes = [note for name in sorted(set(groups)) for note in _unknown_group(source, name, hints, is_brought=True)]
    if principal.sort == "group":
        notes = [*_unknown_group(source, principal.name, hints, is_brought=False), *notes]
    if principal.sort == "user":
        user = user_identity(source.policies, principal.name, groups)
        notes = [*_notes_on_user(source, user, service), *notes]
    return notes


def notes_on_new_user(name: str, names: Collection[str], file: Path, config: Path | None) -> Iterator[str]:
    """What does not work for a new user of this name in an htpasswd file with the users `names`: rules, or the login.

    Policies that cannot be loaded, or no configuration, are reason enough for a warning.
    """
    try:
        settings = load_settings(config)
        rule = _rule_at(settings, file)
        policies, _ = compile_policies(settings.policies)
    except LoadError:
        if not is_path_component(name):
            yield f"{name!r} cannot be a segment of a repository name, so ${{user}} in rules never matches this user"
        return
    problem = FileNamespaces(names, rule).problem(name)
    if problem is not None:
        yield f"{name!r} cannot log in: {problem}"
    namespaces = None if rule is None else Namespaces(frozenset({rule}))
    policies = replace(policies, namespaces=namespaces)
    yield from _unfit(policies, user_identity(policies, name), None)


def _rule_at(settings: Settings, file: Path) -> NamespaceRule | None:
    """What the source of this htpasswd file maps names by; None if it maps none, or no source has the file."""
    sources = [source.htpasswd for source in settings.authentication if source.htpasswd is not None]
    return next((rule_of(one.names) for one in sources if os.path.realpath(one.file) == os.path.realpath(file)), None)


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
            f" {', '.join(found[:MAX_RULES])}{more}{_FIX if identity.namespace is None else ''}"
        )


def _unknown_group(source: Source, name: str, hints: Hints, *, is_brought: bool) -> Iterator[str]:
    """That no rule and no group of the policies names the group, with the nearest names.

    One that the client brings from a directory can only be a directory's group. Where a rule has `${group}`, it can be
    any, so only one that is nearly the same as a named one is noted.
    """
    named, tree = named_groups(source.policies), source.policies.groups.by_name
    if name in named or name in tree:
        return
    groups = sorted(map(shown_name, named if is_brought else named.union(tree)))
    close = hints.closest(name, groups, most=3) or hints.closest(name.lower(), groups, most=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else _listed(groups)
    if source.have_groups and not close and is_path_component(name) and _any_group_will_do(source.policies):
        return
    if source.have_groups:
        yield f"the policies name no {'directory group' if is_brought else 'group'} {name!r}; {hint}"
    else:
        yield f"there is no group {name!r}: the policies define none, and no user source has groups; {hint}"


def _any_group_will_do(policies: PolicySet) -> bool:
    """Whether a rule has `${group}`, which stands for every group of a directory, named or not."""
    return any(pattern.uses(SegmentKind.GROUP) for rule in policies.rules for pattern in rule.patterns)


def _listed(groups: Sequence[str]) -> str:
    shown = ", ".join(groups[:MAX_GROUPS]) + (", …" if len(groups) > MAX_GROUPS else "")
    return f"known: {shown or 'none'}"
