"""The closing block of a start: address, user, password, policies, and the next commands to paste. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokenserver.cli.console.table import aligned
from tokenserver.cli.demo.clients import ClientCommands
from tokenserver.printable import shell_word


class Started(NamedTuple):
    """A server that is ready. `program` is how its command is called here; `password` None: it was created earlier."""

    program: str
    config: str
    url: str
    service: str
    user: str
    password: str | None
    policies: str


class Step(NamedTuple):
    """One command to try, and what it shows."""

    about: str
    command: str


def with_registry(started: Started, client: ClientCommands) -> list[Step]:
    """What to try where a registry runs: log in, push, a denied push, and why."""
    return [
        Step(f"log in; {client.note}", client.login),
        Step("push an image to a namespace of your own", client.push),
        Step("push to production, which the policies deny", client.denied),
        Step("and why they do", _why(started)),
    ]


def without_client(started: Started) -> list[Step]:
    """What to try where a registry runs and no client is installed."""
    wanted = "install crane, skopeo, podman or docker to push; meanwhile, a token"
    return [Step(wanted, _curl(started)), Step("why a push to production is denied", _why(started))]


def without_registry(started: Started, demo: str) -> list[Step]:
    """What to try where only the server runs; `demo` is the command that starts a registry as well."""
    return [
        Step("a token for a namespace of your own; asks for the password", _curl(started)),
        Step("why a push to production is denied", _why(started)),
        Step("the same with a registry next to it, for docker login and push", demo),
    ]


def block(started: Started, registry: str | None, steps: Sequence[Step]) -> str:
    """The whole block. `registry` is the address of the registry that was started, if any."""
    return "\n".join(["", *aligned(list(_facts(started, registry))).splitlines(), "", *_lines(steps)])


def _facts(started: Started, registry: str | None) -> Iterator[tuple[str, str]]:
    yield "ready at", started.url
    if registry is not None:
        yield "registry", registry
    yield "user", started.user
    renew = f"{started.program} users set {shell_word(started.user)} --config {started.config}"
    if started.password is None:
        yield "password", f"created at the first start; a new one: {renew}"
    else:
        yield "password", f"{started.password}    (not shown again)"
    yield "pages", f"{started.url}/    (log in there: access keys, logins, what you may do and why)"
    yield "policies", f"{started.policies}    (changes are live within two seconds)"
    yield "stop", "Ctrl-C"


def _lines(steps: Sequence[Step]) -> Iterator[str]:
    yield "Try in a second terminal:"
    for step in steps:
        yield ""
        yield f"  # {step.about}"
        yield f"  {step.command}"
    yield ""


def _why(started: Started) -> str:
    user = shell_word(started.user)
    return f"{started.program} policy why push web/prod/hello --user {user} --config {started.config}"


def _curl(started: Started) -> str:
    query = f"service={started.service}&scope=repository:users/{started.user}/hello:pull,push"
    return f"curl --user {shell_word(started.user)} {shell_word(f'{started.url}/token?{query}')}"
