"""The link of a line of the audit trail: its chain, its number there, and the digest of the line before. Pure.

It is the last member of the event, `"chain":"ID:NUMBER:PREVIOUS"`. `PREVIOUS` is the digest of the line before: the
BLAKE2b (RFC 7693) of the whole line, with its own link and its newline, of 24 bytes in base64. So a line is proven by
the line after it, and the last one by a seal.

After lines that may have been cut off (a killed process, a full disk), it is `ID:NUMBER:PREVIOUS:COUNT:BASE`: the
`COUNT` lines before may be incomplete or missing, and `BASE` is the digest of the last line before them.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass
from hashlib import blake2b

DIGEST = 32
"""Characters of a digest."""

NOTHING = b"A" * DIGEST
"""The digest before the first line."""

CHAIN_ID = 8
"""Characters of the random id of a chain: base64url."""

MEMBER = b',"chain":"'
END = b'"}'

MAX_MEMBER = 128
"""Bytes that a link adds to a line at most."""

new_digest = blake2b(digest_size=DIGEST * 3 // 4).copy
"""Begins a digest. A copy takes half the time of a new one; SHA-256 takes as long, and more when it is not in the cache
of the processor, because it is OpenSSL's."""

_LINK = re.compile(
    r"([A-Za-z0-9_-]{8}):([1-9][0-9]{0,15}):([A-Za-z0-9+/]{32})(?::([1-9][0-9]{0,15}):([A-Za-z0-9+/]{32}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link, read. `cut` lines before it may be incomplete or missing; `base` is the digest before them, if any."""

    chain: str
    number: int
    previous: str
    cut: int = 0
    base: str = ""


def digest_of(line: bytes) -> bytes:
    """The digest of a whole line, newline included."""
    digest = new_digest()
    digest.update(line)
    return b2a_base64(digest.digest(), newline=False)


def read_link(text: str) -> Link | None:
    """The link of this text; None if it is none."""
    found = _LINK.fullmatch(text)
    if found is None:
        return None
    chain, number, previous, cut, base = found.groups()
    return Link(chain, int(number), previous, int(cut or 0), base or "")


def link_text(line: bytes) -> str | None:
    """The text of a line's last member, if that is a link; `line` is an event without its newline."""
    start = line.rfind(MEMBER, -MAX_MEMBER)
    if start < 0 or not line.endswith(END):
        return None
    try:
        return line[start + len(MEMBER) : -len(END)].decode("ascii")
    except UnicodeDecodeError:
        return None
