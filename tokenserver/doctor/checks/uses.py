"""Checks of what a registry's configuration allows beside its token section: no token helps where it forbids. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from tokenserver.doctor.checks.setup import RESTART
from tokenserver.doctor.facts import OurRegistry, Setup
from tokenserver.doctor.findings import Finding, failed, note, warning
from tokenserver.documents.urls import split_url
from tokenserver.scopes import Scope

_UNREADABLE_HOST = re.compile(r"(?![A-Za-z][A-Za-z0-9+.-]*:)[^/:]*:")
"""Go's `url.Parse` rejects a colon in what is neither a scheme nor behind a slash, as in `10.0.0.1:5000`."""


def check_uses(setup: Setup, registry: OurRegistry | None, wanted: Sequence[Scope]) -> list[Finding]:
    """Check that the registry can do what `wanted` names, and that it sends clients to its own address.

    What is not wanted is only a note.
    """
    actions = {action for one in wanted if one.resource.type == "repository" for action in one.actions}
    deletes = bool(actions & {"delete", "*"})
    writes = deletes or "push" in actions
    file = setup.place("").rpartition(":")[0] if setup.place("").rpartition(":")[2].isdigit() else setup.place("")
    return [
        *_read_only(setup, file, writes=writes),
        *_deleting(setup, setup.places.get("storage.delete.enabled", file), deletes=deletes),
        *_mirror(setup, file, writes=writes),
        *_address(setup, registry, file),
        *_access_control(setup),
    ]


def _read_only(setup: Setup, file: str, *, writes: bool) -> Iterator[Finding]:
    if not setup.uses.is_readonly:
        return
    message = "the registry is in read-only mode: it answers 405 to every push and delete, whatever the token grants"
    if writes:
        variable = setup.places.get("storage.maintenance.readonly")
        fix = f"remove {'storage.maintenance.readonly in ' + file if variable is None else variable} {RESTART}"
        yield failed("read-only", message, fix, ours="push", theirs="readonly.enabled: true")
    else:
        yield note("read-only", message)


def _deleting(setup: Setup, file: str, *, deletes: bool) -> Iterator[Finding]:
    if not deletes or setup.uses.deletes is not False or setup.uses.is_readonly:
        return
    message = "deleting is not enabled: the registry answers 405 to every delete, whatever the token grants"
    fix = f"set storage.delete.enabled to true in {file} {RESTART}"
    yield failed("delete", message, fix, ours="delete", theirs="storage.delete.enabled is not set")


def _mirror(setup: Setup, file: str, *, writes: bool) -> Iterator[Finding]:
    if setup.mirror is None:
        return
    message = "the registry is a pull-through cache, which takes no push and no delete, whatever the token grants"
    if writes:
        fix = f"push to {setup.mirror.remote}, or remove proxy in {file} {RESTART}"
        yield failed("cache", message, fix, ours="push", theirs=f"proxy.remoteurl: {setup.mirror.remote}")
    else:
        yield note("cache", message)


def _address(setup: Setup, registry: OurRegistry | None, file: str) -> Iterator[Finding]:
    """`http.host` is where uploads go; `http.prefix` is the path that every URL of the registry begins with.

    Without a `url` of ours, a service that is a host name is taken for the registry's.
    """
    in_prefix, file = setup.places.get("http.prefix", file), setup.places.get("http.host", file)
    host, url = setup.uses.host, None if registry is None else registry.url
    service = "" if registry is None else registry.service
    parts = None if host is None else split_url(host)
    if host is not None and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
        fix = f"write it as https://{host}, or remove it, in {file} {RESTART}"
        if _UNREADABLE_HOST.match(host):
            yield failed("host", "http.host is not a URL: the registry does not start with it", fix, theirs=host)
        else:
            yield warning("host", "http.host is not a URL, so the registry ignores it", fix, theirs=host)
    elif host is not None and url is not None and host.rstrip("/") != url.rstrip("/"):
        message = "http.host is another address than the registry's url: uploads are sent there"
        fix = f"set http.host to {url} in {file} {RESTART}, or correct the url of {service}"
        yield warning("host", message, fix, ours=url, theirs=host)
    elif parts is not None and url is None and "." in service and parts.netloc.lower() != service.lower():
        message = "http.host is another address than the registry's service: uploads are sent there"
        fix = f"set http.host to the address that clients use, or remove it, in {file} {RESTART}"
        yield warning("host", message, fix, ours=service, theirs=host)
    prefix = setup.uses.prefix
    if prefix is not None and url is not None and urlsplit(url).path.strip("/") != prefix.strip("/"):
        message = f"http.prefix makes the registry answer below {prefix} alone, where no client of containers asks"
        fix = f"remove http.prefix in {in_prefix} {RESTART}, unless a proxy in front of it adds the path"
        yield warning("prefix", message, fix, ours=url, theirs=prefix)


def _access_control(setup: Setup) -> Iterator[Finding]:
    if not setup.uses.access_control or setup.auth != "token":
        return
    message = "zot does not start with accessControl next to bearer: its rules need users of zot's own"
    fix = "remove http.accessControl from zot's configuration: what users may do is in the policies here"
    yield failed("accessControl", message, fix, ours="bearer alone", theirs="accessControl")
