"""Checks of the issuers of workloads: whether their keys can be fetched, and are for the accepted algorithms. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.doctor.checks.vouching.reaching import ConfiguredServer
from tokenserver.doctor.findings import Finding, failed, note, passed
from tokenserver.runtime.http.response import FailureReason


@dataclass(frozen=True, slots=True)
class OurIssuer:
    """A workload source, as `config` has it. Its keys are at `key_url`, or else in a file or where discovery leads.

    `preferred` are the algorithms of its preset, `algorithms` the accepted ones. `is_declared`: a policy file declares
    a workload of it.
    """

    source: str
    config: str
    issuer: str
    audiences: tuple[str, ...]
    has_default_audience: bool
    algorithms: tuple[str, ...]
    preferred: tuple[str, ...]
    is_declared: bool
    is_kubernetes: bool = False
    key_url: str | None = None
    token_file: str | None = None
    ca_file: str | None = None

    @property
    def setting(self) -> str:
        """What names the place of its keys in the configuration."""
        return f"{'issuer' if self.key_url is None else 'keys.url'} of {self.source} in {self.config}"


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The usable keys of an issuer: for each, the algorithms it may be used with. `skipped` says why others are not."""

    algorithms: tuple[frozenset[str], ...]
    skipped: tuple[str, ...] = ()


def check_issuer(ours: OurIssuer, found: FoundKeys | Obstacle, reason: str = "") -> list[Finding]:
    """The findings about one source; `reason` says why its keys could not be fetched."""
    if isinstance(found, Obstacle):
        theirs = found.issuer or found.location
        fault = f"{ours.source}: the keys of its issuer cannot be fetched: {reason}"
        result = [failed("workload issuer", fault, fix_of(ours, found), ours=ours.issuer, theirs=theirs)]
    else:
        result = _check_keys(ours, found)
    if not ours.is_declared:
        message = f"{ours.source}: no policy file declares a workload of it, so all of its logins are refused"
        result.append(note("workload issuer", message))
    return result


def _check_keys(ours: OurIssuer, found: FoundKeys) -> list[Finding]:
    accepted = frozenset(ours.algorithms)
    fitting = [key for key in found.algorithms if key & accepted]
    default = " (the default, server.url)" if ours.has_default_audience else ""
    audience = f"for the audience {', '.join(ours.audiences)}{default}"
    message = f"{ours.source}: {_keys(len(found.algorithms))} of {ours.issuer}, {audience}"
    result = [passed("workload issuer", message)]
    if not fitting:
        usable = frozenset[str]().union(*found.algorithms)
        named = [one for one in ours.preferred if one in usable] or sorted(usable)
        message = f"{ours.source}: no key of its issuer is for the accepted algorithms, so every JWT is refused"
        fix = f"set algorithms: [{', '.join(named)}] for {ours.source} in {ours.config}, if its JWTs have such an alg"
        own, theirs = ", ".join(ours.algorithms), ", ".join(sorted(usable))
        result.append(failed("workload keys", message, fix, ours=own, theirs=theirs))
    elif len(fitting) < len(found.algorithms):
        others = _keys(len(found.algorithms) - len(fitting))
        result.append(
            note("workload keys", f"{ours.source}: {others} of its issuer for algorithms that are not accepted")
        )
    if found.skipped:
        result.append(note("workload keys", f"{ours.source}: not used: {'; '.join(found.skipped)}"))
    return result


def _keys(count: int) -> str:
    return f"{count} key{'s' if count != 1 else ''}"


def fix_of(ours: OurIssuer, obstacle: Obstacle) -> str:
    """What to do so that the keys can be fetched."""
    if obstacle.file is not None:
        return f"make {obstacle.file} a file with a bearer token that only its owner and the server can read"
    if obstacle.issuer is not None:
        named = f"set issuer of {ours.source} in {ours.config} to {obstacle.issuer}" if obstacle.issuer else ""
        other = f"name the keys by keys: {{url: URL}} for {ours.source} in {ours.config}"
        return f"{named}, if that is the iss of its JWTs; otherwise {other}" if named else other
    if obstacle.status is not None:
        return _fix_of_status(ours, obstacle, obstacle.status)
    if obstacle.failure is not None:
        return _fix_of_failure(ours, obstacle, obstacle.failure)
    return f"correct {ours.setting}: it has to lead to a JWKS with public keys; {_copy(ours)}"


def _fix_of_status(ours: OurIssuer, obstacle: Obstacle, status: int) -> str:
    if status in (401, 403):
        if ours.token_file is not None:
            return f"put a bearer token into {ours.token_file} that may read {obstacle.url}; {_copy(ours)}"
        url = ours.key_url or (f"{ours.issuer.rstrip('/')}/openid/v1/jwks" if ours.is_kubernetes else "URL")
        return f"set keys: {{url: {url}, token_file: FILE}} for {ours.source} in {ours.config}; {_copy(ours)}"
    if 300 <= status < 400:
        where = f"set keys: {{url: URL}} for {ours.source} in {ours.config} to the place of its keys"
        return f"{where}: redirects such as that of {obstacle.url} are not followed"
    if status == 404:
        return f"correct {ours.setting}: nothing is at {obstacle.url}; {_copy(ours)}"
    return f"see the log of the issuer, whose server answers so; {_copy(ours)}"


def _fix_of_failure(ours: OurIssuer, obstacle: Obstacle, failure: FailureReason) -> str:
    server = ConfiguredServer("issuer", ours.source, ours.config, ours.setting, ours.ca_file)
    return f"{server.fix(obstacle.url, failure)}; {_copy(ours)}"


def _copy(ours: OurIssuer) -> str:
    how = " (from kubectl get --raw /openid/v1/jwks)" if ours.is_kubernetes else ""
    return f"or keep a copy of its keys{how} and set keys: {{file: FILE}}"
