"""The format of an htpasswd file: strict parsing, and editing that leaves every other line as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tokenserver.authn.htpasswd.account import ACTIVE, DISABLED, FORM, LOCK, Account, read_comment, spell_comment
from tokenserver.authn.passwords import problem_with
from tokenserver.authn.usernames import fold, looks_like_hash, name_problem
from tokenserver.credentials import Secret
from tokenserver.errors import Fault, LinkedText, LoadError, note, redacted
from tokenserver.printable import shell_word

_BOM = "\ufeff"
_SWAP = r"s/^\([^:]*\):\([^:[:space:]]*\)/\2:\1/"
"""What exchanges the two sides of the first colon of a line, in sed."""


@dataclass(frozen=True, slots=True)
class HtpasswdEntry:
    """One accepted line of a file. `hashed` is without its lock; `is_locked`: no other program can match it."""

    name: str
    line: int
    hashed: Secret
    account: Account = ACTIVE
    is_locked: bool = False


def parse_users(text: str, file: str) -> tuple[HtpasswdEntry, ...]:
    """Parse an htpasswd file: one user per line as `NAME:HASH`; empty lines and lines that begin with # are skipped.

    A comment as in `account.FORM` says that an account is disabled or ends, wherever in the file it is.

    Raises:
        LoadError: all faults. None of them repeats anything that could be a hash.
    """
    faults: list[Fault] = []
    entries: dict[str, HtpasswdEntry] = {}
    twins: dict[str, HtpasswdEntry] = {}
    if text.startswith(_BOM):
        faults.append(line_fault(file, 1, "begins with a byte order mark", _sed(file, r"1s/^\xEF\xBB\xBF//")))
    for number, line in _lines(text.removeprefix(_BOM)):
        entry, found = _parse_line(line, number, file)
        for fault in found:
            note(faults, fault)
        if entry is None:
            continue
        name = entry.name
        first = entries.setdefault(name, entry)
        twin = twins.setdefault(fold(name), entry)
        if first is not entry:
            problem = f"is also on line {first.line}"
            note(faults, line_fault(file, number, problem, users_command("set", name, file), name))
        elif twin is not entry:
            problem = f"differs only in case or width from {twin.name!r} on line {twin.line}"
            note(faults, line_fault(file, number, problem, _sed(file, f"{number}s/:/-{number}:/"), name))
    accounts, found = _accounts(text, file)
    for fault in found:
        note(faults, fault)
    if faults and isinstance(text, LinkedText):
        raise LoadError(redacted(fault, text.target) for fault in faults)
    if faults:
        raise LoadError(faults)
    return tuple(
        replace(entry, account=accounts.get(name, DISABLED if entry.is_locked else ACTIVE))
        for name, entry in entries.items()
    )


def names_in(text: str) -> list[str]:
    """The names on all lines, valid or not."""
    return [_name_on(line) for _, line in _lines(text)]


def with_user(text: str, name: str, hashed: str) -> str:
    """Replace the first line of that name with `name:hashed`, and remove further lines of it.

    Everything else is kept: comments, order, line endings and faults. A new user is appended.
    """
    lines = text.split("\n")
    carriage_return = "\r" if lines[0].endswith("\r") else ""
    wanted = f"{name}:{hashed}{carriage_return}"
    kept: list[str] = []
    is_placed = False
    for line in lines:
        if _name_on(line) != name:
            kept.append(line)
        elif not is_placed:
            kept.append(wanted)
            is_placed = True
    if not is_placed:
        if kept[-1]:  # the last line has no newline
            kept[-1:] = [kept[-1] + carriage_return, ""]
        kept[-1:] = [wanted, ""]
    return "\n".join(kept)


def without_user(text: str, name: str) -> str:
    """Remove the lines of that name, and what is said about its account; the same text if there are none."""
    return "\n".join(line for line in text.split("\n") if name not in {_name_on(line), _account_on(line)[0]})


def account_in(text: str, name: str) -> Account:
    """The account of a user in a file that may have faults; disabled if what is said about it is damaged."""
    said = [account for about, account in map(_account_on, text.split("\n")) if about == name]
    if said:
        return DISABLED if len(said) > 1 or said[0] is None else said[0]
    hashes = [_content(line).partition(":")[2] for line in text.split("\n") if _name_on(line) == name]
    return DISABLED if any(hashed.strip().startswith(LOCK) for hashed in hashes) else ACTIVE


def with_account(text: str, name: str, account: Account) -> str:
    """Say about a user of the file that it has this account, in a comment before its line, and lock or unlock its hash.

    Everything else is kept. Comments about the user elsewhere are removed.
    """
    kept: list[str] = []
    is_placed = account == ACTIVE
    for line in text.split("\n"):
        if _account_on(line)[0] == name:
            continue
        if _name_on(line) != name:
            kept.append(line)
            continue
        before, colon, hashed = line.removeprefix(_BOM).partition(":")
        if not is_placed:
            kept.append(spell_comment(name, account) + ("\r" if line.endswith("\r") else ""))
            is_placed = True
        lock = "" if account == ACTIVE or not colon else LOCK
        kept.append(f"{before}{colon}{lock}{hashed.removeprefix(LOCK)}")
    return "\n".join(kept)


def users_command(verb: str, name: str, file: str, *options: str) -> str:
    """The command `tokenserver users VERB` for a user, with further options, quoted for a shell."""
    place = " ".join(["--file", *map(shell_word, (file, *options))])
    target = f"{place} -- {shell_word(name)}" if name.startswith("-") else f"{shell_word(name)} {place}"
    return f"tokenserver users {verb} {target}"


def _parse_line(line: str, number: int, file: str) -> tuple[HtpasswdEntry | None, list[Fault]]:
    """The entry, where the line has a legal name, and its faults; with any fault, the whole file is rejected."""
    faults: list[Fault] = []
    if line[0] in " \t":
        faults.append(line_fault(file, number, "begins with a blank", _sed(file, f"{number}s/^[[:blank:]]*//")))
        line = line.lstrip(" \t")
        if line.startswith("#"):
            return None, faults
    if line != line.rstrip(" \t"):
        faults.append(line_fault(file, number, "ends with a blank", _sed(file, f"{number}s/[[:space:]]*$//")))
        line = line.rstrip(" \t")
    name, colon, hashed = line.partition(":")
    problem = name_problem(name) if colon else "is not NAME:HASH"
    if problem is not None:
        return None, [*faults, Fault(file, number, "", f"{problem}; {_rename(name, colon, hashed, number, file)}")]
    is_locked = hashed.startswith(LOCK)
    hashed = hashed.removeprefix(LOCK)
    problem = problem_with(hashed)
    if problem is not None:
        faults.append(line_fault(file, number, problem, users_command("set", name, file), name))
    return HtpasswdEntry(name, number, Secret(hashed), is_locked=is_locked), faults


def _rename(name: str, colon: str, hashed: str, line: int, file: str) -> str:
    """How to fix a line without a legal name: the user is renamed, not removed, and other lines keep their numbers.

    The text of the line may be a hash, so no part of it is repeated.
    """
    if not colon and not looks_like_hash(name):
        as_remark = _sed(file, f"{line}s/^/# /")
        return f"fix for a user: {users_command('set', 'NAME', file)}; fix for a remark: {as_remark}"
    if not colon:
        return f"fix: {_sed(file, f'{line}s/^/user-{line}:/')}"
    if looks_like_hash(name) and name_problem(hashed) is None:
        return f"fix: {_sed(file, f'{line}{_SWAP}')}"
    if name.strip() and name_problem(name.strip()) is None:
        return f"fix: {_sed(file, f'{line}s/[[:blank:]]*:/:/')}"
    return f"fix: {_sed(file, f'{line}s/^[^:]*/user-{line}/')}"


def _accounts(text: str, file: str) -> tuple[dict[str, Account], list[Fault]]:
    """What the comments say about accounts, and their faults. A damaged one is a fault, or it would enable its user."""
    faults: list[Fault] = []
    accounts: dict[str, Account] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        said = read_comment(_content(line))
        if said is None:
            continue
        name, account = said
        if not name:
            as_remark = _sed(file, f"{number}s/tokenserver-/tokenserver /I")
            faults.append(line_fault(file, number, f"is not {FORM}", as_remark))
        elif account is None:
            problem = f"the account is neither 'disabled' nor 'until DATE', as in {FORM}"
            faults.append(line_fault(file, number, problem, _settle(name, "disab" in line.lower(), file), name))
        elif name in accounts:
            problem = f"the account is also on line {lines[name]}"
            is_disabled = account.is_disabled or accounts[name].is_disabled
            faults.append(line_fault(file, number, problem, _settle(name, is_disabled, file), name))
        else:
            accounts[name], lines[name] = account, number
    return accounts, faults


def _settle(name: str, is_disabled: bool, file: str) -> str:
    """The command that gives a user one account: disabled only if the file says so, else with an end."""
    options = () if is_disabled else ("--until", "DATE")
    return users_command("disable" if is_disabled else "enable", name, file, *options)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that should contain users, with their numbers and without the CR of a CRLF."""
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r")
        if content.strip(" \t") and not content.startswith("#"):
            yield number, content


def _name_on(line: str) -> str:
    """The user name on a line, as far as it can be recognised; empty if there is none."""
    content = _content(line)
    name = "" if content.startswith("#") else content.partition(":")[0].strip()
    return unicodedata.normalize("NFC", name)


def _account_on(line: str) -> tuple[str, Account | None]:
    """The user whom the comment on a line is about, and the account; an empty name if there is none."""
    return read_comment(_content(line)) or ("", None)


def _content(line: str) -> str:
    return line.removeprefix(_BOM).strip()


def _sed(file: str, script: str) -> str:
    return f"sed -i {shell_word(script)} {shell_word(file)}"


def line_fault(file: str, line: int, problem: str, command: str, name: str = "") -> Fault:
    return Fault(file, line, name, f"{problem}; fix: {command}")
