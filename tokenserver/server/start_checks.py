"""Start-up checks beyond the files: libraries, secrets, addresses and descriptors, for both `check` and `serve`.

Everything that would stop a worker must be found here, since a worker that ends is restarted again and again.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from tokenserver.config.server import address_of
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.server.login_plan import worker_count
from tokenserver.server.shared_state import shared_counters
from tokenserver.server.tracing import tracing_faults

MIN_FILES = 64
"""File descriptors that a process needs to serve any request."""

PROBE_SECONDS = 1.0


def start_faults(settings: Settings, file: str) -> list[Fault]:
    """Everything that would stop a worker or the server right after its start; `file` is the configuration file."""
    found = [*_counter_faults(settings, file), *_file_limit(file), *tracing_faults(settings, file)]
    found.extend(_address_faults(settings, file))
    wanted = {"metrics": settings.server.metrics, "management": settings.server.management}
    if not is_forking():
        problem = "needs forked worker processes, which this platform does not support; leave it out"
        found += [Fault(file, 0, f"server.{key}", problem) for key, address in wanted.items() if address is not None]
    return found


def is_forking() -> bool:
    """Whether workers are forked, and so share memory with the master process: always on Linux."""
    return sys.platform == "linux" or multiprocessing.get_start_method() == "fork"


def _counter_faults(settings: Settings, file: str) -> list[Fault]:
    try:
        shared_counters(settings, workers=worker_count(settings))
    except LoadError as error:
        # A fault that belongs to no file belongs to a key of the configuration.
        return [
            replace(fault, file=file, path=f"throttle.{fault.path}") if fault.file == "throttle" else fault
            for fault in error.faults
        ]
    return []


def _file_limit(file: str) -> Iterator[Fault]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MIN_FILES:
        problem = (
            f"a process may have {hard} open files here, and needs {MIN_FILES}; raise the limit:"
            " LimitNOFILE= of systemd, --ulimit nofile= of a container, ulimit -n of a shell"
        )
        yield Fault(file, 0, "", problem)


def _address_faults(settings: Settings, file: str) -> Iterator[Fault]:
    """Addresses that cannot be listened on. If the server is running already, its addresses are in use; `check` may
    run next to it."""
    for key, address in settings.server.addresses.items():
        error = listening_refused(address)
        if error is not None and error.errno != errno.EADDRINUSE:
            yield address_fault(settings, file, key, error)
    metrics = settings.server.metrics
    if metrics is None:
        return
    error = listening_refused(address_of(metrics))
    if error is not None and not (error.errno == errno.EADDRINUSE and _is_ours(address_of(metrics))):
        yield address_fault(settings, file, "metrics", error)


def address_fault(settings: Settings, file: str, key: str, error: OSError) -> Fault:
    """The fault that the server cannot listen on the address at a key of `server`."""
    problem = f"cannot listen on {getattr(settings.server, key)}: {reason(error)}"
    if error.errno == errno.EACCES:
        problem += (
            "; fix: a port from 1024 on, or the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd)"
        )
    return Fault(file, 0, f"server.{key}", problem)


def listening_refused(address: tuple[str, int]) -> OSError | None:
    """The error of listening on the address for a moment; None if that works."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
    except OSError as error:
        return error
    return None


def _is_ours(address: tuple[str, int]) -> bool:
    """Whether a tokenserver serves its metrics there."""
    with suppress(OSError), socket.create_connection(address, PROBE_SECONDS) as connection:
        connection.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        return b"\nServer: tokenserver" in connection.recv(4096)
    return False


def reason(error: OSError) -> str:
    """The system's text for the error."""
    return os.strerror(error.errno) if error.errno else str(error)
