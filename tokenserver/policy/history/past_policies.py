"""Policies that were in force once: their files, where they were found, and the policy set that they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.loader import compile_texts, digest_of
from tokenserver.policy.loading.machines import combined_digest
from tokenserver.policy.machines.claim_names import Aliases
from tokenserver.policy.machines.workloads import Workloads, base_of
from tokenserver.policy.model import PolicySet


@dataclass(frozen=True, slots=True)
class LiveMachines:
    """The machines that were left of policies of which a later change had ended some.

    `offered` is the digest of the policies with that change, which were not in force otherwise.
    """

    robots: frozenset[str]
    workloads: frozenset[str]
    offered: str


@dataclass(frozen=True, slots=True)
class PastPolicies:
    """The files of past policies by name. `origin` names the commit or snapshot, `since` is its time."""

    digest: str
    texts: Mapping[str, str]
    origin: str
    since: datetime
    machines: LiveMachines | None = None

    def compiled(self, services: frozenset[str] | None, claim_aliases: Mapping[str, Aliases] | None) -> PolicySet:
        """The policy set; see `compile_texts`.

        Raises:
            LoadError: the files do not have the digest, or do not compile with this version of the server.
        """
        self._require_digest()
        try:
            policies, _ = compile_texts(self.texts, services=services, claim_aliases=claim_aliases)
        except LoadError as error:
            raise LoadError([replace(fault, file=f"{self.origin}:{fault.file}") for fault in error.faults]) from None
        kept = self.machines
        if kept is None:
            return policies
        robots = {name: robot for name, robot in policies.robots.items() if name in kept.robots}
        workloads = policies.groups.workloads.by_name
        left = [one for name, one in workloads.items() if not base_of(name) or base_of(name) in kept.workloads]
        groups = replace(policies.groups, workloads=Workloads.of_all(left))
        return replace(policies, digest=self.digest, robots=robots, groups=groups, offered=kept.offered)

    def _require_digest(self) -> None:
        found = digest_of(self.texts)
        if self.machines is not None:
            found = combined_digest(found, self.machines.offered)
        if found != self.digest:
            message = f"was changed: its files have the digest {found}, not {self.digest}; fix: take it from a backup"
            raise LoadError([Fault(self.origin, 0, "", message)])
