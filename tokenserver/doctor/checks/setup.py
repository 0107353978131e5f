"""Checks of a registry's token settings: authentication method, realm, service, issuer, algorithms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from tokenserver.doctor.checks.values import difference
from tokenserver.doctor.commands import print_section, sign_with
from tokenserver.doctor.facts import KINDS_OF_COMPAT, OurRegistry, Ours, RegistryKind, Setup
from tokenserver.doctor.findings import Finding, failed, note, open_registry, passed, warning
from tokenserver.documents.hints import Hints
from tokenserver.documents.urls import address_problem, host_of, is_address, is_local, port_of, split_url

RESTART = "and restart the registry"
PATHS = ("/token", "/auth/token", "/auth")
"""The paths of the token endpoint."""

_ALGORITHMS_OF_2 = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")


_DISTRIBUTIONS = (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3)


def kinds_for(
    setup: Setup | None, registry: OurRegistry | None, asked: RegistryKind | None
) -> tuple[RegistryKind, ...]:
    """The verifiers that must accept the tokens: the one asked for, else by the configuration, else by `compat`."""
    if asked is not None:
        return (asked,)
    if setup is not None and setup.is_zot:
        return (RegistryKind.ZOT,)
    if setup is not None and setup.only_in_3:
        return (RegistryKind.DISTRIBUTION3,)
    kinds = KINDS_OF_COMPAT.get("universal" if registry is None else registry.compat, _DISTRIBUTIONS)
    return _DISTRIBUTIONS if setup is not None and RegistryKind.ZOT in kinds else kinds


def check_auth(setup: Setup, ours: Ours, registry: OurRegistry | None = None) -> list[Finding]:
    """Check that the registry requires tokens, and report the keys of its section that it ignores."""
    section = "http.auth.bearer" if setup.is_zot else "auth.token"
    matching = registry or (ours.registries[0] if len(ours.registries) == 1 else None)
    command = print_section(ours, matching, kinds_for(setup, matching, None))
    why = f" ({setup.remark})" if setup.remark else ""
    if setup.auth in ("none", "silly"):
        message = f"the registry requires no token: anyone can do anything there{why}"
        fix = f"add {section} to {setup.place('')} as {command} prints it {RESTART}"
        if setup.stray:
            message = f"{message}, since its settings for tokens stand at {setup.stray}, where it ignores them"
            fix = f"move them to {section} {RESTART}; {command} prints the section as it must be"
        elif setup.empty:
            fix = f"set {_with_values(setup, ours, registry)} {RESTART}; {command} prints all of it"
        return [open_registry(message, fix, theirs=setup.auth)]
    if setup.auth != "token":
        message = f"the registry authenticates clients by {setup.auth} and requires no token{why}"
        fix = f"replace that in {setup.place('')} with the output of {command} {RESTART}"
        return [failed("auth", message, fix, ours="token", theirs=setup.auth)]
    found = [passed("auth", "the registry asks for tokens", ours="token", theirs="token")]
    for key, hint in setup.unknown_keys:
        fix = f"correct or remove it ({setup.place(key)}): {hint}"
        found.append(warning("keys", f"the registry ignores the key {key!r} of its section", fix, theirs=key))
    return found


def _with_values(setup: Setup, ours: Ours, registry: OurRegistry | None) -> str:
    """The empty keys, each with its place and its right value, as far as known."""
    values = {"realm": ours.realm, "service": registry.service if registry is not None else "its service name"}
    return ", ".join(
        f"{key} to {values.get(key, 'the file with the certificate of the signing key')} in {setup.place(key)}"
        for key in setup.empty
    )


def find_registry(ours: Ours, service: str | None, url: str | None = None) -> OurRegistry | None:
    """Find our registry: by its service, else by its URL, else the only one."""
    if (registry := ours.registry(service)) is not None:
        return registry
    by_url = [one for one in ours.registries if one.url is not None and url is not None and one.url == url.rstrip("/")]
    if len(by_url) == 1:
        return by_url[0]
    return ours.registries[0] if len(ours.registries) == 1 else None


def check_service(theirs: str | None, ours: Ours, meant: OurRegistry | None, place: str) -> Finding:
    """Check that the service is exactly one of ours: it becomes the token's audience."""
    services = ours.services
    if theirs in (services if meant is None else meant.names):
        return passed("service", "the registry's service is one of ours", ours=theirs, theirs=theirs)
    alike = next((one for one in services if theirs is not None and difference(theirs, one) is not None), None)
    close = Hints().closest((theirs or "").lower(), services, most=1)
    wanted = meant.service if meant is not None else alike or (close[0] if close else None)
    message = "the registry has no service" if theirs is None else "the registry's service is not one of ours"
    if theirs in services:
        message = "the registry has the service of another registry of ours"
    elif theirs is not None and wanted is not None and (how := difference(theirs, wanted)) is not None:
        message = f"the registry's service {how}"
    listed = ", ".join(services)
    if wanted is None:
        fix = f"list it under registries in {ours.config}, or set service in {place} to one of: {listed}"
    else:
        fix = f"set service to {wanted} in {place} {RESTART}" + (
            f"; or list {theirs} under registries in {ours.config}"
            if theirs and theirs not in services and alike is None
            else ""
        )
    return failed("service", message, fix, ours=wanted or listed, theirs=theirs)


def check_issuer(theirs: str | None, registry: OurRegistry, place: str) -> Finding:
    """Check that the issuer is exactly ours (RFC 7519, section 4.1.1)."""
    if theirs == registry.issuer:
        return passed("issuer", "both sides have the same issuer", ours=registry.issuer, theirs=theirs)
    message = "the registry expects another issuer than the tokens have" if theirs else "the registry has no issuer"
    if theirs is not None and (how := difference(theirs, registry.issuer)) is not None:
        message = f"the registry's issuer {how}"
    fix = f"set issuer to {registry.issuer} in {place} {RESTART}"
    return failed("issuer", message, fix, ours=registry.issuer, theirs=theirs)


def sign_for_2(ours: Ours, registry: OurRegistry | None) -> str:
    """The fix where Distribution 2.8 cannot verify the algorithm of our key."""
    return f"sign with ES256 there: {sign_with(ours, registry, 'ES256')}"


def check_algorithms(
    theirs: Sequence[str] | None, ours: Ours, registry: OurRegistry, kinds: Sequence[RegistryKind], place: str
) -> Finding:
    """Check that the registry accepts the algorithm of our key."""
    algorithm = ours.active.algorithm
    listed = None if theirs is None else ", ".join(theirs)
    if RegistryKind.DISTRIBUTION2 in kinds and algorithm not in _ALGORITHMS_OF_2:
        fix, theirs = sign_for_2(ours, registry), ", ".join(_ALGORITHMS_OF_2)
        if all(kind is RegistryKind.DISTRIBUTION2 for kind in kinds):
            message = f"{RegistryKind.DISTRIBUTION2} cannot verify {algorithm}"
            return failed("algorithm", message, fix, ours=algorithm, theirs=theirs)
        message = f"if the registry is {RegistryKind.DISTRIBUTION2}, it cannot verify {algorithm}"
        fix = f"ask again with --for distribution2 or distribution3; for 2.8, {fix}"
        return warning("algorithm", message, fix, ours=algorithm, theirs=theirs)
    # Distribution 2.8 does not know the option and accepts every algorithm that it can verify.
    if theirs is not None and any(kind is not RegistryKind.DISTRIBUTION2 for kind in kinds) and algorithm not in theirs:
        message = f"the registry's signingalgorithms lack {algorithm}, the algorithm of our key"
        fix = f"add {algorithm} to signingalgorithms in {place} {RESTART}"
        return failed("algorithm", message, fix, ours=algorithm, theirs=listed)
    return passed("algorithm", f"the registry accepts {algorithm}", ours=algorithm, theirs=listed)


def _zot_algorithm(setup: Setup, ours: Ours, registry: OurRegistry) -> list[Finding]:
    """zot's release is not in its configuration, but an old specification in there makes an old zot likely."""
    algorithm = ours.active.algorithm
    if algorithm == "RS256":
        return []
    message = f"zot before 2.1.3 verifies RS256 alone: with a certificate for {algorithm} it does not even start"
    if not setup.is_old:
        return [note("algorithm", message, ours=algorithm)]
    fix = f"upgrade to zot 2.1.3 or later, or sign with RS256: {sign_with(ours, registry, 'RS256')}"
    return [warning("algorithm", message, fix, ours=algorithm, theirs="RS256")]


def check_realm(
    theirs: str | None, ours: Ours, place: str, *, registry_host: str | None = None, is_https: bool | None = None
) -> list[Finding]:
    """Check that the realm is our token endpoint, with a host and a scheme that every client accepts.

    `registry_host` is the registry's host, with its port if it has one, and `is_https` whether it speaks TLS, if known.
    """
    wrong = _wrong_realm(theirs, ours)
    if wrong is not None:
        fix = f"set realm to {ours.realm} in {place} {RESTART}"
        return [failed("realm", wrong, fix, ours=ours.realm, theirs=theirs)]
    found = [passed("realm", "the realm is our token endpoint", ours=ours.realm, theirs=theirs)]
    parts, host = urlsplit(theirs or ""), host_of(theirs or "")
    if is_https and parts.scheme == "http":
        message = "the realm is http and the registry https, which crane, oras and regctl reject"
        more = f"configure TLS for the token server, and use https in server.url in {ours.config} and in the realm"
        found.append(warning("transport", message, more, ours=ours.url, theirs=theirs))
    if registry_host is not None and is_local(host) and not is_local(host_of(f"//{registry_host}")):
        message = f"the realm's host is {parts.hostname}, which is a different machine for each client"
        more = f"set server.url in {ours.config} to a name that clients can resolve, and the realm with it"
        found.append(warning("transport", message, more, ours=ours.url, theirs=registry_host))
    elif is_address(host):
        found += _check_address(parts, ours, registry_host)
    return found


def _check_address(realm: SplitResult, ours: Ours, registry_host: str | None) -> list[Finding]:
    """Check a realm at an IP address, which some clients take for an attempt to reach into their network."""
    problem = address_problem(ours.url, registry_host)
    if problem is None:
        return []
    if registry_host is None:
        return [note("transport", f"the realm's host is an IP address: {problem}", ours=ours.url)]
    fix = f"use a host name in server.url in {ours.config} and in the realm, or forward /token on {registry_host} to us"
    return [warning("transport", problem, fix, ours=realm.netloc, theirs=registry_host)]


def _wrong_realm(theirs: str | None, ours: Ours) -> str | None:
    """Why the realm is not our token endpoint, or None if it is."""
    if theirs is None:
        return "the registry has no realm, so clients do not know where to get a token"
    if theirs.strip() != theirs and (how := difference(theirs, ours.realm)) is not None:
        return f"the registry's realm {how}"
    parts, right = split_url(theirs), split_url(ours.realm)
    if parts is None or right is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "the registry's realm is not an http or https URL"
    host, our_host = host_of(theirs), host_of(ours.realm)
    if is_address(host) and host != our_host:
        return "the realm's host is an IP address, which is not the host of our server.url"
    if host != our_host and is_local(host):
        return "the realm's host is localhost, which is a different machine for each client"
    if host != our_host:
        return "the realm has another host than our server.url"
    if parts.scheme != right.scheme:
        return f"the realm has the wrong scheme: {parts.scheme} instead of {right.scheme}"
    if port_of(parts) != port_of(right):
        return "the realm has another port than our server.url"
    # Compared as text, because a user, a query or a fragment must not be overlooked.
    authority, slash, path = theirs.partition("://")[2].partition("/")
    below = right.path.removesuffix("/token")
    if "@" in authority or f"{slash}{path}" not in {f"{below}{one}" for one in PATHS}:
        return "the realm leads to our server, but not to its token endpoint"
    return None


def check_autoredirect(setup: Setup, ours: Ours, registry: OurRegistry | None) -> list[Finding]:
    """Check `autoredirect`, which makes the registry's own host the realm: right only if that host forwards to us."""
    if not setup.autoredirect:
        return []
    path, place = setup.autoredirect_path, setup.place("autoredirect")
    fix = f"remove autoredirect in {place} {RESTART}"
    if path not in PATHS:
        message = f"autoredirect sends clients to {path}, which is not our token endpoint"
        return [failed("autoredirect", message, fix, ours=", ".join(PATHS), theirs=path)]
    host = None if registry is None or registry.url is None else urlsplit(registry.url).netloc
    theirs = f"https://{host or 'REGISTRY'}{path}"
    if host is None:
        message = "autoredirect sends clients to the registry's own host, whatever its realm says"
        more = f"{fix}, or add the registry's url in {ours.config} so that the two can be compared"
        return [warning("autoredirect", message, more, ours=ours.realm, theirs=theirs)]
    if f"https://{host}" == ours.url:
        message = "autoredirect leads to our server, which shares the registry's host"
        return [passed("autoredirect", message, ours=ours.url, theirs=theirs)]
    message = "autoredirect sends clients to the registry's own host, which is not our server.url"
    return [failed("autoredirect", message, fix, ours=ours.realm, theirs=theirs)]


def check_setup(setup: Setup, ours: Ours, kinds: Sequence[RegistryKind], registry: OurRegistry | None) -> list[Finding]:
    """Check a registry's configuration except for its trusted keys, which `trust` checks.

    `registry` is our entry for it, if known.
    """
    found = check_auth(setup, ours, registry)
    if setup.auth != "token" and not setup.empty:
        return found
    host = None if registry is None or registry.url is None else urlsplit(registry.url).netloc
    is_https = setup.https or (registry is not None and (registry.url or "").startswith("https:"))
    found += check_autoredirect(setup, ours, registry)
    if "realm" not in setup.empty and (not setup.autoredirect or setup.realm is None):
        found += check_realm(setup.realm, ours, setup.place("realm"), registry_host=host, is_https=is_https)
    if "service" not in setup.empty:
        found.append(check_service(setup.service, ours, registry, setup.place("service")))
    if registry is None:
        return found
    if setup.is_zot:
        found.append(note("issuer", "zot ignores the issuer", ours=registry.issuer))
        found += _zot_algorithm(setup, ours, registry)
    else:
        found.append(check_issuer(setup.issuer, registry, setup.place("issuer")))
        found.append(check_algorithms(setup.algorithms, ours, registry, kinds, setup.place("signingalgorithms")))
    return found
