"""Captures of a rule: principals such as `group:reg-{team}-rw`, whose patterns have the captured part as `${team}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.errors import TokenserverError
from tokenserver.patterns import Capture, Pattern, PatternError, parse_pattern
from tokenserver.policy.model import Principal, Principals
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.syntax.reader import Reader
from tokenserver.policy.terms import parse_group, parse_principal

_CAPTURED = re.compile(r"\{([^{}]*)\}")
_OPENED = re.compile(r"\{\s*(\w+)", re.ASCII)
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_RESERVED = ("user", "group")
_PREFIX = "group:"


class CaptureError(TokenserverError):
    """An invalid principal with a capture; the text says what is expected."""


@dataclass(frozen=True, slots=True)
class CapturingGroup:
    """A principal that is each group whose name begins and ends like this, with a variable for the text between."""

    written: str
    variable: str
    capture: Capture


@dataclass(frozen=True, slots=True)
class Recipients:
    """The clients of a rule.

    Principals with captures are in `written`, as they are in the file; `principals` is then everybody who logs in,
    since every pattern of the rule has the variable, which only members of these groups give a value.
    """

    principals: Principals
    variable: str = ""
    captures: tuple[Capture, ...] = ()
    written: tuple[str, ...] = ()


def parse_recipient(text: str) -> Principal | CapturingGroup:
    """One principal of a rule's `to`, which may have a capture.

    Raises:
        CaptureError: not exactly one capture, no literal text around it, or no legal name in it.
        TermError: not a principal.
    """
    name = text.removeprefix(_PREFIX)
    if name == text or name.startswith('"') or not ("{" in name or "}" in name):
        return parse_principal(text)
    if "${" in name:
        raise CaptureError(f"{text!r}: a capture has no $; fix: write {text.replace('${', '{')}")
    found = _CAPTURED.split(name)
    if len(found) != 3 or "{" in found[0] + found[2] or "}" in found[0] + found[2]:
        raise CaptureError(f"{text!r}: a group has one capture, such as group:reg-{{team}}-rw")
    before, variable, after = found
    if _VARIABLE.fullmatch(variable) is None or variable in _RESERVED:
        problem = "is the name of another variable" if variable in _RESERVED else "is no name for a variable"
        raise CaptureError(
            f"{text!r}: {variable!r} {problem}; fix: write one of a-z 0-9 _, such as group:reg-{{team}}-rw"
        )
    if not before and not after:
        raise CaptureError(f"{text!r}: is any group; fix: write to: [authenticated], and ${{group}} in the patterns")
    parse_group(f"{before}a{after}")
    return CapturingGroup(text, variable, Capture(before, after))


def read_recipients(reader: Reader, content: dict[str, Any], place: Path) -> Recipients | None:
    """The `to` of a rule; None after a fault, or without it."""
    if "to" not in content:
        return None
    faults = len(reader.faults)
    found = reader.terms(content["to"], (*place, "to"), parse_recipient)
    capturing = [one for one in found if isinstance(one, CapturingGroup)]
    principals = principals_of(one for one in found if isinstance(one, Principal))
    if not capturing:
        return Recipients(principals) if len(reader.faults) == faults else None
    variables = list(dict.fromkeys(one.variable for one in capturing))
    if len(capturing) < len(found) or len(variables) > 1:
        reader.fault(
            (*place, "to"),
            f"captures {', '.join(f'{{{one}}}' for one in variables)}, which each principal of the rule has to do; "
            "fix: write a rule of its own for the others",
        )
    if len(reader.faults) > faults:
        return None
    captures = tuple(dict.fromkeys(one.capture for one in capturing))
    written = tuple(dict.fromkeys(one.written for one in capturing))
    return Recipients(principals_of([AUTHENTICATED, ROBOTS, WORKLOADS]), variables[0], captures, written)


def read_repositories(
    reader: Reader, content: dict[str, Any], place: Path, recipients: Recipients | None
) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
    """The patterns under `repositories` and `not`. `recipients` None: they have faults, any variable may be right."""
    known = recipients or Recipients(Principals())
    place_of = {key: (*place, key) for key in ("repositories", "not")}

    def parse(text: str) -> Pattern:
        if text.startswith("!"):
            raise PatternError(f"{text!r}: no pattern takes something away; fix: write not: [{json.dumps(text[1:])}]")
        if recipients is None:
            meant = list(_variables(content.get("to")))
            for other in meant[1:]:
                text = text.replace(f"${{{other}}}", f"${{{meant[0]}}}")
            return parse_pattern(text, meant[0] if meant else "")
        pattern = parse_pattern(text, known.variable, known.captures)
        if known.variable and not pattern.captures:
            raise PatternError(
                f"{text!r}: does not use ${{{known.variable}}}, which the rule captures; "
                "fix: move it to a rule of its own, to the groups by name"
            )
        return pattern

    patterns = reader.terms(content["repositories"], place_of["repositories"], parse)
    without = reader.terms(content["not"], place_of["not"], _parse_without) if "not" in content else []
    return tuple(patterns), tuple(without)


def _variables(value: Any) -> Iterator[str]:
    """The names in braces in principals with faults."""
    for item in value if isinstance(value, list) else [value]:
        texts = item.values() if isinstance(item, dict) else [item]
        for text in texts:
            yield from _OPENED.findall(text) if isinstance(text, str) else ()


def _parse_without(text: str) -> Pattern:
    if "$" in text:
        raise PatternError(f"{text!r}: has no variables here; fix: write * in their place")
    return parse_pattern(text)
