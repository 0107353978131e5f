"""User codes of logins on devices: eight letters that are easily read out and typed (RFC 8628, section 6.1). Pure."""

from __future__ import annotations

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words arise, and no digits, which look like letters."""

LENGTH = 8

RANDOM_BYTES = 16
"""Random bytes of a code. All codes are equally likely: 20 ** 8 is far below 2 ** 128."""

_MAX_TYPED = 64
_BETWEEN = str.maketrans("", "", " \t\r\n-_.")


def compose_user_code(random: bytes) -> str:
    """The code from `RANDOM_BYTES` bytes of a cryptographic source, without the hyphen with which it is shown."""
    number = int.from_bytes(random, "big")
    letters: list[str] = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(LETTERS))
        letters.append(LETTERS[digit])
    return "".join(letters)


def parse_user_code(typed: str) -> str | None:
    """The code that somebody typed, in any case and with any blanks, hyphens and dots; None if it can be none."""
    code = typed[:_MAX_TYPED].translate(_BETWEEN).upper()
    is_code = len(code) == LENGTH and len(typed) <= _MAX_TYPED and all(one in LETTERS for one in code)
    return code if is_code else None


def spell_user_code(code: str) -> str:
    """The code as people read it: `BCDF-GHJK`."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"
