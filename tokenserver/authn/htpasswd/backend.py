"""Users in an htpasswd file: its format, strictly read and edited, and the backend that vouches for its users."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tokenserver.authn.htpasswd.verify import ANYWHERE, Decoy, Room, checked
from tokenserver.authn.passwords import describe, problem_with, warning_about
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.authn.usernames import MAX_USERNAME
from tokenserver.credentials import Password, Secret
from tokenserver.documents.files import read_text, text_of
from tokenserver.errors import Fault, InvalidCredentials, LinkedText, LoadError, note, redacted
from tokenserver.identity import Identity, Kind
from tokenserver.printable import shell_word

RESERVED = frozenset({"anonymous", "everyone", "authenticated", "<token>"})
"""Sets of people in policies, and what clients send as the user beside a token."""

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class HtpasswdEntry:
    """One accepted line of a file."""

    name: str
    line: int
    hashed: Secret


class Htpasswd:
    """The users of one file, as an `Authenticator`.

    `users` are their names, `file` is the path as the operator wrote it, `decoy` does the work of a wrong password
    for an unknown user, `warnings` are the lines that work but deserve to be made anew, `lines` are where the users
    stand. `room` bounds how much is hashed at once; with `once`, other workers are asked for what they know.
    """

    def __init__(
        self, name: str, file: str, entries: Sequence[HtpasswdEntry], room: Room = ANYWHERE, once: Once | None = None
    ) -> None:
        self.name = name
        self.file = file
        self.users = frozenset(entry.name for entry in entries)
        self.lines = {entry.name: entry.line for entry in entries}
        self.warnings = tuple(_warnings(entries, file))
        self.decoy = Decoy.like(name, [entry.hashed.reveal() for entry in entries], room, once)
        self._hashes = {entry.name: entry.hashed for entry in entries}
        self._room = room
        self._once = once

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`. A name is compared exactly, letter by letter."""
        hashed = self._hashes.get(credentials.username)
        if hashed is None:
            return None
        if not checked(self.name, credentials, hashed.reveal(), self._room, self._once):
            raise InvalidCredentials("wrong password")
        return Identity(credentials.username, Kind.PASSWORD, self.name)

    def kind_of(self, username: str) -> str | None:
        """The kind and the cost of the user's hash; None for a user who is not mine."""
        hashed = self._hashes.get(username)
        return None if hashed is None else describe(hashed.reveal())

    def stamp(self, username: str) -> bytes:
        """The user's hash; empty for a user who is not mine. It is as secret as the line it comes from."""
        hashed = self._hashes.get(username)
        return b"" if hashed is None else hashed.reveal().encode("ascii")


class HtpasswdFile:
    """A file that is loaded again and again; while its text is the same, so are the users. See `Htpasswd`."""

    def __init__(self, path: Path, name: str, room: Room = ANYWHERE, once: Once | None = None) -> None:
        self._path = path
        self._make = partial(Htpasswd, name, str(path), room=room, once=once)
        self._known: tuple[str, Htpasswd] | None = None

    def load(self, content: bytes | None = None) -> Htpasswd:
        """Its users now, or those in `content`, which has been read from it already.

        Raises:
            LoadError: as `load_htpasswd`; what is known stays as it was.
        """
        text = read_text(self._path) if content is None else text_of(content, self._path)
        if self._known is None or self._known[0] != text:
            self._known = (text, self._make(parse_users(text, str(self._path))))
        return self._known[1]


def load_htpasswd(path: Path, name: str) -> Htpasswd:
    """The users of the file at `path`, which audit events call the source `name`. A file without users is one.

    Raises:
        LoadError: every fault of the file, each with its line and the command that mends it; one is enough for the
            whole file to be refused, since nobody should find out at a login.
    """
    return HtpasswdFile(path, name).load()


def parse_users(text: str, file: str) -> tuple[HtpasswdEntry, ...]:
    """The users of an htpasswd file: a line `NAME:HASH` each; empty lines and those that begin with # are skipped.

    Raises:
        LoadError: all faults. None repeats a hash, or anything that could be one.
    """
    faults: list[Fault] = []
    entries: dict[str, HtpasswdEntry] = {}
    twins: dict[str, HtpasswdEntry] = {}
    if text.startswith(_BOM):
        faults.append(_fault(file, 1, "begins with a byte order mark", _sed(file, r"1s/^\xEF\xBB\xBF//")))
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
            problem = f"stands on line {first.line} as well"
            note(faults, _fault(file, number, problem, users_command("set", name, file), name))
        elif twin is not entry:
            problem = f"differs only in case or width from {twin.name!r} on line {twin.line}; keep one of the two"
            note(faults, _fault(file, number, problem, users_command("delete", name, file), name))
    if faults and isinstance(text, LinkedText):
        raise LoadError(redacted(fault, text.target) for fault in faults)
    if faults:
        raise LoadError(faults)
    return tuple(entries.values())


def name_problem(name: str) -> str | None:
    """Why nobody can be called so, without repeating the name, or None where it will do."""
    if not name:
        return "the name is empty"
    if len(name) > MAX_USERNAME:
        return f"the name is longer than {MAX_USERNAME} characters"
    if not name.isprintable():
        return "the name holds characters that cannot be printed"
    if name != name.strip():
        return "the name begins or ends with a blank"
    if not unicodedata.is_normalized("NFC", name):
        return "the name is not in Unicode normal form C, in which names are compared"
    if ":" in name or name.startswith("#"):
        return "a name must not hold ':' or begin with '#'"
    # `robot$…` will be robots; policies can name nobody who has a wildcard or a variable in the name.
    if "$" in name or "*" in name:
        return "a name must not hold '$' or '*'"
    if fold(name) in RESERVED:
        return f"the name is reserved, as are {', '.join(sorted(RESERVED))}"
    return None


def fold(name: str) -> str:
    """What two names have in common that people take for the same: `Ann`, `ANN` and full-width letters."""
    return unicodedata.normalize("NFKC", name).casefold()


def names_in(text: str) -> list[str]:
    """The names on all lines, right or wrong."""
    return [_name_on(line) for _, line in _lines(text)]


def with_user(text: str, name: str, hashed: str) -> str:
    """The text with `name:hashed` in place of the first line of that name, and without further lines of it.

    Everything else stays as it is: comments, order, line ends and faults. A new user comes last.
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
        if kept[-1]:  # the last line has no end
            kept[-1:] = [kept[-1] + carriage_return, ""]
        kept[-1:] = [wanted, ""]
    return "\n".join(kept)


def without_user(text: str, name: str) -> str:
    """The text without the lines of that name; the same text where there are none."""
    return "\n".join(line for line in text.split("\n") if _name_on(line) != name)


def users_command(verb: str, name: str, file: str) -> str:
    """The command that does `verb` to a user, ready for a shell."""
    place = f"--file {shell_word(file)}"
    target = f"{place} -- {shell_word(name)}" if name.startswith("-") else f"{shell_word(name)} {place}"
    return f"tokenserver users {verb} {target}"


def _parse_line(line: str, number: int, file: str) -> tuple[HtpasswdEntry | None, list[Fault]]:
    """The entry, where the line has a legal name, with the faults; with any, no entry of the file is used."""
    faults: list[Fault] = []
    # What cannot be told apart from a hash is never repeated; such a line is put out of action, not removed, so that
    # the numbers of the other lines stay true while the file is mended.
    comment_out = _sed(file, f"{number}s/^/#/")
    if line[0] in " \t":
        faults.append(_fault(file, number, "begins with a blank", _sed(file, f"{number}s/^[[:blank:]]*//")))
        line = line.lstrip(" \t")
        if line.startswith("#"):
            return None, faults
    if line != line.rstrip(" \t"):
        faults.append(_fault(file, number, "ends with a blank", _sed(file, f"{number}s/[[:space:]]*$//")))
        line = line.rstrip(" \t")
    name, colon, hashed = line.partition(":")
    if not colon:
        return None, [*faults, _fault(file, number, "is not NAME:HASH", comment_out)]
    problem = name_problem(name)
    if problem is not None:
        return None, [*faults, _fault(file, number, problem, comment_out)]
    problem = problem_with(hashed)
    if problem is not None:
        faults.append(_fault(file, number, problem, users_command("set", name, file), name))
    return HtpasswdEntry(name, number, Secret(hashed)), faults


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that should be users, with their numbers and without the CR of a CRLF."""
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r")
        if content.strip(" \t") and not content.startswith("#"):
            yield number, content


def _name_on(line: str) -> str:
    """Whom a line is about, as well as can be told; nobody: the empty name."""
    content = line.removeprefix(_BOM).strip()
    name = "" if content.startswith("#") else content.partition(":")[0].strip()
    return unicodedata.normalize("NFC", name)


def _warnings(entries: Iterable[HtpasswdEntry], file: str) -> Iterator[Fault]:
    for entry in entries:
        warning = warning_about(entry.hashed.reveal())
        if warning is not None:
            yield _fault(file, entry.line, warning, users_command("set", entry.name, file), entry.name)


def _sed(file: str, script: str) -> str:
    return f"sed -i {shell_word(script)} {shell_word(file)}"


def _fault(file: str, line: int, problem: str, command: str, name: str = "") -> Fault:
    return Fault(file, line, name, f"{problem}; mend it with: {command}")
