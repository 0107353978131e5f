"""Registries that are configured wrongly on purpose, and other things that only look like one."""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from harness.authority import Authority
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need
from harness.registries import PRINTED_FOR, PROGRAMS
from harness.server import TokenServer

ARGUMENTS = {"zot2.1": [], "zot2.1.17": ["-up-to-2.1.17"]}
"""What the programs are called with before their configuration, where it is not `serve`."""

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Misfit:
    """A running registry with its configuration file."""

    port: int
    config: Path
    is_tls: bool

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://localhost:{self.port}"


def written(folder: Path, server: TokenServer, service: str, generation: str, change: Change, port: int) -> Path:
    """A registry's configuration as the server prints it, then changed."""
    folder.mkdir(parents=True, exist_ok=True)
    section = copy.deepcopy(server.registry_config(service, PRINTED_FOR.get(generation, generation), folder))
    whole: dict[str, Any]
    if generation.startswith("zot"):
        whole = {
            "storage": {"rootDirectory": str(folder / "storage"), "gc": False},
            "http": {"address": "127.0.0.1", "port": str(port), **section["http"]},
        }
        change(whole)
        config = folder / "registry.json"
        config.write_text(json.dumps(whole))
        return config
    whole = {"version": 0.1, "storage": {"inmemory": {}}, "http": {"addr": f"127.0.0.1:{port}"}, **section}
    change(whole)
    config = folder / "registry.yml"
    config.write_text(yaml.safe_dump(whole))
    return config


@contextmanager
def misfit(
    folder: Path,
    server: TokenServer,
    service: str,
    generation: str,
    change: Change,
    *,
    tls: Authority | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Misfit]:
    """Such a registry, running; with these variables more."""
    program = need(PROGRAMS[generation])
    port = free_port()

    def changed(whole: dict[str, Any]) -> None:
        if tls is not None:
            certificate, key = tls.issue(folder)
            whole["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
        change(whole)

    config = written(folder, server, service, generation, changed, port)
    (folder / "tmp").mkdir(exist_ok=True)
    variables = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none", **(environment or {})}
    daemon = Daemon(
        f"registry-{generation}",
        [program, *ARGUMENTS.get(generation, ["serve"]), config],
        environment=variables,
        folder=folder,
    )
    with running(daemon, lambda: answers(port)):
        yield Misfit(port, config, tls is not None)


@dataclass(frozen=True)
class Reply:
    """What an impostor answers to everything."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"{}"


@dataclass
class Impostor:
    """A server that answers one thing. `authorizations` are those headers that it was sent."""

    port: int
    authorizations: list[str]


@contextmanager
def impostor(reply: Reply, *, context: ssl.SSLContext | None = None) -> Iterator[Impostor]:
    """Such a server, on a loopback port."""
    seen: list[str] = []

    def reply_to(_path: str, headers: Message) -> Reply:
        seen.extend(headers.get_all("authorization", []))
        return reply

    with answering(reply_to, context=context) as port:
        yield Impostor(port, seen)


@contextmanager
def answering(reply_to: Callable[[str, Message], Reply], *, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a loopback port, with a context over TLS, that answers GET by path and headers; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = reply_to(self.path, self.headers)
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def trickler(seconds: float) -> Iterator[int]:
    """A server that sends a byte of a header now and then, for so long; its port."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # the end of the test, or the client has gone
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(seconds)
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(int(seconds / 0.05)):
                    if over.wait(0.05):
                        return
                    connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)  # which, other than `close`, wakes the thread that accepts
        thread.join()
        listener.close()


@contextmanager
def silent(beginning: bytes = b"") -> Iterator[int]:
    """A server that accepts every connection and says no more than `beginning`; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            with contextlib.suppress(OSError):  # the client has gone
                connection.sendall(beginning)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        for connection in held:
            connection.close()


@contextmanager
def blackhole() -> Iterator[int]:
    """A port at which connections are neither accepted nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        try:
            for one in held:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for one in held:
                one.close()
