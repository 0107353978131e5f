"""The rules of a translation as policy files: one for all registries, and others by the services they are for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tokenserver.identity import spell_group
from tokenserver.importers.docker_auth.model import AclEntry, Labels
from tokenserver.importers.docker_auth.shapes.pattern_spelling import CAPTURED
from tokenserver.importers.docker_auth.translation.account_readings import label_group
from tokenserver.importers.docker_auth.translation.boxes import patterns_meet, shrunk
from tokenserver.importers.docker_auth.translation.entry_regions import EVERY_ACTION
from tokenserver.importers.docker_auth.translation.first_match import RulePiece
from tokenserver.importers.docker_auth.translation.people import PeerWorld
from tokenserver.importers.policy_text import GroupText, PolicyText, RuleText
from tokenserver.importers.unique_names import UniqueNames, as_rule_id
from tokenserver.policy.model import BUILT_IN_ROLES
from tokenserver.scopes import in_order

MAX_LISTED = 200
"""Principals or patterns that are written into one rule; more become several rules."""

_WORDS = re.compile(r"[a-z0-9]+", re.ASCII)
_MAX_ID = 60


def policy_files(
    pieces: Sequence[RulePiece], world: PeerWorld, source: str
) -> tuple[dict[str, PolicyText], dict[int, list[str]]]:
    """The policy files by name, and the ids of the rules of each entry, by its place."""
    ids = UniqueNames()
    became: dict[int, list[str]] = {}
    by_services: dict[frozenset[str], list[tuple[RulePiece, RuleText]]] = {world.services: []}
    for piece in pieces:
        for rule in _rules(piece, ids, source):
            by_services.setdefault(piece.box.services, []).append((piece, rule))
            became.setdefault(piece.region.place, []).append(rule.id)
    files: dict[str, PolicyText] = {}
    names = UniqueNames(["acl"])
    for services, rules in by_services.items():
        is_everywhere = services == world.services
        name = "acl.yaml" if is_everywhere else _file_name(services, names)
        files[name] = PolicyText(
            header=f"Made from the ACL of {source}. REPORT.md says what became of each entry.",
            registries=() if is_everywhere else tuple(sorted(services)),
            groups=tuple(_groups(world)) if is_everywhere else (),
            allow=tuple(rule for piece, rule in rules if not piece.is_deny),
            deny=tuple(rule for piece, rule in rules if piece.is_deny),
        )
    if not any(file.allow or file.deny for file in files.values()):
        files["acl.yaml"] = replace(files["acl.yaml"], deny=(_NOTHING,))
    return {name: file for name, file in files.items() if file.allow or file.deny or file.groups}, became


_NOTHING = RuleText(
    id="nothing-is-granted",
    to=("everyone",),
    repositories=("**",),
    actions=("*",),
    comment="No entry grants anything; policies without a rule are taken for a mistake.",
)


def _groups(world: PeerWorld) -> Iterator[GroupText]:
    """The groups of static accounts by the values of their labels, besides what other sources report by that name."""
    members: dict[str, list[str]] = {}
    for account, labels in sorted(world.accounts.items()):
        for group in _groups_of(labels) if account else ():
            members.setdefault(group, []).append(account)
    for group, accounts in sorted(members.items()):
        yield GroupText(spell_group(group), tuple(accounts), (spell_group(group),) if world.is_open else ())


def _groups_of(labels: Labels) -> dict[str, None]:
    return dict.fromkeys(label_group(label, value) for label, values in labels.items() for value in values)


def _file_name(services: Iterable[str], names: UniqueNames) -> str:
    words = "-".join(_WORDS.findall("-".join(sorted(services)).lower()))[:_MAX_ID]
    return f"{names.give(words or 'services')}.yaml"


def _rule_id(piece: RulePiece, to: Sequence[str]) -> str:
    """A readable id: for whom, and where."""
    place = "catalog" if piece.box.is_registry else _words(piece.box.patterns[0])
    parts = ["deny" if piece.is_deny else "", *(_words(one) for one in to[:2]), place or "all"]
    return as_rule_id("-".join(part for part in parts if part)[:_MAX_ID])


def _words(text: str) -> str:
    name = text.removeprefix("user:").removeprefix("group:").removesuffix("/**").replace(f"{{{CAPTURED}}}", "each")
    return "-".join(_WORDS.findall(name.lower()))


def _rules(piece: RulePiece, ids: UniqueNames, source: str) -> Iterator[RuleText]:
    box, entry = piece.box, piece.region.entry
    to, exceptions = box.people.spelled()
    patterns = shrunk(box.patterns)
    without = shrunk(one for one in box.without if any(patterns_meet(one, pattern) for pattern in patterns))
    when: dict[str, str | tuple[str, ...]] = {}
    if box.addresses.network is not None:
        when["from"] = (str(box.addresses.network),)
    if box.addresses.without:
        when["not_from"] = tuple(map(str, box.addresses.without))
    actions, role = _actions(piece)
    for principals in _batches(to):
        for listed in _batches(patterns):
            yield RuleText(
                id=ids.give(_rule_id(piece, principals)),
                to=principals,
                repositories=() if box.is_registry else listed,
                registry=listed if box.is_registry else (),
                actions=actions,
                role=role,
                exceptions=exceptions,
                besides=() if box.is_registry else without,
                when=when,
                comment=_comment(entry, source),
            )


def _batches(texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(texts), MAX_LISTED):
        yield tuple(texts[start : start + MAX_LISTED])


def _actions(piece: RulePiece) -> tuple[tuple[str, ...], str]:
    """The actions, or the role that has them."""
    actions = piece.actions
    if piece.box.is_registry or actions == EVERY_ACTION:
        return ("*",), ""
    if piece.is_deny:
        actions -= {"*"}  # any deny forbids the literal
    for role, granted in BUILT_IN_ROLES.items():
        if actions == granted and not piece.is_deny:
            return (), role
    return tuple(in_order(actions)), ""


def _comment(entry: AclEntry, source: str) -> str:
    place = f"{source}:{entry.line}: {spelled_entry(entry)}"
    return f"{place}\n{entry.comment}" if entry.comment else place


def spelled_entry(entry: AclEntry) -> str:
    """What an entry says, on one line."""
    match = entry.match
    parts: list[str] = []
    if match is not None:
        fields = {
            "account": match.account,
            "type": match.type,
            "name": match.name,
            "ip": match.ip,
            "service": match.service,
        }
        parts = [f'{key}: "{value}"' for key, value in fields.items() if value is not None]
        parts += [f'labels.{label}: "{pattern}"' for label, pattern in match.labels]
    parts += [f"(ignored: {key})" for key, _ in entry.ignored_keys]
    return f"{', '.join(parts) or 'anything'} -> [{', '.join(entry.actions or ())}]"
