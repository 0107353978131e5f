"""The machine that a policy question is about: a declared robot, or a workload by the claims of its token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from types import MappingProxyType
from typing import Any, BinaryIO

import click

from tokenserver.authn.workload.claims import as_pairs, flatten
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.cli.exits import NO
from tokenserver.cli.policy.options import Source
from tokenserver.cli.terminal import echo_text
from tokenserver.documents.hints import nearest as did_you_mean
from tokenserver.documents.json_output import json_text
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import TokenserverError
from tokenserver.identity import WORKLOAD_PREFIX, Claims, Identity, Sort
from tokenserver.policy.machines.claim_names import with_aliases
from tokenserver.policy.machines.near_misses import NearMiss, declared_among, nearest
from tokenserver.policy.machines.robots import parse_machine_name, robot_of
from tokenserver.policy.machines.workloads import Workload, is_declared
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.syntax.machines import parse_claim, parse_source, robot_identity, workload_identity

MAX_CLAIMS = 64 * 1024
"""Bytes of a file with claims."""

_FORM = 'and the claims: --claim NAME=VALUE, or --claims FILE with a JSON object such as {"repository_id": "74"}'


@dataclass(frozen=True, slots=True)
class AskedMachine:
    """What the options say: a robot by name, or a source with the claims of a workload of it; or neither.

    `claims` were given one by one, `document` has those of a file.
    """

    robot: str | None = None
    source: str | None = None
    claims: Claims = frozenset()
    document: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_given(self) -> bool:
        """Whether the options name a machine."""
        return self.robot is not None or self.source is not None

    def identity(self, asked: Source) -> Identity | None:
        """The machine; None if the options name none. A workload has the claims that the server would read.

        Raises:
            click.UsageError: the policies do not declare the robot, or no server accepts the claims.
        """
        if self.robot is not None:
            require_declared(asked.policies, Principal("robot", self.robot))
            return robot_identity(self.robot)
        if self.source is None:
            return None
        aliases = asked.claim_aliases(self.source)
        try:
            found = as_pairs(flatten(self.document, aliases))
        except RefusedJwt as error:
            raise click.UsageError(f"--claims: the server accepts no such JWT: {error.reason}") from error
        return workload_identity(self.source, found | with_aliases(self.claims, aliases))


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--robot`, and `--workload` with `--claim` and `--claims`; the command gets an `AskedMachine` as `machine`."""

    @wraps(command)
    def wrapped(
        robot: str | None,
        workload: str | None,
        claim: Sequence[str],
        claims_file: BinaryIO | None,
        **others: Any,
    ) -> Any:
        try:
            machine = _asked(robot, workload, claim, claims_file)
        except TokenserverError as error:
            raise click.UsageError(str(error)) from error
        return command(machine=machine, **others)

    decorated = click.option(
        "--claims", "claims_file", type=click.File("rb"), help="A file with all claims as JSON (- for standard input)."
    )(wrapped)
    decorated = click.option(
        "--claim", multiple=True, metavar="NAME=VALUE", help="A claim of the workload's token; repeatable."
    )(decorated)
    decorated = click.option(
        "--workload", metavar="SOURCE", help="A workload of this source, with --claim or --claims."
    )(decorated)
    found: Callable[..., Any] = click.option("--robot", help="A robot that the policies declare.")(decorated)
    return found


def _asked(robot: str | None, source: str | None, claims: Sequence[str], file: BinaryIO | None) -> AskedMachine:
    if robot is not None and source is not None:
        raise click.UsageError("--robot and --workload exclude each other")
    if source is None and (claims or file is not None):
        raise click.UsageError("--claim and --claims go with --workload: the source of the workload, such as github")
    if robot is not None:
        return AskedMachine(robot=parse_machine_name(robot))
    if source is None:
        return AskedMachine()
    if not claims and file is None:
        raise click.UsageError(f"name the source {_FORM}")
    found = frozenset(map(_parse_claim, claims))
    return AskedMachine(None, parse_source(source), found, {} if file is None else _read_claims(file))


def _parse_claim(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--claim {text!r}: must be NAME=VALUE, such as repository_id=74")
    return parse_claim(name), value


def _read_claims(file: BinaryIO) -> dict[str, Any]:
    text = file.read(MAX_CLAIMS + 1)
    if len(text) > MAX_CLAIMS:
        raise click.UsageError(f"--claims: has more than {MAX_CLAIMS} bytes")
    try:
        return read_object(text)
    except InvalidJson as error:
        raise click.UsageError(f'--claims: {error}; it takes an object such as {{"repository_id": "74"}}') from error


def machine_of(subject: str) -> AskedMachine:
    """The machine whose subject a token has; of a workload it does not tell enough.

    Raises:
        click.UsageError: it is a workload.
    """
    if subject.startswith(WORKLOAD_PREFIX):
        source = subject.removeprefix(WORKLOAD_PREFIX).partition(":")[0]
        raise click.UsageError(
            f"the token is of {subject!r}, and does not tell which; add --workload {source}, {_FORM}"
        )
    return AskedMachine(robot=robot_of(subject))


def require_declared(policies: PolicySet, principal: Principal) -> None:
    """Check that the policies declare the robot or the workload that the principal names, if it names one.

    Raises:
        click.UsageError: they do not.
    """
    known = {
        "robot": sorted(policies.robots),
        "workload": sorted(filter(is_declared, policies.groups.workloads.by_name)),
    }.get(principal.sort)
    if known is not None and principal.name not in known:
        hint = did_you_mean(principal.name, known) if known else f"they declare no {principal.sort}s"
        raise click.UsageError(f"the policies declare no {principal.sort} {principal.name!r}; {hint}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a workload cannot log in: it is none of those that the policies declare; `nearest` are the closest ones."""

    nearest: tuple[NearMiss, ...]
    hint: str

    REASON = "no declared workload matches"

    def facts(self) -> dict[str, Any]:
        """The refusal for `--json`."""
        near = [{"workload": one.workload.name, "missing": list(one.missing)} for one in self.nearest]
        return {"verdict": "refused", "status": 401, "reason": self.REASON, "nearest": near, "hint": self.hint}

    def __str__(self) -> str:
        lines = [f"refused (401): {self.REASON}"]
        lines += [f"  {one} ({one.workload.file}:{one.workload.line})" for one in self.nearest]
        return "\n".join([*lines, *([f"  {self.hint}"] if self.hint else [])])


def refusal(policies: PolicySet, identity: Identity) -> Refusal | None:
    """Why this client cannot log in; None if it can, as far as policies have a say."""
    if identity.sort is not Sort.WORKLOAD or declared_among(policies.groups.holding(identity)):
        return None
    declared = [one for one in policies.groups.workloads.by_name.values() if is_declared(one.name)]
    near = nearest(declared, identity.source, identity.claims)
    return Refusal(tuple(near), "" if near else _unknown_source(declared, identity.source))


def exit_if_refused(source: Source, identity: Identity, *, as_json: bool) -> None:
    """End the command with the refusal, and `NO`, for a client that cannot log in."""
    refused = refusal(source.policies, identity)
    if refused is not None:
        source.print_revision()
        echo_text(json_text(refused.facts(), indent=2) if as_json else str(refused))
        raise SystemExit(NO)


def _unknown_source(declared: Sequence[Workload], source: str) -> str:
    sources = sorted({one.source for one in declared})
    hint = did_you_mean(source, sources) if sources else "they declare no workloads"
    return f"the policies declare no workload from {source!r}; {hint}"
