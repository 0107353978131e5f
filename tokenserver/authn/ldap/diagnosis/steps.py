"""Steps of a diagnosis: what was tried, what came of it, and the failure with its fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryError, DirectoryFailure

OMITTED = "left out"
"""The name of steps that report groups without a usable name."""
IGNORED = "ignored"
"""The name of steps that report groups that do not count because the configuration says so."""

_CONNECTING = frozenset(
    {
        FailureCause.NAME_UNKNOWN,
        FailureCause.NAME_SILENT,
        FailureCause.REFUSED,
        FailureCause.UNREACHABLE,
        FailureCause.CONNECT_SILENT,
    }
)


@dataclass(frozen=True, slots=True)
class ListedName:
    """One name in a list, spelled as in policies, and the DN that it comes from, if any."""

    name: str
    dn: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosisStep:
    """One step of the diagnosis. `failure` says why it failed; None if it succeeded.

    `names` are the names that it found, each to be shown on a line of its own, because a name can hold anything.
    """

    name: str
    result: str
    failure: DirectoryFailure | None = None
    names: tuple[ListedName, ...] = ()

    @property
    def advice(self) -> str | None:
        """What to change if it failed; None if it succeeded."""
        return None if self.failure is None else self.failure.fix


class StepFailed(Exception):
    """A step failed, so the steps after it are skipped."""

    def __init__(self, step: DiagnosisStep) -> None:
        self.step = step
        super().__init__(step.result)


def failed_step(name: str, failure: DirectoryFailure, about: str = "") -> DiagnosisStep:
    """A step that failed; `about` is what was tried."""
    return DiagnosisStep(name, f"{about}: {failure.text}" if about else failure.text, failure)


def connecting_step(failure: DirectoryFailure) -> DiagnosisStep:
    """The step for a connection that cannot be opened: to the server, or with TLS."""
    return failed_step("connect" if failure.cause in _CONNECTING else "tls", failure)


@contextmanager
def step_named(name: str, about: str = "") -> Iterator[None]:
    """Report errors of the directory as a failure of this step.

    Raises:
        StepFailed: the block raised one.
    """
    try:
        yield
    except DirectoryError as error:
        raise StepFailed(failed_step(name, error.failure, about)) from error
