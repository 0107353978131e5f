"""A docker_auth configuration as policies of this server, with a verdict on each of its entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.translation.entry_regions import EntryRegion, region_of
from tokenserver.importers.docker_auth.translation.first_match import Translated, translate_entries
from tokenserver.importers.docker_auth.translation.matching import is_regex
from tokenserver.importers.docker_auth.translation.people import PeerWorld
from tokenserver.importers.docker_auth.translation.policy_files import policy_files, spelled_entry
from tokenserver.importers.policy_text import PolicyText
from tokenserver.importers.report import Construct, Verdict

_LITERAL = frozenset("*?[\\$/")


@dataclass(frozen=True, slots=True)
class AclTranslation:
    """The policy files by name, and the construct of each entry, in their order; `world` is what was known."""

    files: Mapping[str, PolicyText] = field(repr=False)
    entries: tuple[Construct, ...]
    world: PeerWorld


def services_in(config: DockerAuthConfig) -> tuple[str, ...]:
    """The services that entries name literally."""
    found = (entry.match.service for entry in config.acl or () if entry.match is not None)
    return tuple(dict.fromkeys(one for one in found if one and not is_regex(one) and _LITERAL.isdisjoint(one)))


def translate_acl(config: DockerAuthConfig, services: Iterable[str], *, keep_traps: bool) -> AclTranslation:
    """The policies that mean the same as the entries of a configuration, as far as each entry's verdict says so.

    In no case is anything granted that docker_auth does not grant.
    """
    accounts = {name: user.labels for name, user in (config.users or {}).items()}
    is_open = any(key not in _AUTHORIZERS for key in config.backends)
    world = PeerWorld(accounts, is_open, frozenset(services))
    regions = [region_of(place, entry, world, keep_traps=keep_traps) for place, entry in enumerate(config.acl or ())]
    found = translate_entries(regions)
    files, became = policy_files(found.pieces, world, config.file)
    constructs = tuple(_construct(config, region, found, became, keep_traps=keep_traps) for region in regions)
    return AclTranslation(files, constructs, world)


_AUTHORIZERS = frozenset({"acl_mongo", "acl_xorm", "ext_authz", "plugin_authz", "casbin_authz"})


def _construct(
    config: DockerAuthConfig,
    region: EntryRegion,
    found: Translated,
    became: Mapping[int, Sequence[str]],
    *,
    keep_traps: bool,
) -> Construct:
    verdict, note = _verdict(region, found, keep_traps=keep_traps)
    instead = ""
    rules = tuple(became.get(region.place, ()))
    if verdict is Verdict.NOT_TRANSLATED:
        instead = "write a rule for the group or the names that are meant, as tokenserver help policies says"
    if verdict is Verdict.CLOSED:
        instead = "write the rule that was meant, or import with --keep-traps"
    if not note and not rules:
        note = "no rule is needed: nothing is granted that no rule allows"
        if region.place in found.hidden:
            note = "never reached: earlier entries match whatever this one would"
        elif region.actions:
            note = "no legal repository name, service or account matches, or earlier entries grant the same"
    return Construct(
        f"{config.file}:{region.entry.line}", spelled_entry(region.entry), verdict, note, instead, "", rules
    )


def _verdict(region: EntryRegion, found: Translated, *, keep_traps: bool) -> tuple[Verdict, str]:
    notes = [*region.traps, *region.doubts, *region.remarks]
    is_lossy = region.place in found.lossy
    if is_lossy:
        notes.append("what an earlier entry hides is not expressible exactly, so less is granted")
    note = "; ".join(notes)
    if region.traps:
        return (Verdict.KEPT if keep_traps else Verdict.CLOSED), note
    if region.doubts and not region.boxes and region.actions:
        return Verdict.NOT_TRANSLATED, note
    if region.doubts or is_lossy or region.entry.match is None or region.entry.actions is None:
        return Verdict.DIFFERENT, note
    return Verdict.EXACT, note
