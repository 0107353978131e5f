"""Trials at a live registry, which the operator asks for: the beginning of a push, or the deletion of nothing.

An upload is started, gets a layer of zeros, and is cancelled. A delete names a manifest that does not exist. So nothing
stays behind. The `Location` of an upload is compared and never followed to another host.
"""

from __future__ import annotations

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.trial import BODY, Trial, check_delete, check_upload_body, check_upload_start, upload_url
from tokenserver.doctor.examination.visiting.requests import Requests, TimeLimit, Visit
from tokenserver.doctor.findings import Finding, note
from tokenserver.doctor.http import HttpAnswer, Outcome


def try_out(visit: Visit, trial: Trial, token: Secret, cancelling: Secret) -> list[Finding]:
    """The findings of one trial, with a token that allows it. `cancelling` allows to delete: it ends the upload."""
    name = trial.repository
    if trial.action == "delete":
        outcome = _ask(visit, "DELETE", f"{visit.url}/v2/{name}/manifests/sha256:{'0' * 64}", token)
        return [check_delete(outcome, visit.url, name)]
    begun = _ask(visit, "POST", f"{visit.url}/v2/{name}/blobs/uploads/", token, b"")
    misled = check_upload_start(begun, visit.url, name)
    there = upload_url(begun, visit.url) if isinstance(begun, HttpAnswer) and begun.status == 202 else None
    found = [] if misled is None else [misled]
    if there is None:
        return found
    if misled is None:
        sent = _ask(visit, "PATCH", there, token, bytes(BODY))
        found.append(check_upload_body(sent, visit.url, name))
        there = (upload_url(sent, visit.url) if isinstance(sent, HttpAnswer) else None) or there
    ended = _ask(visit, "DELETE", there, cancelling)
    if not isinstance(ended, HttpAnswer) or ended.status >= 300:
        found.append(note("upload", f"the upload to {name} could not be cancelled; registries purge such after a week"))
    return found


def _ask(visit: Visit, method: str, url: str, token: Secret, body: bytes | None = None) -> Outcome:
    """One request of a trial. Each has the whole time of a run again: a layer is sent, and must be cancelled."""
    requests = Requests(visit.requests.context, TimeLimit.in_(visit.requests.deadline.seconds))
    sent = Secret(f"Bearer {token.reveal()}")
    return requests.send(f"{method} of the trial", url, authorization=sent, method=method, body=body)
