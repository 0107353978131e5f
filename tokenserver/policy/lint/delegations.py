"""Lint rules for delegations: one without a contact, where others have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding
from tokenserver.policy.model import PolicySet


def delegation_findings(policies: PolicySet, files: Sequence[LintedFile]) -> Iterator[LocatedFinding]:
    """Delegations whose owners users cannot reach, in policies that give a contact for others."""
    if not any(owner.contact for owner in policies.owners):
        return
    documents = {file.name: file.document for file in files}
    for owner in policies.owners:
        if owner.contact is None and owner.file in documents:
            names = ", ".join(pattern.text for pattern in owner.patterns)
            text = f"{names} is delegated without a contact, unlike other delegations; fix: add contact: to the entry"
            yield owner.file, documents[owner.file].line(owner.place), "TS117", text
