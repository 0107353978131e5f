"""Compares what a registry announces with what we are: way of logging in, realm, service, issuer, algorithms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from tokenserver.doctor.facts import KINDS_OF_COMPAT, OurRegistry, Ours, RegistryKind, Setup
from tokenserver.doctor.findings import Finding, doubtful, failed, known, passed, unprotected
from tokenserver.printable import shell_word

RESTART = "and restart the registry"
PATHS = ("/token", "/auth/token", "/auth")
"""Where the token endpoint answers."""

_ALGORITHMS_OF_2 = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")


def kinds_for(setup: Setup | None, registry: OurRegistry, asked: RegistryKind | None) -> tuple[RegistryKind, ...]:
    """The verifiers that have to take the tokens: as asked, else as the configuration gives away, else as `compat`."""
    if asked is not None:
        return (asked,)
    if setup is not None and setup.is_zot:
        return (RegistryKind.ZOT,)
    if setup is not None and setup.only_in_3:
        return (RegistryKind.DISTRIBUTION3,)
    return KINDS_OF_COMPAT.get(registry.compat, (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3))


def check_way_in(setup: Setup, ours: Ours, registry: OurRegistry | None = None) -> list[Finding]:
    """Whether the registry asks for tokens at all, and which keys of its section it passes over.

    A registry that lets in everybody is the first finding, whatever else is wrong with it.
    """
    section = "http.auth.bearer" if setup.is_zot else "auth.token"
    known = registry or (ours.registries[0] if len(ours.registries) == 1 else None)
    service = "SERVICE" if known is None else known.service
    command = f"tokenserver registry-config {shell_word(service)} --for {setup.kind_of_registry}"
    why = f" ({setup.remark})" if setup.remark else ""
    if setup.auth in ("none", "silly"):
        says = f"the registry asks for no token: everybody may do everything there{why}"
        mend = f"put {section} into {setup.place('')} as `{command}` prints it {RESTART}"
        if setup.empty:
            mend = f"set {_with_values(setup, ours, registry)} {RESTART}; `{command}` prints all of it"
        return [unprotected(says, mend, theirs=setup.auth)]
    if setup.auth != "token":
        says = f"the registry lets clients in by {setup.auth} and asks for no token{why}"
        mend = f"replace that in {setup.place('')} by what `{command}` prints {RESTART}"
        return [failed("auth", says, mend, ours="token", theirs=setup.auth)]
    found = [passed("auth", "the registry asks for tokens", ours="token", theirs="token")]
    for key, hint in setup.strange:
        mend = f"correct or remove it ({setup.place(key)}): {hint}"
        found.append(doubtful("keys", f"the registry passes over the key {key!r} of its section", mend, theirs=key))
    return found


def _with_values(setup: Setup, ours: Ours, registry: OurRegistry | None) -> str:
    """The keys that are empty, each with its place and with what it should say, as far as that is known."""
    values = {"realm": ours.realm, "service": registry.service if registry is not None else "its service name"}
    return ", ".join(
        f"{key} to {values.get(key, 'the file with the certificate of the signing key')} in {setup.place(key)}"
        for key in setup.empty
    )


def find_registry(ours: Ours, service: str | None, url: str | None = None) -> OurRegistry | None:
    """Which of our registries that is: by its service, else by its URL, else the only one there is."""
    if (registry := ours.registry(service)) is not None:
        return registry
    by_url = [one for one in ours.registries if one.url is not None and url is not None and one.url == url.rstrip("/")]
    if len(by_url) == 1:
        return by_url[0]
    return ours.registries[0] if len(ours.registries) == 1 else None


def check_service(theirs: str | None, ours: Ours, meant: OurRegistry | None, place: str) -> Finding:
    """The service must be one of ours, letter by letter: it becomes the token's audience."""
    services = ours.services
    if theirs in (services if meant is None else meant.names):
        return passed("service", "the registry's service is one of ours", ours=theirs, theirs=theirs)
    close = get_close_matches((theirs or "").lower(), services, n=1, cutoff=0.6)
    wanted = meant.service if meant is not None else close[0] if close else None
    says = "the registry names no service" if theirs is None else "the registry calls itself by a service not of ours"
    if theirs in services:
        says = "the registry calls itself by the service of another registry of ours"
    listed = ", ".join(services)
    if wanted is None:
        mend = f"list it under registries in {ours.config}, or set service in {place} to one of: {listed}"
    else:
        mend = f"set service to {wanted} in {place} {RESTART}" + (
            f"; or list {theirs} under registries in {ours.config}" if theirs and theirs not in services else ""
        )
    return failed("service", says, mend, ours=wanted or listed, theirs=theirs)


def check_issuer(theirs: str | None, registry: OurRegistry, place: str) -> Finding:
    """The issuer must be ours, letter by letter (RFC 7519, section 4.1.1)."""
    if theirs == registry.issuer:
        return passed("issuer", "both sides have the same issuer", ours=registry.issuer, theirs=theirs)
    says = "the registry trusts another issuer than tokens name" if theirs else "the registry names no issuer"
    mend = f"set issuer to {registry.issuer} in {place} {RESTART}"
    return failed("issuer", says, mend, ours=registry.issuer, theirs=theirs)


def check_algorithms(theirs: Sequence[str] | None, ours: Ours, kinds: Sequence[RegistryKind], place: str) -> Finding:
    """The registry must take the algorithm of our key."""
    algorithm = ours.active.algorithm
    listed = None if theirs is None else ", ".join(theirs)
    if RegistryKind.DISTRIBUTION2 in kinds and algorithm not in _ALGORITHMS_OF_2:
        says = f"{RegistryKind.DISTRIBUTION2} cannot verify {algorithm}"
        mend = "sign with ES256 there: `tokenserver keys rotate --algorithm ES256`"
        return failed("algorithm", says, mend, ours=algorithm, theirs=", ".join(_ALGORITHMS_OF_2))
    # Distribution 2.8 does not know the option and takes what it can verify.
    if theirs is not None and any(kind is not RegistryKind.DISTRIBUTION2 for kind in kinds) and algorithm not in theirs:
        says = f"the registry's signingalgorithms leave out {algorithm}, by which our key signs"
        mend = f"add {algorithm} to signingalgorithms in {place} {RESTART}"
        return failed("algorithm", says, mend, ours=algorithm, theirs=listed)
    return passed("algorithm", f"the registry takes {algorithm}", ours=algorithm, theirs=listed)


def check_realm(
    theirs: str | None, ours: Ours, place: str, *, registry_host: str | None = None, is_https: bool | None = None
) -> list[Finding]:
    """The realm must be our token endpoint, under a name and a scheme that every client takes.

    `registry_host` is what the registry is called by, `is_https` whether it speaks TLS, where these are known.
    """
    mend = f"set realm to {ours.realm} in {place} {RESTART}"

    def wrong(says: str) -> list[Finding]:
        return [failed("realm", says, mend, ours=ours.realm, theirs=theirs)]

    if theirs is None:
        return wrong("the registry names no realm, so clients do not know where to ask")
    parts, right = split_url(theirs), split_url(ours.realm)
    if parts is None or right is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return wrong("the registry's realm is no http or https URL")
    if is_address(parts.hostname) and parts.hostname != right.hostname:
        return wrong("the realm is at an IP address, which crane and oras refuse")
    if parts.hostname != right.hostname and _is_local(parts.hostname):
        return wrong("the realm is at localhost, which is another machine for each client")
    if parts.hostname != (right.hostname or ""):
        return wrong("the realm leads to another host than our server.url")
    if parts.scheme != right.scheme:
        return wrong(f"the realm has the wrong scheme: {parts.scheme} instead of {right.scheme}")
    if _port(parts) != _port(right):
        return wrong("the realm has another port than our server.url")
    below = ours.url.removesuffix("/")
    if theirs not in {f"{below}{path}" for path in PATHS}:
        return wrong("the realm leads to our server, but not to a path where it gives tokens")
    found = [passed("realm", "the realm is our token endpoint", ours=ours.realm, theirs=theirs)]
    if is_https and parts.scheme == "http":
        says = "the realm is http and the registry https: crane, oras and regctl refuse that"
        more = f"give the token server TLS, and set server.url in {ours.config} and the realm to https"
        found.append(doubtful("transport", says, more, ours=ours.url, theirs=theirs))
    if registry_host is not None and _is_local(parts.hostname) and not _is_local(registry_host):
        says = "the realm is at localhost, which is another machine for each client"
        more = f"set server.url in {ours.config} to a name that clients can resolve, and the realm with it"
        found.append(doubtful("transport", says, more, ours=ours.url, theirs=registry_host))
    return found


def check_autoredirect(setup: Setup, ours: Ours, registry: OurRegistry | None) -> list[Finding]:
    """With `autoredirect` the realm is the registry's own host: right only where that host passes it on to us."""
    if not setup.autoredirect:
        return []
    path, place = setup.autoredirect_path, setup.place("autoredirect")
    mend = f"remove autoredirect in {place} {RESTART}"
    if path not in PATHS:
        says = f"autoredirect sends clients to {path}, where we give no tokens"
        return [failed("autoredirect", says, mend, ours=", ".join(PATHS), theirs=path)]
    host = None if registry is None or registry.url is None else urlsplit(registry.url).netloc
    theirs = f"https://{host or 'REGISTRY'}{path}"
    if host is None:
        says = "autoredirect sends clients to the registry's own host, whatever its realm says"
        more = f"{mend}, or add the registry's url in {ours.config} so that it can be compared"
        return [doubtful("autoredirect", says, more, ours=ours.realm, theirs=theirs)]
    if f"https://{host}" == ours.url:
        says = "autoredirect leads to our server, which shares the registry's host"
        return [passed("autoredirect", says, ours=ours.url, theirs=theirs)]
    says = "autoredirect sends clients to the registry's own host, which is not our server.url"
    return [failed("autoredirect", says, mend, ours=ours.realm, theirs=theirs)]


def check_setup(setup: Setup, ours: Ours, kinds: Sequence[RegistryKind], registry: OurRegistry | None) -> list[Finding]:
    """All that a registry's configuration says, but for the keys that it trusts. `registry` is the one it is meant for.

    What is wrong with the keys is `trust_checks`' to say.
    """
    found = check_way_in(setup, ours, registry)
    if setup.auth != "token" and not setup.empty:
        return found
    host = None if registry is None or registry.url is None else urlsplit(registry.url).hostname
    is_https = setup.https or (registry is not None and (registry.url or "").startswith("https:"))
    found += check_autoredirect(setup, ours, registry)
    if "realm" not in setup.empty and (not setup.autoredirect or setup.realm is None):
        found += check_realm(setup.realm, ours, setup.place("realm"), registry_host=host, is_https=is_https)
    if "service" not in setup.empty:
        found.append(check_service(setup.service, ours, registry, setup.place("service")))
    if registry is None:
        return found
    if setup.is_zot:
        found.append(known("issuer", "zot looks at no issuer", ours=registry.issuer))
    else:
        found.append(check_issuer(setup.issuer, registry, setup.place("issuer")))
        found.append(check_algorithms(setup.algorithms, ours, kinds, setup.place("signingalgorithms")))
    return found


def is_address(host: str) -> bool:
    """Whether a URL's host is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or (is_address(host) and ip_address(host).is_loopback)


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL, whoever wrote it, or None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
