"""Checks of an OpenID provider: its document, whether it knows us, and what it can end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tokenserver.authn.oidc.authorization import spelled_error
from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.doctor.checks.vouching.reaching import ConfiguredServer
from tokenserver.doctor.findings import Finding, failed, note, passed, warning
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.runtime.http.response import FetchFailure, HttpResponse

OFFLINE = "offline_access"
BEHIND = 60
"""Seconds. ID tokens are valid for minutes, so a provider whose clock is somewhat behind harms nobody."""

_UNKNOWN_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_NTP = "synchronize both clocks by NTP: on each machine, `timedatectl` shows whether that is on"


@dataclass(frozen=True, slots=True)
class OurProvider:
    """A source of people, as `config` has it. `leeway` is in seconds.

    `scopes` are asked for at each login; `is_public`: there is no client secret. `logout_uri` is where the provider
    can send logout tokens.
    """

    source: str
    config: str
    issuer: str
    client_id: str
    redirect_uri: str
    logout_uri: str
    scopes: tuple[str, ...]
    leeway: int
    is_public: bool = False
    ca_file: str | None = None

    @property
    def server(self) -> ConfiguredServer:
        """What can be said of it where it does not answer."""
        setting = f"issuer of {self.source} in {self.config}"
        return ConfiguredServer("provider", self.source, self.config, setting, self.ca_file)


@dataclass(frozen=True, slots=True)
class ProviderAnswers:
    """What a provider answers: its document and the number of its keys; `login`, to the request of a login without any
    cookie; `code`, to a code that it never gave.
    """

    document: Mapping[str, Any]
    keys: int
    login: HttpResponse | FetchFailure
    code: HttpResponse | FetchFailure


def check_unreachable(ours: OurProvider, obstacle: Obstacle, reason: str) -> list[Finding]:
    """The finding about a provider whose document or keys cannot be fetched, for this `reason`."""
    fault = f"{ours.source}: the document or the keys of the provider cannot be fetched: {reason}"
    theirs = obstacle.issuer or obstacle.location
    return [failed("provider", fault, _fix_of(ours, obstacle), ours=ours.issuer, theirs=theirs)]


def check_unusable(ours: OurProvider, reason: str) -> list[Finding]:
    """The finding about a document with which nobody can log in, for this `reason`."""
    fix = (
        f"at the provider, allow the authorization code flow with PKCE by S256, and endpoints by https; or correct"
        f" {ours.server.setting}"
    )
    return [failed("provider", f"{ours.source}: {reason}, so nobody can log in", fix, ours=ours.issuer)]


def check_provider(ours: OurProvider, found: ProviderAnswers) -> list[Finding]:
    """The findings about a provider that can be used."""
    keys = f"{found.keys} key{'s' if found.keys != 1 else ''}"
    result = [passed("provider", f"{ours.source}: {keys} of {ours.issuer}", ours=ours.issuer)]
    client = _check_client(ours, found.code)
    result.append(client)
    login = _check_login(ours, found.login)
    if login.ok or client.ok:  # a client that the provider does not know may not log anybody in, either
        result.append(login)
    result += _check_scopes(ours, found.document.get("scopes_supported"))
    result += _check_clock(ours, found)
    result.append(_say_logout(ours, found.document))
    return result


def _check_client(ours: OurProvider, outcome: HttpResponse | FetchFailure) -> Finding:
    secret = "" if ours.is_public else " and its secret"
    if isinstance(outcome, FetchFailure):
        return _unreachable(ours, "token endpoint", "provider client", outcome)
    try:
        error = spelled_error(read_object(outcome.body).get("error"))
    except InvalidJson:
        message = f"{ours.source}: the token endpoint answers with status {outcome.status} and no JSON"
        return failed("provider client", message, f"see the log of the provider, or correct {ours.server.setting}")
    if error in _UNKNOWN_CLIENT or outcome.status == 401:
        message = f"{ours.source}: the provider does not accept this client{secret}: it answers {error}"
        also = "" if ours.is_public else " and client_secret_file"
        fix = f"compare client_id{also} of {ours.source} in {ours.config} with the client at the provider"
        return failed("provider client", message, fix, ours=ours.client_id)
    if outcome.status >= 500:
        message = f"{ours.source}: the token endpoint answers with status {outcome.status}"
        return failed("provider client", message, "see the log of the provider, and retry")
    return passed("provider client", f"{ours.source}: the provider knows this client{secret}", ours=ours.client_id)


def _check_login(ours: OurProvider, outcome: HttpResponse | FetchFailure) -> Finding:
    if isinstance(outcome, FetchFailure):
        return _unreachable(ours, "authorization endpoint", "provider login", outcome)
    location = outcome.header("location") or ""
    error = parse_qs(urlsplit(location).query).get("error") if location.startswith(ours.redirect_uri) else None
    if error is not None:
        message = f"{ours.source}: the provider answers the request of a login with the error {spelled_error(error[0])}"
        fix = f"at the provider, allow the client {ours.client_id} the authorization code flow and its scopes"
        return failed("provider login", message, fix, ours=" ".join(ours.scopes))
    if outcome.status >= 400:
        message = f"{ours.source}: the provider refuses the request of a login with status {outcome.status}"
        fix = f"register the redirect URI {ours.redirect_uri} for the client {ours.client_id} at the provider"
        return failed("provider login", message, fix, ours=ours.redirect_uri)
    return passed("provider login", f"{ours.source}: the provider takes the request of a login", ours=ours.redirect_uri)


def _check_scopes(ours: OurProvider, listed: object) -> Iterator[Finding]:
    """A provider need not list all scopes, so a missing one is a note; but `recheck` depends on one."""
    missing = [one for one in ours.scopes if one not in listed] if isinstance(listed, list) else []
    if OFFLINE in missing:
        message = f"{ours.source}: the provider does not list the scope {OFFLINE}, without which recheck has no effect"
        fix = f"at the provider, allow the scope {OFFLINE}, or leave out recheck of {ours.source} in {ours.config}"
        yield warning("provider scopes", message, fix, ours=OFFLINE)
    others = [one for one in missing if one != OFFLINE]
    if others:
        yield note("provider scopes", f"{ours.source}: the provider does not list the scopes {', '.join(others)}")


def _check_clock(ours: OurProvider, found: ProviderAnswers) -> Iterator[Finding]:
    skews = [one.skew for one in (found.code, found.login) if isinstance(one, HttpResponse) and one.skew is not None]
    if not skews or -BEHIND - ours.leeway <= skews[0] <= ours.leeway:
        return
    said = f"{round(skews[0]):+d} s"
    message = f"{ours.source}: the provider's clock is {said} against this machine's"
    if skews[0] > 0:
        message += f", and ID tokens from more than {ours.leeway} s ahead are refused (leeway)"
        yield failed("provider clock", message, _NTP, theirs=said)
    else:
        yield warning("provider clock", f"{message}: its ID tokens expire that much earlier here", _NTP, theirs=said)


def _say_logout(ours: OurProvider, document: Mapping[str, Any]) -> Finding:
    if document.get("backchannel_logout_supported") is True:
        return note("provider logout", f"{ours.source}: its URL for back-channel logout is {ours.logout_uri}")
    message = "the provider lists no back-channel logout: a logout there ends nothing here"
    return note("provider logout", f"{ours.source}: {message}")


def _unreachable(ours: OurProvider, endpoint: str, check: str, failure: FetchFailure) -> Finding:
    message = f"{ours.source}: the {endpoint} of the provider does not answer: {failure.reason}: {failure.detail}"
    return failed(check, message, ours.server.fix(ours.issuer, failure.reason), ours=ours.issuer)


def _fix_of(ours: OurProvider, obstacle: Obstacle) -> str:
    setting = ours.server.setting
    if obstacle.issuer:
        return f"set {setting} to {obstacle.issuer}, if people should log in there"
    if obstacle.failure is not None:
        return ours.server.fix(obstacle.url, obstacle.failure)
    if obstacle.status is not None and 300 <= obstacle.status < 400:
        return f"correct {setting}: redirects such as that of {obstacle.url} are not followed"
    if obstacle.status == 404:
        return f"correct {setting}: nothing is at {obstacle.url}"
    if obstacle.status is not None:
        return f"see the log of the provider, whose server answers so; or correct {setting}"
    return f"correct {setting}: it has to lead to the document of an OpenID provider, and that to its keys"
