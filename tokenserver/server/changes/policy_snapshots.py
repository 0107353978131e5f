"""Kept policies: a thread that keeps each version of the policies that goes live, off the path of requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.policy.history.kept_snapshots import keep
from tokenserver.policy.model import PolicySet

logger = logging.getLogger("tokenserver.policy_snapshots")

LOOK_SECONDS = 0.25
"""How often the thread looks for new policies: a version is live for half a second at least."""

RETRY_SECONDS = 30.0
"""How long it waits after a failure, such as a full disk."""


def watch_policies(folder: Path, policies: Callable[[], PolicySet], stop: threading.Event) -> None:
    """Keep the live policies in `folder` now and whenever they change, until `stop` is set. Blocks; nothing raises."""
    kept: PolicySet | None = None
    problem = ""
    while True:
        live = policies()
        pause = LOOK_SECONDS
        if live is not kept:
            found = _problem_of_keeping(folder, live)
            if not found:
                kept = live
            else:
                pause = RETRY_SECONDS
            if found != problem:
                _log(folder, found)
            problem = found
        if stop.wait(pause):
            return


def _problem_of_keeping(folder: Path, policies: PolicySet) -> str:
    try:
        keep(folder, policies, datetime.now(UTC))
    except OSError as error:
        return error.strerror or type(error).__name__
    except Exception as error:  # what is kept for auditors may not stop the server; only the type is safe to log
        return f"unexpected {type(error).__name__}"
    return ""


def _log(folder: Path, problem: str) -> None:
    if problem:
        logger.warning("audit.policy_snapshots: the live policies cannot be kept in %s: %s", folder, problem)
    else:
        logger.warning("audit.policy_snapshots: the live policies are kept again in %s", folder)
