"""Checks of what a registry and the proxies in front of it answer to the parts of a push and of a delete. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from tokenserver.doctor.checks.answerer import check_answerer
from tokenserver.doctor.checks.live import check_transport
from tokenserver.doctor.findings import Finding, failed, passed
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.documents.urls import port_of, split_url
from tokenserver.scopes import Resource, Scope


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try at a repository: `push` or `delete`."""

    action: str
    repository: str

    @property
    def scope(self) -> Scope:
        """What a client requests for it."""
        return Scope(Resource("repository", self.repository), frozenset({"pull", self.action}))


BODY = 1_500_000
"""Bytes of the layer that is sent: more than nginx passes on by default (client_max_body_size 1m)."""

_HOST = "(nginx: proxy_set_header Host $http_host)"
_SCHEME = "(nginx: proxy_set_header X-Forwarded-Proto $scheme)"


def check_upload_start(outcome: Outcome, url: str, name: str) -> Finding | None:
    """Check the answer to the start of an upload to the repository `name` at `url`: 202, with a `Location` there."""
    fault = _fault(outcome, url, "upload", f"/v2/{name}/blobs/uploads/", name)
    if fault is not None or not isinstance(outcome, HttpAnswer):
        return fault
    location = outcome.header("location")
    if outcome.status != 202 or location is None:
        message = f"the start of an upload to {name} is answered with {outcome.status} instead of 202 and a Location"
        fix = "see the registry's log; if a proxy in front of it changes answers, let it pass them on"
        return failed("upload", message, fix, ours="202", theirs=str(outcome.status))
    return _check_location(location, url)


def upload_url(outcome: HttpAnswer, url: str) -> str | None:
    """Where to go on with an upload: at `url`, whatever host the registry names, so that no token goes elsewhere.

    None if it names no place.
    """
    here, there = urlsplit(url), _joined(url, outcome.header("location") or "")
    return None if there is None else there._replace(scheme=here.scheme, netloc=here.netloc).geturl()


def check_upload_body(outcome: Outcome, url: str, name: str) -> Finding:
    """Check the answer to the layer itself."""
    if isinstance(outcome, FetchFailure) and outcome.reason is FailureReason.CLOSED:
        message = f"the connection is closed while {BODY / 1e6:.1f} MB of a layer are sent"
        fix = "let the proxy in front of the registry take bodies of any size (nginx: client_max_body_size 0)"
        return failed("upload", message, fix, theirs=outcome.detail)
    if isinstance(outcome, HttpAnswer) and outcome.status == 413:
        message = f"{outcome.maker} refuses a layer of {BODY / 1e6:.1f} MB: 413, request entity too large"
        fix = "let the proxy in front of the registry take bodies of any size (nginx: client_max_body_size 0)"
        return failed("upload", message, fix, ours=f"{BODY} bytes", theirs="413")
    fault = _fault(outcome, url, "upload", f"/v2/{name}/blobs/uploads/…", name)
    if fault is not None:
        return fault
    if isinstance(outcome, HttpAnswer) and outcome.status != 202:
        message = f"a layer for {name} is answered with {outcome.status} instead of 202"
        return failed("upload", message, "see the registry's log", ours="202", theirs=str(outcome.status))
    return passed("upload", f"layers can be uploaded to {name}", theirs="202")


def check_delete(outcome: Outcome, url: str, name: str) -> Finding:
    """Check the answer to the deletion of a manifest that does not exist: 404 where deleting works."""
    target = f"/v2/{name}/manifests/sha256:0…"
    if isinstance(outcome, HttpAnswer) and outcome.status == 405 and not outcome.is_foreign:
        message = "the registry answers 405 to a delete, whatever the token grants: deleting is not enabled there"
        fix = "set storage.delete.enabled to true in its configuration, or REGISTRY_STORAGE_DELETE_ENABLED=true"
        return failed("delete", f"{message}, or it is read-only", fix, ours="404", theirs="405")
    fault = _fault(outcome, url, "delete", target, name)
    if fault is not None:
        return fault
    if isinstance(outcome, HttpAnswer) and outcome.status not in (202, 404):
        message = f"the deletion of a manifest that {name} does not have is answered with {outcome.status}"
        return failed("delete", message, "see the registry's log", ours="404", theirs=str(outcome.status))
    return passed("delete", f"manifests of {name} can be deleted", theirs="404 for one that does not exist")


def _fault(outcome: Outcome, url: str, check: str, target: str, name: str) -> Finding | None:
    """What is wrong before the registry looks at the request itself."""
    fault = check_transport("registry", url, outcome)
    if fault is not None or not isinstance(outcome, HttpAnswer):
        return fault
    proxy = check_answerer(outcome, target) if outcome.status >= 300 else None
    if outcome.status == 405 and outcome.is_foreign:
        message = f"{outcome.maker} in front of the registry does not pass this method on: 405 at {target}"
        return failed("proxy", message, "let it pass every method below /v2/ (nginx: no limit_except)", theirs="405")
    if proxy is not None:
        return proxy
    if outcome.status == 405:
        message = "the registry answers 405 to a push, whatever the token grants"
        fix = "its configuration has proxy (a pull-through cache) or storage.maintenance.readonly: push elsewhere"
        return failed(check, message, fix, ours="202", theirs="405")
    if outcome.status in (401, 403):
        message = f"the registry does not let the token {'push to' if check == 'upload' else 'delete from'} {name}"
        fix = "see the finding about access; if the token grants it, the proxy drops Authorization for this method"
        return failed(check, message, fix, theirs=outcome.bearer() or str(outcome.status))
    return None


def _check_location(location: str, url: str) -> Finding | None:
    """Check that an upload goes on where it began: clients follow the `Location`, with the token."""
    here, there = urlsplit(url), _joined(url, location)
    if there is None:
        return failed("upload", "the Location of the upload is not a URL", "correct http.host", theirs=location)
    if _address(here) == _address(there) and there.path.startswith(f"{here.path}/v2/"):
        return None
    if here.hostname == there.hostname and here.scheme != there.scheme:
        message = f"uploads are sent on to {there.scheme}, although the registry's address is {here.scheme}"
        fix = f"let the proxy pass X-Forwarded-Proto on {_SCHEME}, or set http.host to {url} in the registry"
    elif here.hostname == there.hostname and port_of(here) != port_of(there):
        message = "uploads are sent on to another port than that of the registry's address"
        fix = f"let the proxy pass Host on with its port {_HOST}, or set http.host to {url} in the registry"
    elif here.hostname != there.hostname:
        message = "uploads are sent on to another host than that of the registry's address"
        fix = f"set http.host to {url} in the registry or remove it, and let the proxy pass Host on {_HOST}"
    else:
        message = "uploads are sent on to a path that is not below the registry's address"
        fix = f"set http.host to {url} in the registry, with the path that the proxy has for it"
    return failed("upload", message, fix, ours=url, theirs=there._replace(query="", fragment="").geturl())


def _joined(url: str, location: str) -> SplitResult | None:
    """The URL that a `Location` leads to, or None if it is not valid (RFC 9110, section 10.2.2)."""
    try:
        parts = split_url(urljoin(f"{url}/", location)) if location else None
    except ValueError:
        return None
    return parts if parts is not None and parts.hostname else None


def _address(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").removesuffix("."), port_of(parts)
