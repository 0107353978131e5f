"""Password hashes: creation, verification and strength. The only module that hashes passwords and imports passlib."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from passlib.hash import argon2, bcrypt, sha256_crypt, sha512_crypt

from tokenserver.errors import TokenserverError

COST = 10
"""bcrypt's cost for new hashes. 10 is OWASP's minimum and Go's default. Two cores check 33 logins a second
at 10 and 8 at 12, and clients give up after 15 seconds; `htpasswd -B -C 12` writes lines with cost 12."""

MIN_CHARACTERS = 12
"""Of a new password. NIST SP 800-63B-4, section 3.1.1.2, demands 8 in every case, and 15 where a password is the only
factor; logins are throttled here as well."""

MAX_COST = 14
MAX_BCRYPT_BYTES = 72

MAX_ROUNDS = 1_000_000
"""sha-crypt. Ansible and passlib write 656,000, which takes half a second; more would be a denial of service."""

MAX_MEMORY = 256 * 1024
"""argon2's memory in KiB, allocated by each concurrent login."""

MAX_MEMORY_TIMES_PASSES = 1024 * 1024
MAX_LANES = 16

_GOOD_COST = 10
_GOOD_ROUNDS = 5_000  # the format's own default, and that of htpasswd and mkpasswd
_SLOW_ROUNDS = 100_000
_GOOD_MEMORY_TIMES_PASSES = 35_840  # the smallest that OWASP recommends: 7 MiB, five passes

_UNLIMITED = 4096  # passlib's own limit; the chain accepts far less

_SURROGATE = re.compile("[\ud800-\udfff]")

_BCRYPT = re.compile(r"(?P<head>\$2[aby]\$(?P<cost>[0-9]{2})\$)(?P<tail>[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31})")
_SHA_CRYPT = re.compile(
    r"(?P<head>\$(?P<kind>[56])\$(?:rounds=(?P<rounds>[1-9][0-9]{3,8})\$)?)"
    r"(?P<tail>[./A-Za-z0-9]{1,16}\$(?P<digest>[./A-Za-z0-9]+))"
)
_ARGON2ID = re.compile(
    r"(?P<head>\$argon2id\$v=19\$m=(?P<memory>[1-9][0-9]{0,8}),t=(?P<passes>[1-9][0-9]{0,8}),p=(?P<lanes>[1-9][0-9]{0,4})\$)"
    r"(?P<tail>(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<digest>[A-Za-z0-9+/]{22,86}))"
)
_SHA_CRYPT_DIGEST = {"5": 43, "6": 86}

# Rejected hashes by their form; the first match applies. These texts must not contain any part of the hash.
_REFUSED = tuple(
    (re.compile(pattern, re.DOTALL), problem)
    for pattern, problem in (
        (r"", "the password is empty"),
        (
            r"\$apr1\$.*",
            "apr1 (MD5) is too weak; htpasswd writes it without -B, and a registry's own htpasswd refuses it as well",
        ),
        (r"\$1\$.*", "MD5-crypt is too weak"),
        (r"\{SHA\}.*", "SHA-1 (htpasswd -s) is too weak"),
        (r"\{SSHA\}.*", "SHA-1, also with salt, is too weak"),
        (r"\$2x\$.*", "bcrypt 2x comes from an implementation with a known bug"),
        (r"\$2[aby]?\$.*", "this is a damaged bcrypt hash"),
        (r"\$argon2[id]\$.*", "of the argon2 variants, only argon2id is accepted"),
        (r"\$argon2id\$.*", "this is a damaged argon2id hash, or one of an old version"),
        (r"\$[56]\$.*", "this is a damaged sha-crypt hash"),
        (r"\$.*", "this kind of hash is not supported"),
        (r"[./0-9A-Za-z]{13}|_[./0-9A-Za-z]{19}", "DES crypt (htpasswd -d) is too weak"),
        (r".*", "the password is in plain text"),
    )
)


class HashingFailed(TokenserverError):
    """A hash could not be computed for lack of memory or threads; the password was not checked."""


@dataclass(frozen=True, slots=True)
class _Hash:
    """A parsed hash. `head` holds its kind and cost, `tail` its salt and digest."""

    handler: Any
    description: str
    head: str
    tail: str
    fill: str
    max_bytes: int = _UNLIMITED
    warning: str | None = None


# Loaded at import, because passlib modifies its classes when it loads a backend, and first logins may be concurrent.
for _handler in (bcrypt, argon2):
    _handler.get_backend()


def hash_password(password: str) -> str:
    """Hash a new password with bcrypt.

    Raises:
        ValueError: the password cannot be hashed; the text is for the operator and does not repeat it.
    """
    if not password:
        raise ValueError("a password must not be empty")
    try:
        secret = password.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a password must be UTF-8 text") from None
    if b"\0" in secret:
        raise ValueError("a password must not contain a NUL character")
    if len(secret) > MAX_BCRYPT_BYTES:
        raise ValueError(f"a password must not be longer than {MAX_BCRYPT_BYTES} bytes (this one has {len(secret)})")
    hashed: str = bcrypt.using(rounds=COST).hash(secret)
    return hashed


def weakness(password: str) -> str | None:
    """Why a new password is easy to guess, without repeating any of it, or None."""
    if len(password) < MIN_CHARACTERS:
        return f"the password has {len(password)} characters, which is quick to guess; {MIN_CHARACTERS} are required"
    return None


def verify(password: str, hashed: str) -> bool:
    """Whether `password` matches `hashed`, compared in constant time.

    The work depends only on the hash: a password that does not fit the hash (empty, with a NUL, over bcrypt's 72
    bytes, not encodable) is truncated and hashed as well, and never matches. A hash rejected by `problem_with` never
    matches either.

    Raises:
        HashingFailed: memory is short. No client input raises an error.
    """
    parsed = _parse(hashed)
    if isinstance(parsed, str):
        return False
    secret = password.encode("utf-8", "surrogatepass")
    fits = 0 < len(secret) <= parsed.max_bytes and b"\0" not in secret and _SURROGATE.search(password) is None
    cut = secret.replace(b"\0", b"?")[: parsed.max_bytes]
    try:
        is_right = bool(parsed.handler.verify(cut, hashed))
    except (ValueError, MemoryError):
        # passlib's message contains the hash, so neither it nor its traceback may propagate.
        raise HashingFailed("the hash could not be computed; memory is short") from None
    return is_right and fits


def problem_with(hashed: str) -> str | None:
    """Why a hash is rejected, without repeating any of it, or None if it is accepted."""
    parsed = _parse(hashed)
    return parsed if isinstance(parsed, str) else None


def warning_about(hashed: str) -> str | None:
    """Why an accepted hash should be replaced, or None."""
    parsed = _parse(hashed)
    return None if isinstance(parsed, str) else parsed.warning


def describe(hashed: str) -> str:
    """The kind and the cost of an accepted hash, such as `bcrypt, cost 10`; `refused` for a rejected one."""
    parsed = _parse(hashed)
    return "refused" if isinstance(parsed, str) else parsed.description


def decoy_like(hashed: str | None) -> str:
    """A hash that takes the same work as `hashed` (None: as a new hash) and matches no known password.

    Raises:
        ValueError: `problem_with` rejects the hash.
    """
    if hashed is None:
        return f"$2b${COST:02}${'.' * 53}"
    parsed = _parse(hashed)
    if isinstance(parsed, str):
        raise ValueError(parsed)  # noqa: TRY004 - the value is wrong, not its type
    return parsed.head + re.sub(r"[^$]", parsed.fill, parsed.tail)


def _parse(hashed: str) -> _Hash | str:
    """The parsed hash, or why it is rejected."""
    if matched := _BCRYPT.fullmatch(hashed):
        return _bcrypt(matched)
    matched = _SHA_CRYPT.fullmatch(hashed)
    if matched and len(matched["digest"]) == _SHA_CRYPT_DIGEST[matched["kind"]]:
        return _sha_crypt(matched)
    matched = _ARGON2ID.fullmatch(hashed)
    if matched and _is_base64(matched["salt"]) and _is_base64(matched["digest"]):
        return _argon2id(matched)
    return next(problem for pattern, problem in _REFUSED if pattern.fullmatch(hashed))


def _is_base64(text: str) -> bool:
    """Whether argon2 can decode it: no padding, and no non-zero trailing bits."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
    return base64.b64encode(raw).decode("ascii").rstrip("=") == text


def _bcrypt(matched: re.Match[str]) -> _Hash | str:
    cost = int(matched["cost"])
    if cost < 4:
        return "this is a damaged bcrypt hash"
    if cost > MAX_COST:
        return f"bcrypt cost {cost} takes too long to check; the maximum is {MAX_COST}"
    warning = f"bcrypt cost {cost} is quick to guess; {_GOOD_COST} or more is advised" if cost < _GOOD_COST else None
    return _Hash(
        bcrypt, f"bcrypt, cost {cost}", matched["head"], matched["tail"], ".", MAX_BCRYPT_BYTES, warning=warning
    )


def _sha_crypt(matched: re.Match[str]) -> _Hash | str:
    name, handler = ("sha256-crypt", sha256_crypt) if matched["kind"] == "5" else ("sha512-crypt", sha512_crypt)
    rounds = int(matched["rounds"] or 5000)
    if rounds > MAX_ROUNDS:
        return f"{name} with {rounds} rounds takes too long to check; the maximum is {MAX_ROUNDS}"
    warning = None
    if rounds < _GOOD_ROUNDS:
        warning = f"{name} with {rounds} rounds is quick to guess; {_GOOD_ROUNDS} or more is advised"
    elif rounds > _SLOW_ROUNDS:
        warning = f"{name} with {rounds} rounds slows every other request down while it is checked; bcrypt does not"
    return _Hash(handler, f"{name}, {rounds} rounds", matched["head"], matched["tail"], ".", warning=warning)


def _argon2id(matched: re.Match[str]) -> _Hash | str:
    memory, passes, lanes = (int(matched[name]) for name in ("memory", "passes", "lanes"))
    if memory > MAX_MEMORY:
        return f"argon2id with {memory} KiB takes too much memory to check; the maximum is {MAX_MEMORY}"
    if memory * passes > MAX_MEMORY_TIMES_PASSES:
        return f"argon2id with {memory} KiB and {passes} passes takes too long to check"
    if lanes > MAX_LANES:
        return f"argon2id with parallelism {lanes} takes too many threads to check; the maximum is {MAX_LANES}"
    if memory < 8 * lanes:
        return "this is a damaged argon2id hash, or one of an old version"
    warning = None
    if memory * passes < _GOOD_MEMORY_TIMES_PASSES:
        warning = f"argon2id with {memory} KiB and {passes} passes is quick to guess; 19456 KiB and 2 are advised"
    description = f"argon2id, {memory} KiB, {passes} passes, parallelism {lanes}"
    return _Hash(argon2, description, matched["head"], matched["tail"], "A", warning=warning)
