"""The users of an htpasswd file: how they are verified, what a rejected login costs, and how the file is loaded."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from htpasswd_users import GOOD, SAMPLES, credentials, hashed
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.account import parse_end
from tokenserver.authn.htpasswd.backend import Htpasswd, HtpasswdFile, load_htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import HashingFailed, hash_password
from tokenserver.authn.usernames import name_problem
from tokenserver.credentials import Password
from tokenserver.errors import AccountEnded, BackendUnavailable, Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind, NamespaceRule


@given(st.text(min_size=1, max_size=300))
def test_a_legal_name_can_log_in(name: str) -> None:
    """Every name that a file may contain passes the guards of the chain, so that every user added can log in."""
    if name_problem(name) is None:
        backend = Htpasswd("htpasswd", "users", parse_users(f"{name}:{GOOD}\n", "users"))
        identity = Chain([backend], anonymous=False, decoy=None).authenticate(credentials(name))
        assert identity == Identity(name, Kind.PASSWORD, "htpasswd")


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_right(backend: Htpasswd, name: str) -> None:
    """The right password gives the identity, with the source's name and no groups."""
    identity = backend.authenticate(credentials(name))
    assert identity == Identity(subject=name, kind=Kind.PASSWORD, source="local", groups=frozenset())


@pytest.mark.parametrize("name", ["ann", "bob"])
@pytest.mark.parametrize("password", ["", "wrong", "Secret", "secret ", "secret\0", "secret" * 1000])
def test_wrong(backend: Htpasswd, name: str, password: str) -> None:
    """Any other password is wrong, and the audit event says so."""
    with pytest.raises(InvalidCredentials) as caught:
        backend.authenticate(credentials(name, password))
    assert caught.value.reason == "wrong password"


@pytest.mark.parametrize("name", ["ANN", "Ann", "ann ", " ann", "\uff41nn", "carol", "", "ann\0"])
def test_not_mine(backend: Htpasswd, name: str) -> None:
    """Names are compared exactly: another spelling is a different, unknown user."""
    assert backend.authenticate(credentials(name)) is None


def test_what_is_told_of_a_source(backend: Htpasswd) -> None:
    """Names, the file and its warnings are visible; hashes are not."""
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", "users", ["ann", "bob"])
    assert backend.warnings == (
        Fault(
            "users",
            1,
            "ann",
            "bcrypt cost 4 is quick to guess; 10 or more is advised; fix: tokenserver users set ann --file users",
        ),
        Fault(
            "users",
            2,
            "bob",
            "argon2id with 64 KiB and 1 passes is quick to guess; 19456 KiB and 2 are advised;"
            " fix: tokenserver users set bob --file users",
        ),
    )
    assert GOOD not in repr((backend, parse_users(f"ann:{GOOD}\n", "users"), backend.warnings))


def test_load(tmp_path: Path) -> None:
    """A file is read and checked; the source knows its path."""
    file = tmp_path / "users"
    file.write_text(f"ann:{GOOD}\n")
    file.chmod(0o600)
    backend = load_htpasswd(file, "local")
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", str(file), ["ann"])


def test_load_again(tmp_path: Path) -> None:
    """Nothing is rebuilt while the text is unchanged; a rejected file changes nothing."""
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


def test_whether_users_are_current(tmp_path: Path) -> None:
    """Only the last ones that were loaded from the file, for as long as it is as it was then."""
    path = tmp_path / "users"
    path.write_text(f"ann:{GOOD}\n")
    path.chmod(0o600)
    file = HtpasswdFile(path, "local")
    first = file.load()
    assert first.is_current()
    path.write_text("# nobody\n")
    assert not first.is_current()
    second = file.load()
    assert (first.is_current(), second.is_current()) == (False, True)
    loaded = file.load(f"ann:{GOOD}\n".encode())
    assert (second.is_current(), loaded.is_current()) == (False, False)
    path.unlink()
    assert not second.is_current()


def test_load_what_was_read_already(tmp_path: Path) -> None:
    """It replaces the file's current content, which may be incomplete; faults still name the file."""
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
            b"ann\n",
            0o600,
            "FILE:1: is not NAME:HASH; fix for a user: tokenserver users set NAME --file FILE;"
            " fix for a remark: sed -i '1s/^/# /' FILE",
            id="a malformed line",
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


UNTIL = "2027-01-31T12:00:00Z"
NOON = parse_end(UNTIL).moment


class Recorded:
    """A stub for the shared checks; says what it was asked, and whether the check told the other workers a success."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []

    def __call__(
        self, credentials: Password, hashed: str, room: AbstractContextManager[None], check: Callable[[], bool]
    ) -> bool:
        with room:
            is_right = check()
        self.asked.append((credentials.username, hashed, is_right))
        return is_right


LIMITED = f"# tokenserver-account: ann: disabled\nann:!{GOOD}\n# tokenserver-account: bob: until {UNTIL}\nbob:!{GOOD}\n"


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize(
    ("name", "seconds", "right", "wrong"),
    [
        pytest.param("ann", 0, "the account is disabled", "wrong password, and the account is disabled", id="disabled"),
        pytest.param("bob", -0.001, None, "wrong password", id="before the end"),
        pytest.param(
            "bob",
            0,
            f"the account has expired (until {UNTIL})",
            f"wrong password, and the account has expired (until {UNTIL})",
            id="at the end",
        ),
    ],
)
def test_limited_accounts(
    name: str, seconds: float, right: str | None, wrong: str, hashes: list[str], *, is_shared: bool
) -> None:
    """The reason is in the audit event; the client sees one text, and the server computes one hash in every case.

    No other worker learns that the password of such an account is right, since a remembered success would answer
    sooner than a wrong password.
    """
    once = Recorded() if is_shared else None
    backend = Htpasswd("local", "users", parse_users(LIMITED, "users"), once=once, now=lambda: NOON + seconds)
    for password, reason in (("secret", right), ("wrong", wrong)):
        hashes.clear()
        found, told = None, ""
        try:
            backend.authenticate(credentials(name, password))
        except InvalidCredentials as error:
            found, told = error.reason, str(error)
        assert (found, told) == (reason, "" if reason is None else "wrong user name or password")
        assert hashes == ["bcrypt, cost 4"]
    if once is not None:
        assert [is_right for *_, is_right in once.asked] == [right is None, False]
        assert {(who, hashed.startswith("!")) for who, hashed, _ in once.asked} == {(name, right is not None)}


def test_an_account_that_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short memory is "cannot tell" for a disabled user as well, so the answer does not give the account away."""

    def fail(_: str, __: str) -> bool:
        raise HashingFailed("memory is short")

    monkeypatch.setattr(decoy, "verify", fail)
    with pytest.raises(BackendUnavailable, match="local: memory is short"):
        Htpasswd("local", "users", parse_users(LIMITED, "users")).authenticate(credentials("ann"))


def test_the_stamp_changes_at_the_end() -> None:
    """Whatever was remembered of a login under the stamp before is not found any more."""
    moment = NOON - 1
    backend = Htpasswd("local", "users", parse_users(LIMITED, "users"), now=lambda: moment)
    before = backend.stamp("bob")
    assert before == GOOD.encode()
    moment = NOON
    assert backend.stamp("bob") not in {before, b""}
    assert backend.stamp("ann") == backend.stamp("bob")
    assert backend.stamp("unknown") == b""


@pytest.mark.long
def test_a_limited_account_costs_what_a_wrong_password_costs() -> None:
    """In the processor's time, with the right password and with a wrong one, beside a user who is not limited.

    See docs/design/threats.md#threat-19.
    """
    text = f"ann:{hashed(cost=6)}\n# tokenserver-account: ben: disabled\nben:!{hashed(cost=6)}\n"
    chain = Chain([Htpasswd("local", "users", parse_users(text, "users"))], anonymous=True, decoy=None)
    logins = [("ann", "wrong"), ("ben", "wrong"), ("ben", "secret")]
    times: dict[tuple[str, str], list[float]] = {login: [] for login in logins}
    for number in range(SAMPLES * len(logins)):
        login = logins[(number + number // len(logins)) % len(logins)]
        start = time.thread_time()
        with pytest.raises(InvalidCredentials):
            chain.authenticate(credentials(*login))
        times[login].append(time.thread_time() - start)
    medians = [statistics.median(taken) for taken in times.values()]
    assert max(medians) < 1.05 * min(medians)
    assert max(medians) - min(medians) < 0.0005


def test_warnings_of_accounts() -> None:
    """After another program has replaced a locked hash, a warning says how to lock it again."""
    hashed = hash_password("secret")
    lines = [
        f"# tokenserver-account: ann: disabled\nann:{hashed}",
        f"# tokenserver-account: bob: until 2027-01-31\nbob:{hashed}",
        f"# tokenserver-account: eve: until 2027-01-31\neve:!{hashed}",
        f"fay:!{hashed}\n",
    ]
    backend = Htpasswd("local", "users", parse_users("\n".join(lines), "users"))
    problem = "but not for other programs that read this file"
    fix = "fix: tokenserver users enable bob --file users"
    assert [str(warning) for warning in backend.warnings] == [
        f"users:2: ann: the account is limited (disabled), {problem}; fix: tokenserver users disable ann --file users",
        f"users:4: bob: the account is limited (until 2027-01-31), {problem}; {fix} --until 2027-01-31",
    ]


def mapped(text: str, rule: NamespaceRule | None) -> Htpasswd:
    """A file whose names are mapped."""
    return Htpasswd("local", "users", parse_users(text, "users"), namespace_rule=rule)


def test_a_namespace() -> None:
    """It is in the identity; the subject stays the name."""
    backend = mapped(f"JohnDoe:{GOOD}\nx_:{GOOD}\n", NamespaceRule.LOWER)
    assert backend.authenticate(credentials("JohnDoe")) == Identity(
        "JohnDoe", Kind.PASSWORD, "local", namespace="johndoe"
    )
    assert backend.authenticate(credentials("x_")) == Identity("x_", Kind.PASSWORD, "local", namespace="")
    assert backend.owner_of("johndoe") == "JohnDoe"


def test_users_who_share_a_namespace() -> None:
    """Neither can log in, also with the right password, and both lines are warned of; others are let in."""
    backend = mapped(f"john doe:{GOOD}\njohn@doe:{GOOD}\nann:{GOOD}\n", NamespaceRule.SLUG)
    for user, other in (("john doe", "john@doe"), ("john@doe", "john doe")):
        reason = f"the namespace 'john-doe' is shared with {other!r}"
        with pytest.raises(InvalidCredentials) as caught:
            backend.authenticate(credentials(user))
        assert caught.value.reason == backend.account_problem(user) == reason
        with pytest.raises(InvalidCredentials) as caught:
            backend.authenticate(credentials(user, "wrong"))
        assert caught.value.reason == "wrong password"
    shared = [(one.line, one.path, one.message) for one in backend.warnings if "namespace" in one.message]
    fix = "; fix: rename one of them"
    assert shared == [
        (1, "john doe", f"cannot log in: the namespace 'john-doe' is shared with 'john@doe'{fix}"),
        (2, "john@doe", f"cannot log in: the namespace 'john-doe' is shared with 'john doe'{fix}"),
    ]
    assert backend.authenticate(credentials("ann")) is not None


def test_a_new_user_with_the_same_namespace_ends_remembered_logins() -> None:
    """The stamp of the first one changes, although the line does not."""
    alone, shared = (mapped(f"john doe:{GOOD}\n{more}", NamespaceRule.SLUG) for more in ("", f"john@doe:{GOOD}\n"))
    assert alone.stamp("john doe") != shared.stamp("john doe")


def test_a_user_is_found_without_the_password() -> None:
    """As a login reports the user; the proof changes with the line's hash alone, and is not the hash."""
    first, second = hash_password("one"), hash_password("one")

    def proof(text: str) -> bytes:
        found = Htpasswd("local", "users", parse_users(text, "users")).find("ann")
        assert found is not None
        assert found == Identity("ann", Kind.PASSWORD, "local")
        return found.proof

    known = proof(f"ann:{first}\n")
    assert len(known) == 32
    assert proof(f"bob:{second}\nann:{first}\n") == known
    assert proof(f"# tokenserver-account: ann: until 2099-01-31\nann:!{first}\n") == known
    assert proof(f"ann:{second}\n") != known


@pytest.mark.parametrize(
    ("account", "reason"),
    [("disabled", "the account is disabled"), ("until 2020-01-31", "the account has expired (until 2020-01-31)")],
)
def test_a_user_whose_account_has_ended_is_not_found(account: str, reason: str) -> None:
    """Not as if there were no such user: what was derived from the account ends with it."""
    text = f"# tokenserver-account: ann: {account}\nann:!{hash_password('one')}\n"
    with pytest.raises(AccountEnded) as caught:
        Htpasswd("local", "users", parse_users(text, "users")).find("ann")
    assert caught.value.reason == reason


def test_a_user_with_a_shared_namespace_is_not_found() -> None:
    """The account is not at fault, so nothing derived from it ends."""
    text = f"ann@x:{hash_password('one')}\nann-x:{hash_password('two')}\n"
    source = Htpasswd("local", "users", parse_users(text, "users"), namespace_rule=NamespaceRule.SLUG)
    with pytest.raises(InvalidCredentials) as caught:
        source.find("ann-x")
    assert (caught.type, caught.value.reason) == (InvalidCredentials, "the namespace 'ann-x' is shared with 'ann@x'")
