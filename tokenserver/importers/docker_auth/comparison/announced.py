"""Which disagreements a translation announces, and examples of them for its report. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from tokenserver.importers.docker_auth.comparison.compare import Disagreement
from tokenserver.importers.docker_auth.model import AclEntry, DockerAuthConfig
from tokenserver.importers.report import Construct, Verdict
from tokenserver.scopes import is_path_component


@dataclass(frozen=True, slots=True)
class Announcements:
    """The verdicts on the entries of a configuration, in their order, and the accounts that cannot log in here."""

    config: DockerAuthConfig
    entries: tuple[Construct, ...]
    rejected: Collection[str] = ()
    _places: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {id(entry): place for place, entry in enumerate(self.config.acl or ())}
        object.__setattr__(self, "_places", places)

    def construct(self, entry: AclEntry) -> Construct:
        """The construct of an entry of the configuration."""
        return self.entries[self._places[id(entry)]]

    def has(self, found: Disagreement) -> bool:
        """Whether the translation says that such a request is answered differently. It never grants more."""
        entry = found.entry
        if entry is None or found.grants_more:
            return False
        if found.request.account in self.rejected:
            return True
        if self.construct(entry).verdict is not Verdict.EXACT:
            return True
        name = "" if entry.match is None else entry.match.name or ""
        return "${account}" in name and not is_path_component(found.request.account)

    def with_witnesses(self, found: Iterable[Disagreement]) -> tuple[Construct, ...]:
        """The constructs, each with the first disagreement that its entry decides."""
        constructs = list(self.entries)
        for one in found:
            if one.entry is None:
                continue
            place = self._places[id(one.entry)]
            if not constructs[place].witness:
                constructs[place] = replace(constructs[place], witness=str(one))
        return tuple(constructs)
