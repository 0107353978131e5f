"""The format of an htpasswd file: what is read, what is rejected and with which command to fix it, and editing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import argon2
import pytest
from htpasswd_users import GOOD
from hypothesis import given
from hypothesis import strategies as st
from passlib.apache import HtpasswdFile

from tokenserver.authn.htpasswd.account import ACTIVE, DISABLED, Account, parse_end
from tokenserver.authn.htpasswd.file import (
    HtpasswdEntry,
    account_in,
    names_in,
    parse_users,
    users_command,
    with_account,
    with_user,
    without_user,
)
from tokenserver.authn.passwords import problem_with
from tokenserver.authn.usernames import fold, name_problem
from tokenserver.errors import Fault, LoadError

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


SWAP = r"s/^\([^:]*\):\([^:[:space:]]*\)/\2:\1/"
USER_OR_REMARK = "fix for a user: tokenserver users set NAME --file users; fix for a remark: sed -i '1s/^/# /' users"
FIX_ANN = "fix: tokenserver users set ann --file users"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(
            f"ann:{APR1}\n",
            [
                (
                    "users:1: ann: apr1 (MD5) is too weak; htpasswd writes it without -B, and a registry's own htpasswd"
                    f" refuses it as well; {FIX_ANN}"
                ),
            ],
            id="apr1",
        ),
        pytest.param("ann:secret\n", [f"users:1: ann: the password is in plain text; {FIX_ANN}"], id="plain"),
        pytest.param("ann:\n", [f"users:1: ann: the password is empty; {FIX_ANN}"], id="empty"),
        pytest.param(
            "ann: \n",
            [
                "users:1: ends with a blank; fix: sed -i '1s/[[:space:]]*$//' users",
                f"users:1: ann: the password is empty; {FIX_ANN}",
            ],
            id="a blank for a hash",
        ),
        pytest.param(
            "ann:rqXexS6ZhobKA\n", [f"users:1: ann: DES crypt (htpasswd -d) is too weak; {FIX_ANN}"], id="DES"
        ),
        pytest.param(
            "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
            [f"users:1: ann: SHA-1 (htpasswd -s) is too weak; {FIX_ANN}"],
            id="SHA-1",
        ),
        pytest.param(
            f"ann:$2y$31${'.' * 53}\n",
            [f"users:1: ann: bcrypt cost 31 takes too long to check; the maximum is 14; {FIX_ANN}"],
            id="cost 31",
        ),
        pytest.param(
            f"ann:{GOOD}\nbob:{GOOD}\nann:{GOOD}\n",
            [f"users:3: ann: is also on line 1; {FIX_ANN}"],
            id="duplicate",
        ),
        pytest.param(
            f"ann:{GOOD}\nANN:{GOOD}\n",
            [
                ("users:2: ANN: differs only in case or width from 'ann' on line 1; fix: sed -i 2s/:/-2:/ users"),
            ],
            id="case twins",
        ),
        pytest.param(
            f"ann:{GOOD}\n\uff41nn:{GOOD}\n",
            [
                ("users:2: \uff41nn: differs only in case or width from 'ann' on line 1; fix: sed -i 2s/:/-2:/ users"),
            ],
            id="width twins",
        ),
        pytest.param(
            f"\ufeffann:{GOOD}\n",
            [r"users:1: begins with a byte order mark; fix: sed -i '1s/^\xEF\xBB\xBF//' users"],
            id="BOM",
        ),
        pytest.param(
            f"# x\n ann:{GOOD}\n",
            ["users:2: begins with a blank; fix: sed -i '2s/^[[:blank:]]*//' users"],
            id="leading blank",
        ),
        pytest.param(
            "\t# x\n",
            ["users:1: begins with a blank; fix: sed -i '1s/^[[:blank:]]*//' users"],
            id="a comment that does not begin the line",
        ),
        pytest.param(
            f"ann:{GOOD} \r\n",
            ["users:1: ends with a blank; fix: sed -i '1s/[[:space:]]*$//' users"],
            id="trailing blank",
        ),
        pytest.param("ann\n", [f"users:1: is not NAME:HASH; {USER_OR_REMARK}"], id="no colon"),
        pytest.param(f":{GOOD}\n", ["users:1: the name is empty; fix: sed -i '1s/^[^:]*/user-1/' users"], id="no name"),
        pytest.param(
            f"ann :{GOOD}\n",
            ["users:1: the name begins or ends with a blank; fix: sed -i '1s/[[:blank:]]*:/:/' users"],
            id="a blank behind the name",
        ),
        pytest.param(
            f"a\u0308nn:{GOOD}\n",
            [
                (
                    "users:1: the name is not in Unicode normal form C, in which names are compared;"
                    " fix: sed -i '1s/^[^:]*/user-1/' users"
                ),
            ],
            id="not NFC",
        ),
        pytest.param(
            f"an\rn:{GOOD}\n",
            ["users:1: the name contains non-printable characters; fix: sed -i '1s/^[^:]*/user-1/' users"],
            id="CR inside",
        ),
        pytest.param(
            f"anonymous:{GOOD}\n",
            [
                (
                    "users:1: the name is reserved, as are <token>, anonymous, authenticated, everyone;"
                    " fix: sed -i '1s/^[^:]*/user-1/' users"
                ),
            ],
            id="reserved",
        ),
        pytest.param(
            f"{GOOD}:ann\n",
            [f"users:1: the name looks like a password hash; fix: sed -i '1{SWAP}' users"],
            id="the wrong way round",
        ),
        pytest.param(
            f"\ufeff ann:x\nbob\nann:{GOOD}\n",
            [
                "users:1: begins with a blank; fix: sed -i '1s/^[[:blank:]]*//' users",
                r"users:1: begins with a byte order mark; fix: sed -i '1s/^\xEF\xBB\xBF//' users",
                f"users:1: ann: the password is in plain text; {FIX_ANN}",
                f"users:2: is not NAME:HASH; {USER_OR_REMARK.replace('1s', '2s')}",
                f"users:3: ann: is also on line 1; {FIX_ANN}",
            ],
            id="all at once",
        ),
    ],
)
def test_what_is_refused(text: str, faults: list[str]) -> None:
    """Every fault has its line, its reason, and the command that fixes it."""
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
        pytest.param(f"ann:{GOOD}\n\uff41nn:{GOOD}\nANN:{GOOD}\n", id="width twins"),
        pytest.param(f"{GOOD}\n{GOOD}:ann\r\n{'a' * 256}:{GOOD}\nbob:{GOOD}\n", id="several kinds of lines"),
        pytest.param(f"{GOOD}:{GOOD}\n", id="two hashes"),
        pytest.param(f"a*b:{GOOD}\n${{user}}:{GOOD}\n", id="wildcard and variable"),
        pytest.param(f"everyone:{GOOD}\n<token>:{GOOD}\n", id="reserved"),
        pytest.param(f"a\u0308nn:{GOOD}\nan\rn:{GOOD}\n", id="not NFC, and invisible"),
        pytest.param(f"ann \t:{GOOD}\n", id="blanks behind the name"),
        pytest.param(f":{GOOD}\n", id="no name"),
        pytest.param("ann\nthe admins\n", id="remarks without a #"),
        pytest.param(f"ann:{GOOD}\n# Tokenserver-account of ann is disabled\n", id="a damaged account"),
        pytest.param(f"-x:{APR1}\n", id="a name like an option"),
        pytest.param(f"it's ann:{APR1}\n", id="a name that a shell would split"),
    ],
)
def test_the_command_fixes_it(text: str, tmp_path: Path) -> None:
    """After each fault's command the file has no faults left, and as many users with a hash as it had.

    A stub replaces the `tokenserver` command.
    """
    file = tmp_path / "my users"
    file.write_bytes(text.encode())
    with pytest.raises(LoadError) as caught:
        parse_users(text, str(file))
    for fault in caught.value.faults:
        command = shlex.split(re.split("fix(?: for a remark)?: ", fault.message)[-1])
        if command[0] == "sed":
            subprocess.run(command, check=True)
            continue
        assert command[:2] == ["tokenserver", "users"]
        assert command[3 if command[3] == "--file" else 4] == "--file"
        assert str(file) in command
        name = command[-1] if "--" in command else command[3]
        now = file.read_bytes().decode()
        assert command[2] == "set"
        file.write_bytes(with_user(now, name, GOOD).encode())
    fixed = file.read_bytes().decode()
    assert faults_of(fixed) == []
    hashed = [line for line in text.split("\n") if GOOD in line or APR1 in line or line == "ann:"]
    assert len(parse_users(fixed, "users")) == len(hashed) - text.count(f"bob:{GOOD}\nann:{GOOD}\n")  # one user twice


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
    [
        "ann",
        "ANN",
        ":",
        GOOD,
        APR1,
        "\n",
        "\r",
        "\r\n",
        " ",
        "\t",
        "#",
        "\ufeff",
        "$",
        "\u2028",
        "\0",
        "é",
        "!",
        "# tokenserver-account: ",
        "disabled",
        ", until 2027-01-31",
    ]
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
    assert all(re.search(r"; fix(?: for a user)?: (sed -i|tokenserver users) ", fault.message) for fault in faults)
    assert all(name_problem(entry.name) is None for entry in entries)
    assert all(problem_with(entry.hashed.reveal()) is None for entry in entries)
    assert len({fold(entry.name) for entry in entries}) == len(entries)


def test_a_name_like_an_option() -> None:
    """A command must not take a user's name for an option."""
    assert users_command("set", "-x", "a b") == "tokenserver users set --file 'a b' -- -x"


ACCOUNT_FORM = "# tokenserver-account: NAME: disabled, until DATE"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"ann:{GOOD}\n", ("", False), id="active"),
        pytest.param(f"ann:!{GOOD}\n", ("disabled", True), id="locked alone, as by passwd -l"),
        pytest.param(f"# tokenserver-account: ann: disabled\nann:!{GOOD}\n", ("disabled", True), id="disabled"),
        pytest.param(
            f"# tokenserver-account: ann: disabled\nann:{GOOD}\n",
            ("disabled", False),
            id="after htpasswd -B has changed the password",
        ),
        pytest.param(
            f"ann:!{GOOD}\n# tokenserver-account: ann: until 2027-01-31\n",
            ("until 2027-01-31", True),
            id="until, below",
        ),
        pytest.param(
            f"# tokenserver-account: ann: disabled, until 2027-01-31\r\nann:!{GOOD}\r\n",
            ("disabled, until 2027-01-31", True),
            id="both, CRLF",
        ),
        pytest.param(f"# tokenserver-account: ben: disabled\nann:{GOOD}\n", ("", False), id="somebody else"),
        pytest.param(f"# tokenserver-account: Ann: disabled\nann:{GOOD}\n", ("", False), id="another spelling"),
    ],
)
def test_accounts(text: str, expected: tuple[str, bool]) -> None:
    """A comment says what an account is; a lock without a comment means disabled. The hash is read without its lock."""
    (entry,) = parse_users(text, "users")
    assert (str(entry.account), entry.is_locked) == expected
    assert entry.hashed.reveal() == GOOD
    assert str(account_in(text, "ann")) == expected[0]


@pytest.mark.parametrize(
    ("comment", "fault"),
    [
        pytest.param(
            "# tokenserver-account: ann: disable",
            f"users:1: ann: the account is neither 'disabled' nor 'until DATE', as in {ACCOUNT_FORM};"
            " fix: tokenserver users disable ann --file users",
            id="misspelled",
        ),
        pytest.param(
            "# tokenserver-account: ann: until someday",
            f"users:1: ann: the account is neither 'disabled' nor 'until DATE', as in {ACCOUNT_FORM};"
            " fix: tokenserver users enable ann --file users --until DATE",
            id="no date",
        ),
        pytest.param(
            "# tokenserver-account: ann: disabled\n# tokenserver-account: ann: until 2027-01-31",
            "users:2: ann: the account is also on line 1; fix: tokenserver users disable ann --file users",
            id="twice",
        ),
        pytest.param(
            "# tokenserver-account: ann: until 2027-01-31\n# tokenserver-account: ann: until 2027-02-28",
            "users:2: ann: the account is also on line 1; fix: tokenserver users enable ann --file users --until DATE",
            id="two ends",
        ),
        pytest.param(
            "# tokenserver-account ann disabled",
            f"users:1: is not {ACCOUNT_FORM}; fix: sed -i '1s/tokenserver-/tokenserver /I' users",
            id="no colons",
        ),
    ],
)
def test_damaged_accounts(comment: str, fault: str, tmp_path: Path) -> None:
    """A comment that cannot be read rejects the file; ignoring it would enable the user. The command fixes it."""
    text = f"{comment}\nann:{GOOD}\n"
    assert faults_of(text) == [fault]
    assert account_in(text, "ann") == (ACTIVE if "sed" in fault else DISABLED)
    if "sed" in fault:
        file = tmp_path / "users"
        file.write_text(text)
        subprocess.run(shlex.split(fault.partition("fix: ")[2]), check=True, cwd=tmp_path)
        assert faults_of(file.read_text()) == []
        assert len(file.read_text()) == len(text)  # what it said is still there to read
    else:
        account = DISABLED if "users disable" in fault else UNTIL
        assert faults_of(with_account(text, "ann", account)) == []


UNTIL = Account(until=parse_end("2027-01-31"))


@pytest.mark.parametrize(
    ("text", "account", "expected"),
    [
        pytest.param("b:y\nann:x\n", DISABLED, "b:y\n# tokenserver-account: ann: disabled\nann:!x\n", id="disable"),
        pytest.param(
            "ann:x", UNTIL, "# tokenserver-account: ann: until 2027-01-31\nann:!x", id="no newline at the end"
        ),
        pytest.param("ann:x\r\n", DISABLED, "# tokenserver-account: ann: disabled\r\nann:!x\r\n", id="CRLF"),
        pytest.param("# tokenserver-account: ann: disabled\nann:!x\n", ACTIVE, "ann:x\n", id="enable"),
        pytest.param("ann:!x\n", ACTIVE, "ann:x\n", id="unlock"),
        pytest.param("ann:!x\n", DISABLED, "# tokenserver-account: ann: disabled\nann:!x\n", id="locked already"),
        pytest.param(
            "# tokenserver-account: ann: disabled\n# b\nann:x\n# tokenserver-account: ann: disabled\n",
            UNTIL,
            "# b\n# tokenserver-account: ann: until 2027-01-31\nann:!x\n",
            id="twice, elsewhere",
        ),
        pytest.param(
            "# tokenserver-account: b: disabled\nb:!y\nann:x\n",
            ACTIVE,
            "# tokenserver-account: b: disabled\nb:!y\nann:x\n",
            id="others",
        ),
        pytest.param("\ufeffann:x\n", DISABLED, "# tokenserver-account: ann: disabled\nann:!x\n", id="behind a BOM"),
        pytest.param("ann\n", DISABLED, "# tokenserver-account: ann: disabled\nann\n", id="without a hash"),
    ],
)
def test_with_account(text: str, account: Account, expected: str) -> None:
    """One comment before the user's line, and a lock in front of the hash; everything else stays."""
    assert with_account(text, "ann", account) == expected


@given(_LINES, st.sampled_from([ACTIVE, DISABLED, UNTIL, Account(True, UNTIL.until)]), st.sampled_from(["\n", "\r\n"]))
def test_an_account_touches_nobody_else(lines: list[tuple[str, str]], account: Account, ending: str) -> None:
    """What is written is read again, and removing the user restores the lines of all others."""
    text = "".join(f"{name}:{value}{ending}" if name.isalpha() else name + ending for name, value in lines)
    text = with_user(text, "ann", GOOD)
    changed = with_account(text, "ann", account)
    assert account_in(changed, "ann") == account
    assert without_user(changed, "ann") == without_user(text, "ann")
    assert with_account(changed, "ann", ACTIVE) == text


@pytest.mark.skipif(shutil.which("htpasswd") is None, reason="needs htpasswd")
def test_htpasswd_keeps_the_account(tmp_path: Path) -> None:
    """Apache's htpasswd reads the file, cannot verify a locked user, and keeps the comment when it sets a password."""
    file = tmp_path / "users"
    file.write_text(with_account(f"ann:{GOOD}\nben:{GOOD}\n", "ann", UNTIL))
    verify = ["htpasswd", "-vb", str(file)]
    assert subprocess.run([*verify, "ben", "secret"], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*verify, "ann", "secret"], check=False, capture_output=True).returncode == 3
    subprocess.run(["htpasswd", "-bB", str(file), "ann", "new"], check=True, capture_output=True)
    entries = {entry.name: entry for entry in parse_users(file.read_text(), "users")}
    assert (entries["ann"].account, entries["ann"].is_locked) == (UNTIL, False)


def test_passlib_keeps_the_account() -> None:
    """passlib's HtpasswdFile, with which many scripts edit such files, does so as well."""
    text = with_account(f"ann:{GOOD}\nben:{GOOD}\n", "ann", DISABLED)
    other = HtpasswdFile.from_string(text.encode())
    assert (other.check_password("ben", "secret"), other.users()) == (True, ["ann", "ben"])
    other.set_hash("ann", GOOD.encode())
    (ann, _) = parse_users(other.to_string().decode(), "users")
    assert (ann.account, ann.is_locked) == (DISABLED, False)
