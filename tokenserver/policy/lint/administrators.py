"""Lint rules for `administrators:`: names that mean nobody, and access keys that nobody could manage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenserver.documents.document import parse
from tokenserver.policy.group_names import is_root
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding, UnknownNames, name_findings
from tokenserver.policy.model import PolicySet, Principal, Principals
from tokenserver.policy.terms import parse_principal

_KEY = "administrators"
_NONE = frozenset[str]()


def administrator_findings(
    policies: PolicySet,
    files: Sequence[LintedFile],
    *,
    have_groups: bool,
    access_keys: bool | None,
    unknown: UnknownNames | None,
) -> Iterator[LocatedFinding]:
    """Findings at the line of each administrator, and one in the first file if there has to be one and is none.

    `have_groups`: a user source may have groups that the files do not define. `access_keys`: whether people can have
    access keys (None: unknown). `unknown` has what the user sources say about names (None: they were not queried).
    """
    for file, line, one in _entries(files):
        groups = frozenset({one.name} if one.sort == "group" else ()) - policies.groups.by_name.keys()
        if groups and not have_groups:
            text = f"undefined group {one.name!r}, which has no members; fix: correct the name, or define the group"
            yield file, line, "TS106", f"{_KEY}: {text}"
        if unknown is not None:
            users = frozenset({one.name}) if one.sort == "user" else _NONE
            yield from name_findings(file, line, _KEY, (users, groups), unknown)
    if access_keys and policies.administrators == Principals():
        first = next(file for file in files if is_root(file.name))
        text = "people can have access keys, and there is no administrator who could end them through the server"
        yield first.name, 1, "TS136", f'{text}; fix: add {_KEY}: ["group:ops"] with a group of yours'


def _entries(files: Sequence[LintedFile]) -> Iterator[tuple[str, int, Principal]]:
    for file in files:
        if (_KEY,) in file.document.lines:
            content = file.document.value or parse(file.text, file.name).value  # compiling does not keep it
            for number, text in enumerate(content[_KEY]):
                yield file.name, file.document.line((_KEY, number)), parse_principal(text)
