"""The JWT with which a job or a pod proves what it is: from GitHub, GitLab or Kubernetes, for one token server. Pure.

A JWT is answered only if it is for the token server that the registry names: any other that got it could use it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tokenserver.credential_helper.token_server.device_flow import json_object
from tokenserver.credential_helper.token_server.reply import Fetch
from tokenserver.credential_helper.token_server.urls import with_audience

USER = "workload"
MAX_JWT = 8192
MARGIN = 10  # seconds that a JWT has to last

_JWT = re.compile(r"[0-9A-Za-z_-]+\.([0-9A-Za-z_-]+)\.[0-9A-Za-z_-]+", re.ASCII)


class UnusableWorkload(Exception):
    """The JWT that is there cannot be used. The text says why and how to fix it, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """What the CI system or the cluster handed to this job. What is absent is empty, None for the file."""

    github_url: str
    github_token: str = field(repr=False)
    id_token: str = field(repr=False)
    read_token_file: Callable[[], str | None]
    token_file: str
    system: str = ""
    """`github`, `gitlab`, `kubernetes`, or empty: where this runs."""


def workload_jwt(job: JobEnvironment, issuer: str, fetch: Fetch, now: float) -> str | None:
    """The JWT for this token server; None where nothing handed one over.

    Raises:
        UnusableWorkload: it could not be fetched, or is expired or for another audience.
    """
    if job.github_url and job.github_token:
        return _checked(_from_github(job, issuer, fetch), issuer, now, "GitHub's ID token")
    if job.id_token:
        return _checked(job.id_token, issuer, now, "TOKENSERVER_ID_TOKEN")
    projected = job.read_token_file()
    return None if projected is None else _checked(projected.strip(), issuer, now, job.token_file)


def advice(job: JobEnvironment, issuer: str) -> str | None:
    """What a job has to be given so that there is a JWT; None outside of jobs and clusters."""
    return {
        "github": "give the job `permissions: {id-token: write}`",
        "gitlab": f"give the job `id_tokens: {{TOKENSERVER_ID_TOKEN: {{aud: {issuer}}}}}`",
        "kubernetes": f"project a token with `audience: {issuer}` to {job.token_file}",
    }.get(job.system)


def _from_github(job: JobEnvironment, issuer: str, fetch: Fetch) -> str:
    headers = {"Authorization": f"bearer {job.github_token}"}
    reply = fetch(with_audience(job.github_url, issuer), headers=headers)
    value = None if reply is None or reply.status != 200 else json_object(reply.body).get("value")
    if not isinstance(value, str):
        answer = "does not answer" if reply is None else f"answers {reply.status} without one"
        raise UnusableWorkload(f"GitHub's endpoint for ID tokens {answer}; fix: run the job again")
    return value


def _checked(jwt: str, issuer: str, now: float, name: str) -> str:
    """The JWT, if it is for this token server and still valid. Its signature is the server's business."""
    matched = _JWT.fullmatch(jwt) if len(jwt) <= MAX_JWT else None
    if matched is None:
        raise UnusableWorkload(f"{name} is no JWT")
    claims = json_object(_decoded(matched[1]))
    audience, end = claims.get("aud"), claims.get("exp")
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise UnusableWorkload(f"{name} is for another audience; fix: ask for one for {issuer}")
    if isinstance(end, bool) or not isinstance(end, int | float) or not end - MARGIN > now:
        raise UnusableWorkload(f"{name} has expired; fix: log in earlier in the job, or run it again")
    return jwt


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
