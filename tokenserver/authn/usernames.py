"""User names: valid characters, reserved names, and when two names count as the same."""

from __future__ import annotations

import re
import unicodedata

from tokenserver.access_keys import holds_key
from tokenserver.identity import ROBOT_PREFIX, WORKLOAD_PREFIX

MAX_USERNAME = 255
"""Characters, as in policies."""

RESERVED = frozenset({"anonymous", "everyone", "authenticated", "<token>"})
"""Names of sets of users in policies, and the user name that clients send with a token."""

# Identifiers of crypt(5), passlib and RFC 2307, with which no user name of a registry begins or continues.
_HASH = re.compile(
    r"\$(?:[1-7y]|2[abxy]|gy|md5|sha1|apr1|argon2(?:id|i|d)|scrypt|bcrypt-sha256|pbkdf2(?:-[a-z0-9]+)?)\$"
    r"|^!?\{[A-Z][A-Z0-9-]+\}",
    re.ASCII,
)


def typed_name_problem(name: str) -> str | None:
    """Why a login with this name is rejected before any user source is asked, or None.

    Looser than `name_problem`: a directory may accept spellings that are no subject.
    """
    if not name.strip():
        return "the user name is empty"
    if len(name) > MAX_USERNAME:
        return f"the user name is longer than {MAX_USERNAME} characters"
    # The same rule as for names in policies: no control characters, surrogates or invisible characters, and no blank
    # but the ASCII space.
    if not name.isprintable():
        return "the user name contains non-printable characters"
    if is_machine_name(name):
        return "the user name begins like that of a machine"
    if holds_key(name):  # a directory would be asked for it, and write it to its log
        return "the user name is an access key"
    return None


def is_machine_name(name: str) -> bool:
    """Whether the name begins like the subject of a robot or workload, which no user has."""
    return (":" in name or not name.isascii()) and canonical(name).startswith((ROBOT_PREFIX, WORKLOAD_PREFIX))


def name_problem(name: str) -> str | None:
    """Why no user can have this name, or None. The text does not repeat the name."""
    if not name:
        return "the name is empty"
    if len(name) > MAX_USERNAME:
        return f"the name is longer than {MAX_USERNAME} characters"
    if not name.isprintable():
        return "the name contains non-printable characters"
    if name != name.strip():
        return "the name begins or ends with a blank"
    if not unicodedata.is_normalized("NFC", name):
        return "the name is not in Unicode normal form C, in which names are compared"
    if ":" in name or name.startswith("#"):
        return "a name must not hold ':' or begin with '#'"
    # Names are compared literally, so the `$` in Harbor's `robot$web+ci` and Quay's `$oauthtoken` is a character like
    # any other. A wildcard or a variable would read as one in a policy, which therefore cannot name such a user.
    if "*" in name:
        return "a name must not hold '*', a wildcard in policies"
    if "${" in name:
        return "a name must not hold '${', which begins a variable in policies"
    if looks_like_hash(name):
        return "the name looks like a password hash"
    if holds_key(name):
        return "the name looks like an access key"
    if fold(name) in RESERVED:
        return f"the name is reserved, as are {', '.join(sorted(RESERVED))}"
    return None


def looks_like_hash(text: str) -> bool:
    """Whether the text may be or contain a password hash (crypt(5), RFC 2307), and so must not be printed."""
    return _HASH.search(text) is not None


def fold(name: str) -> str:
    """The form in which names that people confuse are equal: `Ann`, `ANN` and full-width letters."""
    return unicodedata.normalize("NFKC", name).casefold()


def canonical(username: str) -> str:
    """The form in which all spellings that a directory may accept for one user are equal: case, width and blanks."""
    return " ".join(fold(username).split())
