"""User groups of Harbor as groups that a user source brings, and names for groups of the policies beside them. Pure.

A directory calls a group by its distinguished name, of which this server takes the common name. A group of the policies
hides one that is brought and has the same name, so no new group gets such a name.
"""

from __future__ import annotations

from tokenserver.authn.ldap.dn import NotADn, parse_dn
from tokenserver.identity import spell_group
from tokenserver.importers.harbor.model import HarborExport
from tokenserver.importers.legal_names import group_problem
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import UniqueNames

MAX_GROUP = 200


class GroupNames:
    """The groups of one export. `constructs` says what became of those whose name changes."""

    def __init__(self, export: HarborExport) -> None:
        self.constructs: list[Construct] = []
        self._by_id: dict[int, str] = {}
        self._by_name: dict[str, str] = {}
        self._export = export
        for index, group in enumerate(export.groups):
            name = common_name(group.dn) or self._without_slash(group.name)
            self._by_id[group.id] = name
            self._by_name[group.name] = name
            if name != group.name:
                note = f"here it is {name}, after the common name of {group.dn}"
                if not group.dn:
                    note = f"here it is {name}: a slash at the beginning of the name of a provider's group is removed"
                place = f"{export.file}: usergroups[{index}]"
                self.constructs.append(Construct(place, group.name, Verdict.DIFFERENT, note))
        mentioned = (member.name for project in export.projects for member in project.members if member.sort == "g")
        self._new = UniqueNames({*self._by_name.values(), *self._by_name, *mentioned}, MAX_GROUP)

    def brought(self, identifier: int, name: str) -> tuple[str, str]:
        """The name of a member group as its user source brings it, as policies write it, and why that is no legal name
        (empty: it is).
        """
        found = self._by_id.get(identifier) or self._by_name.get(name) or common_name(name)
        found = found or self._without_slash(name)
        return spell_group(found), group_problem(found)

    def new(self, wanted: str) -> str:
        """The name of a new group of the policies, like `wanted`."""
        return self._new.give(wanted)

    def administrators(self) -> list[str]:
        """The groups whose members are system administrators, by the configuration."""
        found = []
        for setting in ("ldap_group_admin_dn", "oidc_admin_group", "http_authproxy_admin_groups"):
            for text in self._names(setting):
                name, problem = self.brought(0, text)
                became = () if problem else ("administrators", "administrators-catalog")
                verdict = Verdict.NOT_TRANSLATED if problem else Verdict.EXACT
                place = f"{self._export.file}: configurations.{setting}"
                self.constructs.append(Construct(place, text, verdict, problem, became=became))
                found += [] if problem else [name]
        return list(dict.fromkeys(found))

    def _without_slash(self, name: str) -> str:
        return name.removeprefix("/") if self._export.setting("auth_mode") == "oidc_auth" else name

    def _names(self, setting: str) -> list[str]:
        text = self._export.setting(setting)
        parts = text.split(",") if setting == "http_authproxy_admin_groups" else [text]
        return [part.strip() for part in parts if part.strip()]


def common_name(text: str) -> str:
    """The common name that a distinguished name begins with; empty if it is none."""
    if "=" not in text:
        return ""
    try:
        first = parse_dn(text)[0]
    except (NotADn, IndexError):
        return ""
    return next((value for kind, value in first if kind == "cn"), "")
