"""The link of a line of the audit trail: its chain, its number there, and now and then a digest. Pure.

It is the last member of the event. Most are `"chain":"ID:NUMBER"`. At least each `GROUP`th is `ID:NUMBER:DIGEST`:
`DIGEST` is the SHA-256 (FIPS 180-4) of the lines of the chain from the last one with a digest to the one before this,
with their links and newlines, in hexadecimal; the first line has that of nothing. So each group proves the one before
it, and the last one is proven by a seal.

After lines that may have been cut off (a full disk, a reader that stopped), it is `ID:NUMBER:DIGEST:COUNT`: the
`COUNT` lines before may be incomplete or missing, and are as if they were not there, for `DIGEST` and for where its
lines begin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GROUP = 256
"""Lines from one with a digest to the next one at most. The first servers had one in each 32nd."""

CHAIN_ID = 8
"""Characters of the random id of a chain: base64url."""

MEMBER = ',"chain":"'
END = '"}'

MAX_MEMBER = 128
"""Bytes that a link adds to a line at most."""

_LINK = re.compile(
    r"([A-Za-z0-9_-]{8}):([1-9][0-9]{0,15})(?::([0-9a-f]{64})(?::([1-9][0-9]{0,15}))?)?",
    re.ASCII,
)
_MEMBER, _END = MEMBER.encode("ascii"), END.encode("ascii")


@dataclass(frozen=True, slots=True)
class Link:
    """A link, read. `digest` is empty if it has none; `cut` lines before it may be incomplete or missing."""

    chain: str
    number: int
    digest: str = ""
    cut: int = 0


def read_link(text: str) -> Link | None:
    """The link of this text; None if it is none."""
    found = _LINK.fullmatch(text)
    if found is None:
        return None
    chain, number, digest, cut = found.groups()
    return Link(chain, int(number), digest or "", int(cut or 0))


def link_text(line: bytes) -> str | None:
    """The text of a line's last member, if that is a link; `line` is an event without its newline."""
    start = line.rfind(_MEMBER, -MAX_MEMBER)
    if start < 0 or not line.endswith(_END):
        return None
    try:
        return line[start + len(_MEMBER) : -len(_END)].decode("ascii")
    except UnicodeDecodeError:
        return None
