"""Check of a pull-through mirror: whether Distribution 3.1 sends its credentials to our realm. Pure.

Since 3.1, Distribution sends the credentials of `proxy` only to a realm at the very host and port of `remoteurl`, or
below the same registrable domain, and never where one of the two is `localhost` or an IP address
(registry/proxy/proxyauth.go, `realmAllowed`). Otherwise every image is `manifest unknown`, and the token server gets no
request at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tokenserver.doctor.facts import Mirror, OurRegistry, Ours, RegistryKind, Setup
from tokenserver.doctor.findings import Finding, failed, note, passed, warning
from tokenserver.documents.urls import is_address, split_url
from tokenserver.policy.image_names import RegistryNames, registries_at

SEND_ANYWHERE = (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION30)
"""The verifiers whose mirrors send credentials to any realm."""

_DOCKER_HUB = ("docker.io", "docker.com")

_SECOND_LEVEL = frozenset(
    {
        *("ac", "asso", "co", "com", "edu", "gob", "gouv", "gov", "gub", "info", "id", "ind", "ltd", "me", "mil"),
        *("muni", "net", "ne", "nom", "nsw", "or", "org", "plc", "sch", "web"),
    }
)
"""Labels that many countries put between a registrable name and their own domain, as in `co.uk`."""

# Registered by companies that give each customer a name below: entries of the Public Suffix List's private section.
_HOSTING = (
    *("amazonaws.com", "appspot.com", "azure.com", "azurecontainer.io", "azurewebsites.net", "cloudfront.net"),
    *("ddns.net", "duckdns.org", "fly.dev", "github.io", "gitlab.io", "herokuapp.com", "netlify.app", "nip.io"),
    *("onrender.com", "render.com", "run.app", "sslip.io", "vercel.app", "windows.net", "workers.dev"),
)


def check_mirror(setup: Setup, ours: Ours, kinds: Sequence[RegistryKind]) -> list[Finding]:
    """Check a configured mirror of one of our registries. `kinds` is the software of the mirror, empty if unknown."""
    mirror = setup.mirror
    if mirror is None:
        return []
    upstream, is_certain = _upstream(mirror, ours)
    if upstream is None:
        return [note("mirror", "the mirror is of none of our registries", theirs=mirror.remote)]
    if not mirror.has_login:
        message = "the mirror has no username, so it gets what anonymous clients get"
        return [note("mirror", message, ours=ours.realm, theirs=mirror.remote)]
    sends = sends_credentials(mirror.remote, ours.realm)
    if sends or (kinds and all(kind in SEND_ANYWHERE for kind in kinds)):
        return [
            passed("mirror", "the mirror sends its credentials to our realm", ours=ours.realm, theirs=mirror.remote)
        ]
    place = setup.place("remoteurl")
    fix = (
        f"let {urlsplit(mirror.remote).netloc} forward /token to us, and set server.url in {ours.config} to"
        f" {mirror.remote} (remoteurl in {place}); or give both a name below one domain of yours"
    )
    if sends is None:
        message = "the mirror's credentials may not reach our realm: Distribution 3.1 sends them within one registrable"
        return [warning("mirror", f"{message} domain only", fix, ours=ours.realm, theirs=mirror.remote)]
    message = (
        "Distribution 3.1 as a mirror sends no credentials to our realm: it has another host or port than remoteurl"
    )
    if not is_certain:
        message = f"{message} (if that is one of our registries)"
    is_31 = is_certain and RegistryKind.DISTRIBUTION3 in kinds
    make = failed if is_31 else warning
    return [make("mirror", message, fix, ours=ours.realm, theirs=mirror.remote)]


def _upstream(mirror: Mirror, ours: Ours) -> tuple[OurRegistry | None, bool]:
    """Our registry that the mirror is of, and whether that is certain: one without a `url` may be anywhere."""
    parts = split_url(mirror.remote)
    netloc = "" if parts is None else parts.netloc.rpartition("@")[2]
    host = netloc.partition(":")[0].lower()
    if any(host == hub or host.endswith(f".{hub}") for hub in _DOCKER_HUB):
        return None, True
    known = {one.service: RegistryNames(one.service, one.names, one.url) for one in ours.registries}
    found = registries_at(netloc, "" if parts is None else parts.scheme, known.values())
    if found:
        return ours.registry(found[0].service), True
    return next((one for one in ours.registries if one.url is None), None), False


def sends_credentials(remote: str, realm: str) -> bool | None:
    """Whether Distribution 3.1 as a mirror of `remote` sends its credentials to `realm`.

    None: it depends on the Public Suffix List, on whether the domain that the two share can be registered.
    """
    parts = split_url(remote), split_url(realm)
    if parts[0] is None or parts[1] is None:
        return False
    authorities = [one.netloc.rpartition("@")[2].lower() for one in parts if one is not None]
    hosts = [(one.hostname or "") for one in parts if one is not None]
    if not all(authorities):
        return False
    if authorities[0] == authorities[1]:
        return True
    if not all(hosts) or any(host == "localhost" or is_address(host) for host in hosts):
        return False
    return hosts[0] == hosts[1] or _share_domain(*hosts)


def _share_domain(one: str, other: str) -> bool | None:
    """Whether two names are below one registrable domain; None if that cannot be told from the names."""
    # The list derives no domain for such names, and two of them count as equal.
    bare = ["." not in host or host.startswith(".") or host.endswith(".") or ".." in host for host in (one, other)]
    if any(bare):
        return all(bare)
    shared: list[str] = []
    for label, same in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if label != same:
            break
        shared.insert(0, label)
    if len(shared) < 2:
        return False
    domain = ".".join(shared)
    is_country = len(shared) == 2 and len(shared[1]) == 2 and (shared[0] in _SECOND_LEVEL or len(shared[0]) == 2)
    if is_country or any(domain == host or domain.endswith(f".{host}") for host in _HOSTING):
        return None
    return True
