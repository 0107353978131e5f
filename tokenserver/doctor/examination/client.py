"""Examination of the client's side: the files of stored logins on this machine, their helpers, and one login.

A file belongs to the user who runs the doctor; a helper that it names is run as clients do it, with the host on its
standard input. What it prints is a secret: it is bounded, stays in memory, and is never shown.
"""

from __future__ import annotations

import base64
import os
import select
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from tokenserver.credentials import Secret
from tokenserver.doctor.client.checks import (
    HELPER_SECONDS,
    ClientTarget,
    HeldLogin,
    check_client_file,
    check_entry,
    check_helper,
    check_missing,
    check_proxies,
    check_proxies_section,
    check_stored_password,
)
from tokenserver.doctor.client.proxies import proxy_variables
from tokenserver.doctor.client.stored_logins import (
    ClientFile,
    ClientKind,
    HelperAnswer,
    HelperOutcome,
    StoredEntry,
    parse_client_file,
    parse_helper_answer,
    stored_key,
)
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.findings import Finding, note
from tokenserver.documents.files import read_bounded
from tokenserver.documents.permissions import file_problem
from tokenserver.errors import LoadError

VARIABLE = "DOCKER_AUTH_CONFIG"
MAX_FILE = 1024 * 1024
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClientSide:
    """What to examine: the registries, by `environment` and the files of a client.

    `realm` is our token endpoint, if it is known. With `context`, stored logins are tried there. `is_asked`: the
    operator named the registry.
    """

    environment: Mapping[str, str]
    targets: Sequence[ClientTarget]
    realm: str | None
    context: ssl.SSLContext | None = None
    is_asked: bool = False


def examine_client(side: ClientSide) -> list[Finding]:
    """Check every file of stored logins, the logins for each registry, and the proxies on the way."""
    files = _read_all(side.environment)
    found = [finding for file in files for finding in check_client_file(file)]
    tried: list[HeldLogin] = []
    for target in side.targets:
        found += _examine_target(side, target, files, tried)
    found += [finding for file in files for finding in check_proxies_section(file)]
    urls = [*(target.url for target in side.targets), *([] if side.realm is None else [side.realm])]
    found += check_proxies(proxy_variables(side.environment), urls)
    return [*found, note("client file", "read: " + (", ".join(file.path for file in files) or "none; there is none"))]


def _read_all(environment: Mapping[str, str]) -> list[ClientFile]:
    """The variable with logins, if it is set, and the files that exist."""
    text = environment.get(VARIABLE)
    variable = parse_client_file(text, f"${VARIABLE}", ClientKind.VARIABLE) if text else None
    read = [variable, *(read_client_file(path, kind) for path, kind in client_files(environment))]
    return [file for file in read if file is not None]


def client_files(environment: Mapping[str, str]) -> Iterator[tuple[Path, ClientKind]]:
    """The files in which clients look: docker's, helm's, and podman's in their order. Not all need exist."""
    home = Path(environment.get("HOME") or "/")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json", ClientKind.DOCKER
    helm = Path(environment.get("HELM_CONFIG_HOME") or config / "helm") / "registry" / "config.json"
    yield Path(environment.get("HELM_REGISTRY_CONFIG") or helm), ClientKind.HELM
    chosen = environment.get("REGISTRY_AUTH_FILE")
    if chosen:
        yield Path(chosen), ClientKind.PODMAN
        return
    runtime = environment.get("XDG_RUNTIME_DIR")
    below = Path(runtime) / "containers" if runtime else Path(f"/run/containers/{os.geteuid()}")
    yield below / "auth.json", ClientKind.PODMAN
    yield config / "containers" / "auth.json", ClientKind.PODMAN


def read_client_file(path: Path, kind: ClientKind) -> ClientFile | None:
    """Read a file of stored logins; None if there is none. What prevents it is the file's `problem`."""
    try:
        status = path.stat()
        content = read_bounded(path, limit=MAX_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        return ClientFile(str(path), kind, problem=f"cannot be read: {error.strerror}")
    except LoadError as error:
        return ClientFile(str(path), kind, problem=error.faults[0].message)
    try:
        file = parse_client_file(content.decode("utf-8"), str(path), kind)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        file = ClientFile(str(path), kind, problem="is not UTF-8 text", line=line)
    return replace(file, written=datetime.fromtimestamp(status.st_mtime, UTC), mode=status.st_mode)


def ask_helper(name: str, key: str, environment: Mapping[str, str], *, seconds: float = HELPER_SECONDS) -> HelperAnswer:
    """Run `docker-credential-NAME get` for a key, for at most `seconds`. Then its whole session is ended."""
    path = environment.get("PATH", os.defpath)
    program = None if "/" in name else shutil.which(f"docker-credential-{name}", path=path)
    if program is None:
        return HelperAnswer(HelperOutcome.MISSING)
    end = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user's own file names, as clients run it
            [program, "get"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:  # a script without its interpreter
        return HelperAnswer(HelperOutcome.FAILED, code=126)
    with process:
        try:
            output = _exchange(process, key, end)
            return parse_helper_answer(process.wait(max(0.0, end - time.monotonic())), output)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return HelperAnswer(HelperOutcome.HANGS)
            raise


def _exchange(process: subprocess.Popen[bytes], key: str, end: float) -> bytes:
    """Write the key, and read all that the program prints, up to a limit.

    Raises:
        subprocess.TimeoutExpired: it does not close its output by `end`.
    """
    assert process.stdin is not None  # noqa: S101 - a pipe, as asked for
    assert process.stdout is not None  # noqa: S101 - likewise
    with suppress(OSError):  # one that fails need not read
        process.stdin.write(key.encode("utf-8", "surrogateescape"))
        process.stdin.close()
    found, descriptor = b"", process.stdout.fileno()
    while len(found) <= MAX_ANSWER:
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise subprocess.TimeoutExpired(process.args, left)
        part = os.read(descriptor, MAX_ANSWER)
        if not part:
            break
        found += part
    process.stdout.close()
    return found


def _examine_target(
    side: ClientSide, target: ClientTarget, files: Sequence[ClientFile], tried: list[HeldLogin]
) -> list[Finding]:
    found: list[Finding] = []
    missed: list[Finding] = []
    is_held = False
    for file in files:
        entries = file.logins_of(target.host)
        helper = file.helper_of(target.host)
        if helper is None:
            is_held = is_held or bool(entries)
            found += [finding for entry in entries for finding in check_entry(entry, file, target)]
            logins = [login for entry in entries if (login := _held(entry, file)) is not None]
        else:
            is_shadowing = any(not entry.is_empty for entry in entries)
            answer = _answer_of(helper, file, target, side.environment)
            finding = check_helper(helper, answer, file, target, is_shadowing=is_shadowing)
            is_missed = answer.outcome is HelperOutcome.NOT_FOUND and not is_shadowing
            is_held = is_held or not is_missed
            (missed if is_missed else found).append(finding)
            logins = [] if (login := _answered(helper, answer, file)) is None else [login]
        found += [finding for login in logins for finding in _try(side, target, login, tried)]
    if is_held:
        return found
    others = {one.host for one in side.targets if one != target}
    missing = check_missing(target, files, others, is_asked=side.is_asked)
    return [*found, *(missed if missed and side.is_asked and missing.theirs is None else [missing])]


def _held(entry: StoredEntry, file: ClientFile) -> HeldLogin | None:
    """The login of an entry, if it has one that can be tried."""
    if entry.password is None or entry.problem is not None or entry.has_identity:
        return None
    return HeldLogin(file.path, file.kind, entry.user or "", entry.password, file.written)


def _answered(helper: str, answer: HelperAnswer, file: ClientFile) -> HeldLogin | None:
    """The login that a helper answered, if it can be tried."""
    if answer.user is None or answer.password is None or answer.is_identity:
        return None
    return HeldLogin(f"docker-credential-{helper}", file.kind, answer.user, answer.password)


def _answer_of(name: str, file: ClientFile, target: ClientTarget, environment: Mapping[str, str]) -> HelperAnswer:
    path = Path(file.path)
    try:
        problem = file_problem(path.stat(), path, private=False, place=path)
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        return HelperAnswer(HelperOutcome.NOT_RUN)
    return ask_helper(name, stored_key(target.host, file.kind), environment)


def _try(side: ClientSide, target: ClientTarget, login: HeldLogin, tried: list[HeldLogin]) -> list[Finding]:
    """Log in once with what is stored, unless the same was tried already; the server counts failed logins."""
    if side.context is None or side.realm is None or target.service is None:
        return []
    if any(one.pair == login.pair for one in tried):  # Secrets compare in constant time
        return []
    tried.append(login)
    pair = f"{login.user}:{login.password.reveal()}".encode("utf-8", "surrogateescape")
    sent = Secret("Basic " + base64.b64encode(pair).decode("ascii"))
    outcome = fetch(f"{side.realm}?{urlencode({'service': target.service})}", context=side.context, authorization=sent)
    return [check_stored_password(outcome, side.realm, login, target)]
