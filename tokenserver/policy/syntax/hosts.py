"""Detection of registry hosts in patterns and names, where they never match.

Clients strip the host from an image name before they request a scope, so `registry.example.com/web/**` matches no
request. A host is recognised as in image names, by `is_host`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tokenserver.documents.document import Path
from tokenserver.errors import Fault
from tokenserver.policy.image_names import is_host
from tokenserver.policy.syntax.file import PolicyFile
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest


def host_in(text: str) -> str | None:
    """The host that a pattern or repository name begins with, or None."""
    first, slash, _ = text.partition("/")
    return first if slash and is_host(first) else None


def without_host(text: str) -> str:
    """The pattern or name without its host."""
    return text.partition("/")[2]


def host_remarks(names: Iterable[str]) -> Iterator[str]:
    """A remark for each pattern or name that begins with a host."""
    for name in names:
        host = host_in(name)
        if host is not None:
            rest = without_host(name)
            yield f"{name!r} begins with the host {host}, which token requests never contain; fix: write {rest!r}"


def host_faults(file: PolicyFile, services: Collection[str]) -> Iterator[Fault]:
    """Faults for patterns and names of a file that begin with the host of one of the registries `services`."""
    hosts = {_host_of(service) for service in services if is_host(service)}
    if not hosts:
        return
    for place, text in (*_patterns(file), *(named for test in file.tests for named in tested_names(test))):
        first = text.partition("/")[0]
        if is_host(first) and _host_of(first) in hosts:
            rest = without_host(text) or "**"
            message = (
                f"{text!r}: begins with a registry's host, which token requests never contain; did you mean {rest!r}?"
            )
            yield file.document.fault(place, message)


def _host_of(text: str) -> str:
    """The host without its port."""
    return text.partition(":")[0].lower()


def _patterns(file: PolicyFile) -> Iterator[tuple[Path, str]]:
    placed = [((*rule.place, "repositories"), rule.patterns) for rule in file.rules]
    placed += [((*rule.place, "not"), rule.without) for rule in file.rules]
    placed += [((*one.place, "repositories"), one.patterns) for one in file.delegations]
    return (((*place, number), pattern.text) for place, found in placed for number, pattern in enumerate(found))


def tested_names(test: Test) -> Iterator[tuple[Path, str]]:
    """The names and patterns in a test, each with its place."""
    match test:
        case AsTest():
            yield from ((one.place, one.scope.resource.name) for one in test.expectations)
        case WhatTest():
            for number, span in enumerate(test.spans):
                for pattern in (span.pattern, *span.but):
                    yield (*test.place, "exactly", number), pattern.text
        case _:
            yield (*test.place, "who_can"), test.scope.resource.name
