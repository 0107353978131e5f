"""A section of docs/compatibility.md: what clients that are libraries or build tools can do, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.libraries import LIBRARIES, LIBRARY_VERBS, Library

Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]
Noted = Callable[[str, list[str]], str]

_HEAD = """
## Libraries and build tools

Against the same registries. *tags* lists a repository's tags. For Renovate a *pull* is a look-up of tags and digest.
What a CI job meets:

* **oras-py** asks for a token once, for `pull`, and keeps it: it cannot push or delete anywhere where tokens carry what
  was asked for. It repeats a refused request for a token five times over two minutes.
* **docker-py** raises no exception when a push is denied: `push` returns the text as a line with `error`.
* **python-dxf** sends credentials over TLS alone; it does not log in at a registry with plain HTTP.
* **Jib** sends credentials over plain HTTP only with `-DsendCredentialsOverHttp=true`.
* **Renovate** exits with 0 whether or not it may read an image; look for the refusal in its log, at level `debug`.

"""

_FACTS = """
What they ask for, and how often: tokens of a pull and of a push that the registry refuses, and requests for a token
during a pull if the password is wrong, or if the server answers 403 or 503. `NAME` is the repository.

"""


def section(table: Table, noted: Noted, notes: Callable[[Sequence[str]], str]) -> str:
    """The section; the functions print a table, a cell with its reason, and the reasons."""
    reasons: list[str] = []
    rows = [
        [kind.label, *(noted(kind.cannot[verb], reasons) if verb in kind.cannot else "yes" for verb in LIBRARY_VERBS)]
        for kind in LIBRARIES
    ]
    able = table(["client", *LIBRARY_VERBS], rows) + notes(reasons)
    heads = [
        "client",
        "scope of a pull",
        "scopes of a push",
        "refused pull",
        "refused push",
        "wrong password",
        "403",
        "503",
    ]
    return _HEAD + able + _FACTS + table(heads, [_facts(kind) for kind in LIBRARIES])


def _facts(kind: type[Library]) -> list[str]:
    facts = kind.facts
    pushes = "none" if "push" in kind.cannot else _numbers(facts.refused_push)
    others = (facts.wrong_password, facts.forbidden, facts.unavailable)
    return [kind.label, _scopes(facts.pull), _scopes(facts.push), str(facts.refused), pushes, *map(str, others)]


def _numbers(numbers: range) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _scopes(scopes: Sequence[str]) -> str:
    return ", then ".join(f"`{scope}`" for scope in scopes) or "none"
