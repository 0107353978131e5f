"""htpasswd files: what is read, what is refused and with which command to mend it, and how users are verified."""

from __future__ import annotations

import re
import shlex
import statistics
import subprocess
import time
from pathlib import Path

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import EqualWork
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.backend import (
    Htpasswd,
    HtpasswdEntry,
    HtpasswdFile,
    fold,
    load_htpasswd,
    name_problem,
    names_in,
    parse_users,
    users_command,
    with_user,
    without_user,
)
from tokenserver.authn.passwords import HashingFailed, describe, problem_with, verify
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind


def hashed(text: str = "secret", cost: int = 4) -> str:
    """A bcrypt hash, cheap enough for tests."""
    return bcrypt.hashpw(text.encode(), bcrypt.gensalt(cost)).decode()


GOOD = hashed()
APR1 = "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00"
ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
SHA512 = "$6$rounds=1000$salt$" + "." * 86


def faults_of(text: str) -> list[str]:
    """The faults as they are shown."""
    try:
        parse_users(text, "users")
    except LoadError as error:
        return [str(fault) for fault in error.faults]
    return []


def credentials(username: str, text: str = "secret") -> Password:
    """A user with a password."""
    return Password(username, Secret(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="empty file"),
        pytest.param("\n\n", [], id="empty lines"),
        pytest.param("  \t\n", [], id="a line of blanks"),
        pytest.param("# nobody\n#ann:secret\n", [], id="comments"),
        pytest.param(f"ann:{GOOD}", [("ann", 1)], id="no newline at the end"),
        pytest.param(f"ann:{GOOD}\nbob:{GOOD}\n", [("ann", 1), ("bob", 2)], id="two users"),
        pytest.param(f"ann:{GOOD}\r\n\r\n# x\r\nbob:{GOOD}\r\n", [("ann", 1), ("bob", 4)], id="CRLF"),
        pytest.param(f"zoë:{GOOD}\n", [("zoë", 1)], id="not ASCII"),
        pytest.param(f"ann smith:{GOOD}\n", [("ann smith", 1)], id="a blank inside"),
        pytest.param(f"ann@example.com:{GOOD}\n", [("ann@example.com", 1)], id="a mail address"),
        pytest.param(f"{'a' * 255}:{GOOD}\n", [("a" * 255, 1)], id="255 characters"),
        pytest.param(f"ann:{ARGON2}\nbob:{SHA512}\n", [("ann", 1), ("bob", 2)], id="other kinds"),
    ],
)
def test_what_is_read(text: str, expected: list[tuple[str, int]]) -> None:
    """Users with their lines, in the order of the file."""
    assert [(entry.name, entry.line) for entry in parse_users(text, "users")] == expected


MEND_ANN = "mend it with: tokenserver users set ann --file users"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(
            f"ann:{APR1}\n",
            [
                (
                    "users:1: ann: apr1 (MD5) is too weak; htpasswd writes it without -B, and a registry's own htpasswd"
                    f" refuses it as well; {MEND_ANN}"
                ),
            ],
            id="apr1",
        ),
        pytest.param("ann:secret\n", [f"users:1: ann: the password is in plain text; {MEND_ANN}"], id="plain"),
        pytest.param("ann:\n", [f"users:1: ann: the password is empty; {MEND_ANN}"], id="empty"),
        pytest.param(
            "ann: \n",
            [
                "users:1: ends with a blank; mend it with: sed -i '1s/[[:space:]]*$//' users",
                f"users:1: ann: the password is empty; {MEND_ANN}",
            ],
            id="a blank for a hash",
        ),
        pytest.param(
            "ann:rqXexS6ZhobKA\n", [f"users:1: ann: DES crypt (htpasswd -d) is too weak; {MEND_ANN}"], id="DES"
        ),
        pytest.param(
            "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
            [f"users:1: ann: SHA-1 (htpasswd -s) is too weak; {MEND_ANN}"],
            id="SHA-1",
        ),
        pytest.param(
            f"ann:$2y$31${'.' * 53}\n",
            [f"users:1: ann: bcrypt cost 31 takes too long to check; 14 is the most; {MEND_ANN}"],
            id="cost 31",
        ),
        pytest.param(
            f"ann:{GOOD}\nbob:{GOOD}\nann:{GOOD}\n",
            [f"users:3: ann: stands on line 1 as well; {MEND_ANN}"],
            id="duplicate",
        ),
        pytest.param(
            f"ann:{GOOD}\nANN:{GOOD}\n",
            [
                (
                    "users:2: ANN: differs only in case or width from 'ann' on line 1; keep one of the two;"
                    " mend it with: tokenserver users delete ANN --file users"
                ),
            ],
            id="case twins",
        ),
        pytest.param(
            f"ann:{GOOD}\n\uff41nn:{GOOD}\n",
            [
                (
                    "users:2: \uff41nn: differs only in case or width from 'ann' on line 1; keep one of the two;"
                    " mend it with: tokenserver users delete '\uff41nn' --file users"
                ),
            ],
            id="width twins",
        ),
        pytest.param(
            f"\ufeffann:{GOOD}\n",
            [r"users:1: begins with a byte order mark; mend it with: sed -i '1s/^\xEF\xBB\xBF//' users"],
            id="BOM",
        ),
        pytest.param(
            f"# x\n ann:{GOOD}\n",
            ["users:2: begins with a blank; mend it with: sed -i '2s/^[[:blank:]]*//' users"],
            id="leading blank",
        ),
        pytest.param(
            "\t# x\n",
            ["users:1: begins with a blank; mend it with: sed -i '1s/^[[:blank:]]*//' users"],
            id="a comment that does not begin the line",
        ),
        pytest.param(
            f"ann:{GOOD} \r\n",
            ["users:1: ends with a blank; mend it with: sed -i '1s/[[:space:]]*$//' users"],
            id="trailing blank",
        ),
        pytest.param("ann\n", ["users:1: is not NAME:HASH; mend it with: sed -i '1s/^/#/' users"], id="no colon"),
        pytest.param(f":{GOOD}\n", ["users:1: the name is empty; mend it with: sed -i '1s/^/#/' users"], id="no name"),
        pytest.param(
            f"ann :{GOOD}\n",
            ["users:1: the name begins or ends with a blank; mend it with: sed -i '1s/^/#/' users"],
            id="a blank behind the name",
        ),
        pytest.param(
            f"a\u0308nn:{GOOD}\n",
            [
                (
                    "users:1: the name is not in Unicode normal form C, in which names are compared;"
                    " mend it with: sed -i '1s/^/#/' users"
                ),
            ],
            id="not NFC",
        ),
        pytest.param(
            f"an\rn:{GOOD}\n",
            ["users:1: the name holds characters that cannot be printed; mend it with: sed -i '1s/^/#/' users"],
            id="CR inside",
        ),
        pytest.param(
            f"anonymous:{GOOD}\n",
            [
                (
                    "users:1: the name is reserved, as are <token>, anonymous, authenticated, everyone;"
                    " mend it with: sed -i '1s/^/#/' users"
                ),
            ],
            id="reserved",
        ),
        pytest.param(
            f"{GOOD}:ann\n",
            ["users:1: a name must not hold '$' or '*'; mend it with: sed -i '1s/^/#/' users"],
            id="the wrong way round",
        ),
        pytest.param(
            f"\ufeff ann:x\nbob\nann:{GOOD}\n",
            [
                "users:1: begins with a blank; mend it with: sed -i '1s/^[[:blank:]]*//' users",
                r"users:1: begins with a byte order mark; mend it with: sed -i '1s/^\xEF\xBB\xBF//' users",
                f"users:1: ann: the password is in plain text; {MEND_ANN}",
                "users:2: is not NAME:HASH; mend it with: sed -i '2s/^/#/' users",
                f"users:3: ann: stands on line 1 as well; {MEND_ANN}",
            ],
            id="all at once",
        ),
    ],
)
def test_what_is_refused(text: str, faults: list[str]) -> None:
    """Every fault with its line, what it is, and the command that mends it."""
    assert faults_of(text) == faults


@pytest.mark.parametrize("good", [GOOD, ARGON2, SHA512], ids=["bcrypt", "argon2id", "sha512-crypt"])
def test_one_refused_line_refuses_the_file(good: str) -> None:
    """Nobody of a file with a weak line can log in, so that it is found at the start."""
    assert faults_of(f"ann:{good}\n") == []
    assert faults_of(f"ann:{good}\nbob:secret\n") != []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(APR1, id="a hash alone"),
        pytest.param(f"{APR1}:ann", id="a hash in place of the name"),
        pytest.param(f"ann:{APR1}", id="a refused hash"),
        pytest.param(f"{APR1}:{APR1}", id="two hashes"),
        pytest.param(f"ann:x:{APR1}", id="a third field"),
        pytest.param(f" {APR1} :", id="blanks around it"),
        pytest.param(f"ann:{APR1}\nann:{APR1}", id="twice"),
        pytest.param(f"{APR1[:12]}\u00a0{APR1[12:]}:x", id="with something invisible"),
    ],
)
def test_faults_never_repeat_a_hash(text: str) -> None:
    """Nothing that could be a hash or a password gets into a log."""
    shown = "\n".join(faults_of(text))
    assert shown
    assert "lZL6V" not in shown
    assert "eIMz" not in shown


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"ann:{APR1}\nbob:{GOOD}\n", id="weak"),
        pytest.param("ann:\n", id="empty"),
        pytest.param(f"ann:{GOOD}\nbob:{GOOD}\nann:{GOOD}\n", id="duplicate"),
        pytest.param(f"ann:{GOOD}\nANN:{GOOD}\n", id="case twins"),
        pytest.param(f"\ufeff# x\nann:{GOOD}\n", id="BOM"),
        pytest.param(f"  ann:{GOOD}\t\r\n", id="blanks"),
        pytest.param(f"{GOOD}\n{GOOD}:ann\n{'a' * 256}:{GOOD}\nbob:{GOOD}\n", id="several lines put out of action"),
        pytest.param(f"-x:{APR1}\n", id="a name like an option"),
        pytest.param(f"it's ann:{APR1}\n", id="a name that a shell would split"),
    ],
)
def test_the_command_mends_it(text: str, tmp_path: Path) -> None:
    """After each fault's command the file is well; `tokenserver` stands here for what its command does."""
    file = tmp_path / "my users"
    file.write_bytes(text.encode())
    with pytest.raises(LoadError) as caught:
        parse_users(text, str(file))
    for fault in caught.value.faults:
        command = shlex.split(fault.message.partition("mend it with: ")[2])
        if command[0] == "sed":
            subprocess.run(command, check=True)
            continue
        assert command[:2] == ["tokenserver", "users"]
        assert command[3 if command[3] == "--file" else 4] == "--file"
        assert str(file) in command
        name = command[-1] if "--" in command else command[3]
        now = file.read_bytes().decode()
        changed = with_user(now, name, GOOD) if command[2] == "set" else without_user(now, name)
        file.write_bytes(changed.encode())
    assert faults_of(file.read_bytes().decode()) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("ann", None, id="plain"),
        pytest.param("ann.smith-1_x@example.com", None, id="punctuation"),
        pytest.param("zoë", None, id="not ASCII"),
        pytest.param("", "the name is empty", id="empty"),
        pytest.param("a" * 256, "the name is longer than 255 characters", id="too long"),
        pytest.param(" ann", "the name begins or ends with a blank", id="leading blank"),
        pytest.param("\u3000", "the name holds characters that cannot be printed", id="ideographic blank"),
        pytest.param("\ufeffann", "the name holds characters that cannot be printed", id="BOM"),
        pytest.param("a\u0308", "the name is not in Unicode normal form C, in which names are compared", id="NFD"),
        pytest.param("a:b", "a name must not hold ':' or begin with '#'", id="colon"),
        pytest.param("#ann", "a name must not hold ':' or begin with '#'", id="like a comment"),
        pytest.param("robot$ci", "a name must not hold '$' or '*'", id="robot"),
        pytest.param("${user}", "a name must not hold '$' or '*'", id="variable"),
        pytest.param("*", "a name must not hold '$' or '*'", id="wildcard"),
        *(
            pytest.param(
                name, "the name is reserved, as are <token>, anonymous, authenticated, everyone", id=f"reserved {name}"
            )
            for name in ("anonymous", "Everyone", "AUTHENTICATED", "<token>", "\uff41nonymous")
        ),
    ],
)
def test_names(name: str, problem: str | None) -> None:
    """Who can stand in a file."""
    assert name_problem(name) == problem


@given(st.text(min_size=1, max_size=300))
def test_a_legal_name_can_log_in(name: str) -> None:
    """Whatever name a file may hold passes the guards of the chain, so that nobody is added in vain."""
    if name_problem(name) is None:
        backend = Htpasswd("htpasswd", "users", parse_users(f"{name}:{GOOD}\n", "users"))
        identity = Chain([backend], anonymous=False, decoy=None).authenticate(credentials(name))
        assert identity == Identity(name, Kind.PASSWORD, "htpasswd")


@pytest.fixture
def backend() -> Htpasswd:
    """Two users with hashes of different kinds."""
    return Htpasswd("local", "users", parse_users(f"ann:{GOOD}\nbob:{ARGON2}\n", "users"))


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_right(backend: Htpasswd, name: str) -> None:
    """The right password gives the identity, with the source's name and no groups."""
    identity = backend.authenticate(credentials(name))
    assert identity == Identity(subject=name, kind=Kind.PASSWORD, source="local", groups=frozenset())


@pytest.mark.parametrize("name", ["ann", "bob"])
@pytest.mark.parametrize("password", ["", "wrong", "Secret", "secret ", "secret\0", "secret" * 1000])
def test_wrong(backend: Htpasswd, name: str, password: str) -> None:
    """Any other password is wrong, and the audit is told so."""
    with pytest.raises(InvalidCredentials) as caught:
        backend.authenticate(credentials(name, password))
    assert caught.value.reason == "wrong password"


@pytest.mark.parametrize("name", ["ANN", "Ann", "ann ", " ann", "\uff41nn", "carol", "", "ann\0"])
def test_not_mine(backend: Htpasswd, name: str) -> None:
    """A name is compared exactly: another spelling is another user, whom this source does not know."""
    assert backend.authenticate(credentials(name)) is None


def test_what_is_told_of_a_source(backend: Htpasswd) -> None:
    """Names, the file and what deserves a look; no hash shows anywhere."""
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", "users", ["ann", "bob"])
    assert backend.warnings == (
        Fault("users", 1, "ann", f"bcrypt cost 4 is quick to guess; 10 or more is advised; {MEND_ANN}"),
        Fault(
            "users",
            2,
            "bob",
            "argon2id with 64 KiB and 1 passes is quick to guess; 19456 KiB and 2 are advised;"
            " mend it with: tokenserver users set bob --file users",
        ),
    )
    assert GOOD not in repr((backend, parse_users(f"ann:{GOOD}\n", "users"), backend.warnings))


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds and costs of all hashes that are computed, in their order."""
    done: list[str] = []

    def count(password: str, text: str) -> bool:
        done.append(describe(text))
        return verify(password, text)

    monkeypatch.setattr(decoy, "verify", count)
    return done


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        pytest.param(f"ann:{hashed(cost=5)}\n", {"bcrypt, cost 5"}, id="one user"),
        pytest.param(f"ann:{ARGON2}\n", {"argon2id, 64 KiB, 1 passes, parallelism 1"}, id="argon2id"),
        pytest.param("", {"bcrypt, cost 10"}, id="nobody"),
        pytest.param(
            f"ann:{hashed(cost=4)}\nbob:{hashed(cost=5)}\n", {"bcrypt, cost 4", "bcrypt, cost 5"}, id="two costs"
        ),
    ],
)
def test_an_unknown_user_costs_a_wrong_password(text: str, kinds: set[str], hashes: list[str]) -> None:
    """Row 19: one hash of each kind and cost that some user has, whoever has which of them, and if nobody has."""
    backend = Htpasswd("local", "users", parse_users(text, "users"))
    equal = EqualWork([backend], lambda _, question: question())
    chain = Chain([backend], anonymous=True, decoy=equal.unknown, rest=equal)
    for name in (*sorted(backend.users), *(f"unknown-{number}" for number in range(16))):
        hashes.clear()
        with pytest.raises(InvalidCredentials) as caught:
            chain.authenticate(credentials(name, "wrong"))
        assert caught.value.reason == ("wrong password" if name in backend.users else "unknown user")
        assert sorted(hashes) == sorted(kinds)


SAMPLES = 200


def test_the_time_is_the_same_too() -> None:
    """Row 19: of 200 samples each, in the processor's time, the medians differ by less than 5 %, and by less than half
    a millisecond. The clock on the wall would measure what else the machine does; a rank test finds any microsecond.
    """
    backend = Htpasswd("local", "users", parse_users(f"ann:{hashed(cost=6)}\nben:{hashed(cost=4)}\n", "users"))
    equal = EqualWork([backend], lambda _, question: question())
    chain = Chain([backend], anonymous=True, decoy=equal.unknown, rest=equal)
    times: dict[str, list[float]] = {"ann": [], "ben": [], "unknown": []}
    for number in range(SAMPLES * len(times)):
        name = [*times][(number + number // len(times)) % len(times)]  # each comes as often behind each other one
        start = time.thread_time()
        with pytest.raises(InvalidCredentials):
            chain.authenticate(credentials(name, "wrong"))
        times[name].append(time.thread_time() - start)
    assert {len(taken) for taken in times.values()} == {SAMPLES}
    medians = [statistics.median(taken) for taken in times.values()]
    assert max(medians) < 1.05 * min(medians)
    assert max(medians) - min(medians) < 0.0005


def test_a_password_that_cannot_be_costs_the_same(hashes: list[str]) -> None:
    """73 bytes and more are hashed for unknown and known users alike."""
    backend = Htpasswd("local", "users", parse_users(f"ann:{GOOD}\n", "users"))
    chain = Chain([backend], anonymous=True, decoy=backend.decoy)
    for name in ("ann", "unknown"):
        with pytest.raises(InvalidCredentials):
            chain.authenticate(credentials(name, "x" * 73))
    assert hashes == ["bcrypt, cost 4", "bcrypt, cost 4"]


def test_the_decoy_of_several_sources(hashes: list[str]) -> None:
    """Each kind of hash that any source has is computed once, but for the one that was; no users add none."""
    sources = [
        Htpasswd(str(cost), "users", parse_users(f"ann:{hashed(cost=cost)}\n" if cost else "", "users"))
        for cost in (0, 4, 5, 4)
    ]
    joined = sources[0].decoy.joined_with(*(source.decoy for source in sources[1:]))
    assert joined.kinds == ("bcrypt, cost 4", "bcrypt, cost 5")
    joined(credentials("unknown"))
    assert hashes == ["bcrypt, cost 4", "bcrypt, cost 5"]
    hashes.clear()
    joined(credentials("ann"), but=sources[1].kind_of("ann"))
    assert hashes == ["bcrypt, cost 5"]
    assert sources[1].kind_of("unknown") is None


@pytest.mark.parametrize("name", ["ann", "unknown"])
def test_short_memory(backend: Htpasswd, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that cannot be computed is "cannot tell" for known and unknown users, never a wrong password."""

    def fail(_: str, __: str) -> bool:
        raise HashingFailed("memory is short")

    monkeypatch.setattr(decoy, "verify", fail)
    with pytest.raises(BackendUnavailable) as caught:
        Chain([backend], anonymous=True, decoy=backend.decoy).authenticate(credentials(name))
    assert str(caught.value) == "local: memory is short"


def test_load(tmp_path: Path) -> None:
    """A file is read and checked; the source knows its path."""
    file = tmp_path / "users"
    file.write_text(f"ann:{GOOD}\n")
    file.chmod(0o600)
    backend = load_htpasswd(file, "local")
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", str(file), ["ann"])


def test_load_again(tmp_path: Path) -> None:
    """As long as the text is the same, nothing is made anew; what is refused changes nothing."""
    path = tmp_path / "users"
    path.write_text(f"ann:{GOOD}\n")
    path.chmod(0o600)
    file = HtpasswdFile(path, "local")
    first = file.load()
    path.write_text(f"ann:{GOOD}\n")
    assert file.load() is first
    path.write_text("ann\n")
    with pytest.raises(LoadError, match=r"users:1: .*is not NAME:HASH"):
        file.load()
    path.write_text(f"ann:{GOOD}\n")
    assert file.load() is first
    path.write_text(f"ann:{GOOD}\nbob:{GOOD}\n")
    assert [sorted(one.users) for one in (first, file.load())] == [["ann"], ["ann", "bob"]]


def test_load_what_was_read_already(tmp_path: Path) -> None:
    """In place of what the file holds by now, which may be half of it; the path in a fault is the file's."""
    path = tmp_path / "users"
    path.write_text("half of")
    file = HtpasswdFile(path, "local")
    assert sorted(file.load(f"bob:{GOOD}\n".encode()).users) == ["bob"]
    for content, fault in ((b"ann\n", r"users:1: .*is not NAME:HASH"), (b"ann:\xff", r"users:1: is not UTF-8 text")):
        with pytest.raises(LoadError, match=fault):
            file.load(content)


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        pytest.param(b"ann:\xe9\n", 0o600, "FILE:1: is not UTF-8 text", id="Latin-1"),
        pytest.param(
            b"",
            0o666,
            "FILE: can be changed by others (mode 0666); fix: chmod go-w FILE",
            id="writable by all",
        ),
        pytest.param(
            b"ann\n", 0o600, "FILE:1: is not NAME:HASH; mend it with: sed -i '1s/^/#/' FILE", id="a malformed line"
        ),
    ],
)
def test_load_refuses(content: bytes, mode: int, fault: str, tmp_path: Path) -> None:
    """Files that others can change, or that are no htpasswd files, do not load."""
    file = tmp_path / "users"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(LoadError) as caught:
        load_htpasswd(file, "local")
    assert str(caught.value) == fault.replace("FILE", str(file))


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is a fault, not an empty file."""
    with pytest.raises(LoadError, match="cannot be read: No such file or directory"):
        load_htpasswd(tmp_path / "users", "local")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "ann:NEW\n", id="empty"),
        pytest.param("bob:x\n", "bob:x\nann:NEW\n", id="new"),
        pytest.param("bob:x", "bob:x\nann:NEW\n", id="new, no newline at the end"),
        pytest.param("# a\n\nann:x\n# b\nbob:y\n", "# a\n\nann:NEW\n# b\nbob:y\n", id="changed in place"),
        pytest.param("ann:x", "ann:NEW", id="changed, no newline at the end"),
        pytest.param("bob:x\r\n", "bob:x\r\nann:NEW\r\n", id="new, CRLF"),
        pytest.param("bob:x\r\ncarol:y", "bob:x\r\ncarol:y\r\nann:NEW\r\n", id="new, CRLF, no newline at the end"),
        pytest.param("ann:x\r\nbob:y\r\n", "ann:NEW\r\nbob:y\r\n", id="changed, CRLF"),
        pytest.param("ann:x\nbob:y\nann:z\n", "ann:NEW\nbob:y\n", id="twice"),
        pytest.param("\ufeffann:x\n", "ann:NEW\n", id="behind a BOM"),
        pytest.param("  ann :x\n", "ann:NEW\n", id="between blanks"),
        pytest.param("ann\n", "ann:NEW\n", id="without a hash"),
        pytest.param("#ann:x\n # ann:x\n", "#ann:x\n # ann:x\nann:NEW\n", id="a comment is nobody"),
        pytest.param("ANN:x\nannette:y\n", "ANN:x\nannette:y\nann:NEW\n", id="others"),
    ],
)
def test_with_user(text: str, expected: str) -> None:
    """One line changes, everything else stays."""
    assert with_user(text, "ann", "NEW") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("ann:x\n", "", id="the only one"),
        pytest.param("# a\nann:x\nbob:y\n", "# a\nbob:y\n", id="one of two"),
        pytest.param("bob:y\nann:x", "bob:y", id="the last, no newline at the end"),
        pytest.param("bob:y\r\nann:x\r\n", "bob:y\r\n", id="CRLF"),
        pytest.param("ann:x\nbob:y\nann:z\n", "bob:y\n", id="twice"),
        pytest.param("bob:y\n", "bob:y\n", id="unknown"),
    ],
)
def test_without_user(text: str, expected: str) -> None:
    """The lines of one user go, everything else stays."""
    assert without_user(text, "ann") == expected


_LINES = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "carol", "zoë", "# note", ""]), st.sampled_from(["x", GOOD]))
)


@given(_LINES, st.sampled_from(["\n", "\r\n"]))
def test_editing_touches_nobody_else(lines: list[tuple[str, str]], ending: str) -> None:
    """Setting a user and removing it again leaves all the other lines as they were."""
    text = "".join(f"{name}:{value}{ending}" if name.isalpha() else name + ending for name, value in lines)
    others = "".join(
        f"{name}:{value}{ending}" if name.isalpha() else name + ending for name, value in lines if name != "ann"
    )
    changed = with_user(text, "ann", GOOD)
    assert without_user(changed, "ann") == others
    assert names_in(changed).count("ann") == 1


_PIECES = st.sampled_from(
    ["ann", "ANN", ":", GOOD, APR1, "\n", "\r", "\r\n", " ", "\t", "#", "\ufeff", "$", "\u2028", "\0", "é"]
)


@given(st.lists(_PIECES).map("".join) | st.text())
def test_reading_gives_users_or_faults(text: str) -> None:
    """Any text gives users, all of them legal, different and with accepted hashes; or a load error with lines."""
    faults: tuple[Fault, ...] = ()
    entries: tuple[HtpasswdEntry, ...] = ()
    is_refused = False
    try:
        entries = parse_users(text, "users")
    except LoadError as error:
        faults = error.faults
        is_refused = True
    assert is_refused == bool(faults)
    assert all(fault.file == "users" and fault.line >= 1 for fault in faults)
    assert all(re.search(r"; mend it with: (sed -i|tokenserver users) ", fault.message) for fault in faults)
    assert all(name_problem(entry.name) is None for entry in entries)
    assert all(problem_with(entry.hashed.reveal()) is None for entry in entries)
    assert len({fold(entry.name) for entry in entries}) == len(entries)


def test_a_name_like_an_option() -> None:
    """A command must not take a user's name for an option."""
    assert users_command("set", "-x", "a b") == "tokenserver users set --file 'a b' -- -x"
