"""Edits of a policy tree: which changes of files the playground accepts, and the tree with these changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenserver.errors import Fault
from tokenserver.policy.loading.folder import MAX_DEPTH, SUFFIXES

MAX_BYTES = 1024 * 1024
"""The size of all files of an edited tree together, in UTF-8."""

MAX_FILES = 200
"""How many files an edited tree may have."""

_MAX_STEP = 100

Edits = Mapping[str, str | None]
"""By file, relative to the policy folder: the new text, or None for a file that is to be removed."""


def edited(texts: Mapping[str, str], edits: Edits) -> dict[str, str]:
    """The texts with these changes; what is not named stays as it is."""
    changed = {name: text for name, text in edits.items() if text is not None}
    return {**{name: text for name, text in texts.items() if name not in edits}, **changed}


def edit_faults(texts: Mapping[str, str], edits: Edits) -> list[Fault]:
    """Why the tree cannot be examined: names that the policy folder would not read, and too much of it."""
    found = [*_name_faults(texts, edits)]
    tree = edited(texts, edits)
    if len(tree) > MAX_FILES:
        found.append(Fault(".", 0, "", f"has {len(tree)} files, and the playground takes {MAX_FILES}; {_INSTEAD}"))
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in tree.values())
    if size > MAX_BYTES:
        found.append(Fault(".", 0, "", f"has {size:,} bytes, and the playground takes {MAX_BYTES:,}; {_INSTEAD}"))
    return found


_INSTEAD = "fix: compare folders with tokenserver policy diff OLD NEW"


def _name_faults(texts: Mapping[str, str], edits: Edits) -> Iterator[Fault]:
    for name in sorted(edits):
        if name in texts:
            continue
        problem = _name_problem(name)
        if problem is not None:
            yield Fault(name, 0, "", f"{problem}; fix: name it like teams/web.yaml")


def _name_problem(name: str) -> str | None:
    """Why the policy folder would not read a new file of this name; None if it would."""
    *folders, last = name.split("/")
    if not last.lower().endswith(SUFFIXES):
        return f"does not end with {' or '.join(SUFFIXES)}"
    if len(folders) > MAX_DEPTH:
        return f"is deeper than {MAX_DEPTH} folders"
    for step in (*folders, last):
        if not step or step.startswith("."):
            return "has a part that is empty or hidden"
        if len(step) > _MAX_STEP or not step.isprintable():
            return f"has a part with more than {_MAX_STEP} characters, or with one that cannot be printed"
    if any(folder.lower().endswith(SUFFIXES) for folder in folders):
        return "has a folder that is named like a file"
    return None
