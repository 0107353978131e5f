"""The header `Idempotency-Key`: a client that lost an answer sends its request again, and it is done once.

A key belongs to who sent it and where to, so nobody gets the answer to the request of somebody else.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from tokenserver.errors import BackendUnavailable
from tokenserver.management.actors import Actor
from tokenserver.web.api.faults import BadRequest, KeyReused, StillInProgress
from tokenserver.web.api.openapi import IDEMPOTENCY_KEY, MAX_IDEMPOTENCY_KEY

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.storage.people.remembered_answers import RememberedAnswers

logger = logging.getLogger("tokenserver.web")

_KEY = re.compile(rf"[!-~]{{1,{MAX_IDEMPOTENCY_KEY}}}", re.ASCII)


class SentAnswer(NamedTuple):
    """An answer as it is sent; `was_repeated`: the request had been done before."""

    status: int
    body: bytes
    location: str | None
    was_repeated: bool = False


def once(
    answers: RememberedAnswers,
    key: str | None,
    actor: Actor,
    *,
    target: str,
    content: bytes,
    work: Callable[[], SentAnswer],
    may_receive: Callable[[], None],
) -> SentAnswer:
    """The answer of `work`, or the one that it had for the same request with the same key. None: always do it.

    `may_receive` raises if the actor may not get a secret now. `work` checks that by itself; an answer that has a
    secret is not repeated without it.

    Raises:
        BadRequest: it is no key.
        KeyReused: it was used for another content.
        StillInProgress: the request is being done.
        BackendUnavailable: the storage cannot tell, so nothing was done.
    """
    if key is None:
        return work()
    if _KEY.fullmatch(key) is None:
        message = f"must be 1 to {MAX_IDEMPOTENCY_KEY} visible characters of ASCII"
        raise BadRequest.at(f"header.{IDEMPOTENCY_KEY}", message)
    request = _request_of(key, actor, target)
    known = answers.begin(request, content)
    if known is None:
        return _done(answers, request, content, work)
    if not known.is_same:
        raise KeyReused("the idempotency key was used for another request; fix: send a new one")
    if known.answer is None:
        raise StillInProgress("the request is in progress; try again in a moment")
    status, location, body = json.loads(known.answer)
    if status == HTTPStatus.CREATED:
        may_receive()
    return SentAnswer(status, base64.b64decode(body), location, was_repeated=True)


def _done(answers: RememberedAnswers, request: bytes, content: bytes, work: Callable[[], SentAnswer]) -> SentAnswer:
    try:
        answer = work()
    except BaseException:
        with suppress(BackendUnavailable):
            answers.dropped(request)
        raise
    try:
        body = base64.b64encode(answer.body).decode("ascii")
        answers.kept(request, content, json.dumps([answer.status, answer.location, body]).encode("ascii"))
    except BackendUnavailable as error:
        # It is done, and its secret is in this answer alone.
        logger.warning("the answer to a request with an idempotency key was not kept: %s", error.reason)
    return answer


def _request_of(key: str, actor: Actor, target: str) -> bytes:
    """What a request is known by: who sends it, with which kind of credential, where to, and its key."""
    identity = actor.identity
    who = [identity.source, identity.subject, identity.kind.value, identity.via]
    return json.dumps([*who, target, key]).encode("ascii")
