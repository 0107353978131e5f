"""Patterns and names that begin with a registry's host, which no name has in a token request.

Clients cut the host off an image's name before they ask for a scope, so `registry.example.com/web/**` covers nothing
that is ever asked for. What clients take for a host is what Distribution's reference grammar does (`splitDockerDomain`
in distribution/reference): the first segment of several, with a dot or a colon in it, or `localhost`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tokenserver.documents import Path
from tokenserver.errors import Fault
from tokenserver.policy.expected import AsTest, Test, WhatTest
from tokenserver.policy.schema import PolicyFile


def host_in(text: str) -> str | None:
    """The first segment of a pattern or a repository name, where clients take it for a host; else None."""
    first, slash, _ = text.partition("/")
    return first if slash and _looks_like_host(first) else None


def without_host(text: str) -> str:
    """The pattern or name without its host."""
    return text.partition("/")[2]


def host_remarks(names: Iterable[str]) -> Iterator[str]:
    """For each pattern or name that begins with a host, what is odd about it."""
    for name in names:
        host = host_in(name)
        if host is not None:
            yield f"{name!r} begins with a host, {host}, which no client asks for; write {without_host(name)}"


def host_faults(file: PolicyFile, services: Collection[str]) -> Iterator[Fault]:
    """Each pattern and each name of a file that begins with the host of one of the registries `services`."""
    hosts = {_host_of(service) for service in services if _looks_like_host(service)}
    if not hosts:
        return
    for place, text in (*_patterns(file), *(named for test in file.tests for named in tested_names(test))):
        first = text.partition("/")[0]
        if _looks_like_host(first) and _host_of(first) in hosts:
            rest = without_host(text) or "**"
            message = f"{text!r}: begins with the host of a registry, which no client asks for; did you mean {rest!r}?"
            yield file.document.fault(place, message)


def _looks_like_host(segment: str) -> bool:
    return "." in segment or ":" in segment or segment == "localhost"


def _host_of(text: str) -> str:
    """The host without its port."""
    return text.partition(":")[0].lower()


def _patterns(file: PolicyFile) -> Iterator[tuple[Path, str]]:
    placed = [((*rule.place, "repositories"), rule.patterns) for rule in file.rules]
    placed += [((*one.place, "repositories"), one.patterns) for one in file.delegations]
    return (((*place, number), pattern.text) for place, found in placed for number, pattern in enumerate(found))


def tested_names(test: Test) -> Iterator[tuple[Path, str]]:
    """The names and patterns that a test is about, each with its place."""
    match test:
        case AsTest():
            yield from ((one.place, one.scope.resource.name) for one in test.expectations)
        case WhatTest():
            for number, span in enumerate(test.spans):
                for pattern in (span.pattern, *span.but):
                    yield (*test.place, "exactly", number), pattern.text
        case _:
            yield (*test.place, "who_can"), test.scope.resource.name
