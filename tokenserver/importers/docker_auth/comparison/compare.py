"""Differences between the two sides, request by request, and which of them the translation announces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.evaluator import AskedElsewhere, authorize
from tokenserver.importers.docker_auth.model import AclEntry, DockerAuthConfig, PeerRequest
from tokenserver.importers.golang.expression import ExpressionBeyondLimits
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS, in_order


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A request that the two sides answer differently. `entry` is the one that decides at docker_auth."""

    request: PeerRequest
    theirs: frozenset[str]
    ours: frozenset[str]
    entry: AclEntry | None

    @property
    def grants_more(self) -> bool:
        """Whether something is granted here that docker_auth does not grant."""
        return not self.ours <= self.theirs

    def __str__(self) -> str:
        asked = self.request
        place = f" from {asked.ip}" if asked.ip else ""
        who = asked.account or "anonymous"
        labels = "".join(f" {label}={','.join(values)}" for label, values in asked.labels.items())
        return (
            f"{who}{labels}{place} asks {asked.service} for {asked.type}:{asked.name}:{','.join(asked.actions)}: "
            f"docker_auth grants {_spelled(self.theirs)}, here {_spelled(self.ours)}"
        )


class Undecided(Exception):
    """docker_auth's answer is not known here; the text says why."""


def theirs(config: DockerAuthConfig, request: PeerRequest) -> tuple[frozenset[str], AclEntry | None]:
    """The known actions that docker_auth grants, and the entry that decides.

    Raises:
        Undecided: another source of rules decides, or an expression is beyond the limits of the evaluator.
    """
    try:
        answer = authorize(config, request, request.labels)
    except (AskedElsewhere, ExpressionBeyondLimits) as error:
        raise Undecided(str(error)) from error
    return frozenset(answer.granted).intersection(ACTIONS), answer.entry


def disagreement(config: DockerAuthConfig, ours: OurSide, request: PeerRequest) -> Disagreement | None:
    """How the answers differ; None if they are the same.

    A request of `*` on a repository asks for pull, push and delete here; so docker_auth is asked for these, too.

    Raises:
        Undecided: docker_auth's answer is not known.
    """
    asked = request
    if request.type == "repository" and "*" in request.actions:
        asked = replace(request, actions=tuple(dict.fromkeys((*request.actions, *REPOSITORY_ACTIONS))))
    granted, entry = theirs(config, asked)
    here = ours.granted(asked)
    return None if granted == here else Disagreement(asked, granted, here, entry)


def disagreements(config: DockerAuthConfig, ours: OurSide, requests: Iterable[PeerRequest]) -> Iterator[Disagreement]:
    """All disagreements about the requests that docker_auth's file alone decides."""
    for request in requests:
        try:
            found = disagreement(config, ours, request)
        except Undecided:
            continue
        if found is not None:
            yield found


def _spelled(actions: frozenset[str]) -> str:
    return ",".join(in_order(actions)) or "nothing"
