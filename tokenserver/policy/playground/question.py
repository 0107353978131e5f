"""Questions to the playground: the edited tree, the live one, and what the configuration says, also as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tokenserver.errors import LinkedText
from tokenserver.identity import NamespaceRule, Namespaces
from tokenserver.policy.loading.machines import WorkloadSources
from tokenserver.policy.machines.claim_names import SourceClaims


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a tree is loaded and linted with, as the configuration says it; None: not known.

    `services`, `namespaces` and `workload_sources` are as for `load_policies`, the others as for `lint`.
    """

    services: frozenset[str] | None = None
    namespaces: Namespaces | None = None
    workload_sources: WorkloadSources | None = None
    have_groups: bool = True
    anonymous: bool | None = None
    presets: Mapping[str, str] | None = None
    longest: timedelta | None = None
    access_keys: bool | None = None


@dataclass(frozen=True, slots=True)
class PlaygroundQuestion:
    """A tree `texts` that is compared with the tree `live` at the aware time `now`.

    `marked`: the live files end with the line that marks them complete, so those of the tree must, too.
    """

    texts: Mapping[str, str]
    live: Mapping[str, str]
    now: datetime
    surroundings: Surroundings = Surroundings()
    marked: bool = False

    def as_json(self) -> str:
        """The question for another process."""
        of = self.surroundings
        sources = of.workload_sources
        return json.dumps(
            {
                "texts": _told(self.texts),
                "live": _told(self.live),
                "now": self.now.isoformat(),
                "marked": self.marked,
                "services": None if of.services is None else sorted(of.services),
                "namespaces": None if of.namespaces is None else sorted(of.namespaces.rules, key=str),
                "workload_sources": None
                if sources is None
                else {
                    name: [[sorted(anchor) for anchor in known.anchors], dict(known.aliases)]
                    for name, known in sources.items()
                },
                "have_groups": of.have_groups,
                "anonymous": of.anonymous,
                "presets": None if of.presets is None else dict(of.presets),
                "longest": None if of.longest is None else of.longest.total_seconds(),
                "access_keys": of.access_keys,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> PlaygroundQuestion:
        """The question that `as_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        services, sources, longest = (told[key] for key in ("services", "workload_sources", "longest"))
        surroundings = Surroundings(
            None if services is None else frozenset(services),
            None if told["namespaces"] is None else Namespaces(frozenset(map(_rule, told["namespaces"]))),
            None
            if sources is None
            else {
                name: SourceClaims(frozenset(map(frozenset, anchors)), aliases)
                for name, (anchors, aliases) in sources.items()
            },
            told["have_groups"],
            told["anonymous"],
            told["presets"],
            None if longest is None else timedelta(seconds=longest),
            told["access_keys"],
        )
        now = datetime.fromisoformat(told["now"])
        return cls(_heard(told["texts"]), _heard(told["live"]), now, surroundings, told["marked"])


def _rule(name: str | None) -> NamespaceRule | None:
    return None if name is None else NamespaceRule(name)


def _told(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Each text, followed by the file that a link led to, if one did."""
    return {name: [text, *([text.target] if isinstance(text, LinkedText) else [])] for name, text in texts.items()}


def _heard(texts: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: LinkedText(*one) if len(one) > 1 else one[0] for name, one in texts.items()}
