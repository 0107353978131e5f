"""The observer that asks the shadow peer: it queues exchanges, and threads of its own repeat and compare them.

A request costs a look into a table; what cannot be asked soon is dropped and counted. Passwords wait in the queue for
seconds, in memory alone.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.peer.answer import NoPeerAnswer, read_answer
from tokenserver.exchange.peer.differences import differences
from tokenserver.exchange.peer.question import PeerQuestion, question_key, question_of, question_of_failure
from tokenserver.exchange.peer.reachability import Reachability
from tokenserver.exchange.peer.recent_keys import RecentKeys
from tokenserver.exchange.peer.reports import DifferenceReports
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.runtime.http.fetch import fetch
from tokenserver.runtime.http.response import FetchFailure
from tokenserver.runtime.tracing.spans import outgoing_headers

logger = logging.getLogger("tokenserver.shadow_peer")

AGENT = "tokenserver-shadow-peer"
"""The `User-Agent` of questions. A server that is asked by it asks no other one, so that two never ask in a circle."""

THREADS = 2
QUEUED = 100
BUSY_SECONDS = 0.05
"""How long a thread rests that took a question whose turn it is not."""

IDLE_SECONDS = 1.0
"""How often an idle thread looks whether it has to stop."""

REPEAT_SECONDS = 300.0
"""How long the same question is not repeated."""

REFUSED_SECONDS = 3600.0
"""How long a user is not asked for again whose login the peer refused: more failures could lock the account there."""

FAILED_SECONDS = 900.0
"""How long no other login of a user is sent that failed here."""

TURN_SECONDS = 60.0
"""For how long at most one question about a user keeps others about the same user from being asked."""

KEPT = 10_000
"""Keys of each kind that are remembered, of about 150 bytes each."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where the peer is asked: `deadline` is for a whole answer, `interval` between two questions of a thread, both in
    seconds. `failed_logins`: logins that fail here are asked too.
    """

    url: str
    context: ssl.SSLContext = field(repr=False)
    deadline: float
    interval: float
    failed_logins: bool


class ShadowPeer:
    """An observer that repeats exchanges at an old token server once `start` was called.

    `record` takes the event of a difference, `count` one of `PEER_RESULTS` and how often. `together` is what the
    workers of the server share, so that their number neither repeats a question nor locks an account.
    """

    def __init__(
        self,
        peer: PeerAddress,
        record: Callable[[dict[str, Any]], None],
        count: Callable[[str, int], None],
        *,
        together: SharedKeys,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._together = together
        self._reports = DifferenceReports(record, together)
        self._count = count
        self._monotonic = monotonic
        self._repeats = 0
        # Not a SimpleQueue: its `get` waits forever if another thread takes the item while the time-out passes.
        self._queue: queue.Queue[PeerQuestion] = queue.Queue()
        self._reachability = Reachability(peer.url, monotonic=monotonic, together=together)
        self._asked = RecentKeys(REPEAT_SECONDS, KEPT)
        self._refused = RecentKeys(REFUSED_SECONDS, KEPT)
        self._failed = RecentKeys(FAILED_SECONDS, KEPT)

    def start(self, stop: threading.Event) -> None:
        """Start the threads that ask. They end within seconds after `stop` is set, and forget what is queued."""
        for _ in range(THREADS):
            threading.Thread(target=self._work, args=(stop,), name="shadow-peer", daemon=True).start()

    def observe(
        self,
        request: TokenRequest | UnparsedRequest,
        outcome: TokenResult | Exception,
        seconds: float,  # noqa: ARG002 - the protocol
    ) -> None:
        """Queue one exchange; see `Observer.observe`. Never raises, and never waits."""
        if not isinstance(request, TokenRequest) or request.explain:
            return
        try:
            now = self._monotonic()
            if self._asked.has(question_key(request, outcome), now):
                self._repeats += 1  # nearly all exchanges end here; two at the same moment may count as one
            else:
                self._consider(request, outcome, now)
        except Exception as error:  # the peer must never cost a token; only the error's type is safe to log
            logger.log(logging.ERROR, "request %s: not repeated: %s", request.request_id, type(error).__name__)

    def _consider(self, request: TokenRequest, outcome: TokenResult | Exception, now: float) -> None:
        """Queue an exchange that was not asked for a moment ago, or count why not."""
        if self._queue.qsize() >= QUEUED or not self._reachability.is_due(now):
            self._count("dropped", 1)
            return
        question = self._question(request, outcome, now)
        if question is None:
            self._count("skipped", 1)
            return
        self._asked.add(question.key, now)
        if question.ruling is None and question.user is not None:
            self._failed.add(question.user, now)
        self._queue.put(question._replace(trace=outgoing_headers()))

    def _question(self, request: TokenRequest, outcome: TokenResult | Exception, now: float) -> PeerQuestion | None:
        if request.user_agent is not None and request.user_agent.startswith(AGENT):
            return None
        if isinstance(outcome, TokenResult):
            question = question_of(request, outcome)
        else:
            question = question_of_failure(request, outcome, failed_logins=self._peer.failed_logins)
            if question is not None and question.user is not None and self._failed.has(question.user, now):
                return None
        if question is None or (question.user is not None and self._refused.has(question.user, now)):
            return None
        return question

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._count_repeats()
            try:
                question = self._queue.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                continue
            began = self._monotonic()
            result = self._result(question)
            rest = 0.0 if result in {"skipped", "dropped"} else self._peer.interval
            if result is None:
                self._queue.put(question)
                rest = BUSY_SECONDS
            else:
                self._count(result, 1)
            del question  # and its password
            stop.wait(max(0.0, rest - (self._monotonic() - began)))
        self._count_repeats()
        while not self._queue.empty():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
            self._count("dropped", 1)

    def _count_repeats(self) -> None:
        repeats = self._repeats
        if repeats:
            self._repeats -= repeats
            self._count("skipped", repeats)

    def _result(self, question: PeerQuestion) -> str | None:
        """Ask, compare, and return one of `PEER_RESULTS`; None: another question about this user is being asked."""
        with self._turn(question.user) as is_turn:
            if not is_turn:
                return None
            if not self._is_new(question):
                return "skipped"
            result = self._asked_now(question)
        if result not in {"same", "differs"}:  # it may be asked again
            self._asked.discard(question.key)
            self._together.discard(question.text)
        return result

    def _asked_now(self, question: PeerQuestion) -> str:
        if not self._reachability.admit():
            return "dropped"
        try:
            return self._compared(question)
        except NoPeerAnswer as error:
            self._reachability.failed(str(error))
        except Exception as error:  # it ends a question, never the thread; only the error's type is safe to log
            self._reachability.failed(f"unexpected {type(error).__name__}")
        return "unreachable"

    @contextmanager
    def _turn(self, user: str | None) -> Iterator[bool]:
        """Whether no other thread or worker asks for this user now, who could be refused: then nobody else does."""
        key = f"asking\n{user}"
        is_turn = user is None or self._together.add(key, self._monotonic(), TURN_SECONDS)
        try:
            yield is_turn
        finally:
            if is_turn and user is not None:
                self._together.discard(key)

    def _is_new(self, question: PeerQuestion) -> bool:
        """Whether no worker has asked it a moment ago, or had a login of the user refused."""
        now, user, together = self._monotonic(), question.user, self._together
        if user is not None and together.has(f"refused\n{user}", now, REFUSED_SECONDS):
            return False
        if user is not None and question.ruling is None and not together.add(f"failed\n{user}", now, FAILED_SECONDS):
            return False
        return together.add(question.text, now, REPEAT_SECONDS)

    def _compared(self, question: PeerQuestion) -> str:
        """`same` or `differs`.

        Raises:
            NoPeerAnswer: there is none.
        """
        url = question.target(self._peer.url)
        if url is None:
            return "skipped"
        answer = fetch(
            url,
            context=self._peer.context,
            deadline=self._peer.deadline,
            agent=AGENT,
            authorization=question.authorization,
            is_plain_local=True,
            headers=question.trace,
        )
        if isinstance(answer, FetchFailure):
            raise NoPeerAnswer(f"{answer.reason}: {answer.detail}")
        there = read_answer(answer.status, answer.body, is_cut=answer.is_cut)
        here, has_login = question.here, question.username is not None
        if there is None and has_login and here is not None:
            self._refused.add(question.user, self._monotonic())
            self._together.add(f"refused\n{question.user}", self._monotonic())
            self._reachability.refused()
        else:
            self._reachability.answered(is_login=has_login and there is not None)
        found = differences(here, there, has_login=has_login)
        self._reports.report(question, found, self._monotonic())
        return "differs" if found else "same"
