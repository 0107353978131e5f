"""Presets: what is known of the JWTs of GitHub Actions, GitLab CI, Kubernetes and SPIFFE. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tokenserver.authn.workload.algorithms import ALGORITHMS

NO_ALIASES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WorkloadPreset:
    """One kind of issuer.

    `algorithms`: those that it uses. `anchors`: sets of claims; a declared workload must pin all claims of one set,
    since everybody's workloads at this issuer have the other claims, too. `aliases`: short names of claims -> their
    paths. `needs_trust_domain`: subjects are SPIFFE IDs, and only those of one trust domain are accepted.
    """

    name: str
    algorithms: tuple[str, ...]
    anchors: tuple[frozenset[str], ...]
    aliases: Mapping[str, str] = field(default_factory=lambda: NO_ALIASES)
    needs_trust_domain: bool = False

    def path(self, claim: str) -> str:
        """The path of a claim that may be named by an alias."""
        return self.aliases.get(claim, claim)

    def is_anchored(self, pinned: Collection[str]) -> bool:
        """Whether claims with these names identify whose workload it is. Aliases and paths are the same."""
        paths = {self.path(claim) for claim in pinned}
        return any({self.path(claim) for claim in anchor} <= paths for anchor in self.anchors)


def _each(*claims: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({claim}) for claim in claims)


PRESETS: Mapping[str, WorkloadPreset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            WorkloadPreset(
                "github_actions",
                ("RS256",),
                _each("repository_id", "repository_owner_id", "repository", "repository_owner", "enterprise_id"),
            ),
            WorkloadPreset(
                "gitlab_ci", ("RS256",), _each("project_id", "namespace_id", "project_path", "namespace_path")
            ),
            WorkloadPreset(
                "kubernetes",
                ("RS256", "ES256", "ES384", "ES512"),
                (frozenset({"namespace", "serviceaccount"}),),
                MappingProxyType(
                    {
                        "namespace": "kubernetes.io/namespace",
                        "serviceaccount": "kubernetes.io/serviceaccount/name",
                        "pod": "kubernetes.io/pod/name",
                    }
                ),
            ),
            WorkloadPreset(
                # JWT-SVID, section 3: no EdDSA.
                "spiffe",
                tuple(name for name in ALGORITHMS if name[:2] in ("RS", "PS", "ES")),
                _each("sub"),
                needs_trust_domain=True,
            ),
            WorkloadPreset("none", tuple(ALGORITHMS), _each("sub")),
        )
    }
)
"""By name. `none` is any other issuer."""


_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
_SCHEME = "spiffe://"
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)


def is_trust_domain(text: str) -> bool:
    """Whether it is the name of a SPIFFE trust domain (SPIFFE-ID, section 2.1)."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def is_spiffe_id(text: str, trust_domain: str) -> bool:
    """Whether it is the SPIFFE ID of a workload in this trust domain (SPIFFE-ID, section 2), byte for byte.

    The trust domain alone identifies no workload.
    """
    beginning = f"{issuer_of_trust_domain(trust_domain)}/"
    segments = text.removeprefix(beginning).split("/")
    return text.startswith(beginning) and all(
        _SEGMENT.fullmatch(segment) is not None and segment not in (".", "..") for segment in segments
    )


def issuer_of_trust_domain(trust_domain: str) -> str:
    """The stand-in for the issuer of a trust domain's JWT-SVIDs, which need no `iss`: the ID of the trust domain."""
    return _SCHEME + trust_domain


def issuer_of_svid(subject: str) -> str:
    """The stand-in for the trust domain in a subject, such as `spiffe://example.org`; empty if there is none in it."""
    trust_domain = subject.removeprefix(_SCHEME).partition("/")[0]
    is_named = subject.startswith(_SCHEME) and is_trust_domain(trust_domain)
    return issuer_of_trust_domain(trust_domain) if is_named else ""
