"""Hostile input from configurations, users and directories: filters, DNs and answers of all kinds.

A fake directory sends what no real one can be made to send.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode
from ldap3.utils.dn import parse_dn as parsed_by_ldap3

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.ber import MAX_VALUES, Malformed, TooMany, message_size, parse_message
from tokenserver.authn.ldap.deadline import MAX_BYTES, MAX_MESSAGES, Deadline, Unanswerable
from tokenserver.authn.ldap.diagnose import diagnose
from tokenserver.authn.ldap.directory import Address, Directory, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.dn import NotADn, escape_rdn, escape_value, fill, is_below, parse_dn, rdn_values
from tokenserver.authn.ldap.filters import MAX_DEPTH, NotAFilter, check_filter
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials
from tokenserver.identity import Identity

BASE = "dc=example,dc=com"
SPECIAL = r' #\,+"<>;=a%02'
"""Special characters of DNs, and some others."""


# --- DNs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("\\ ", r"\\\ ", id="a blank behind a backslash"),
        pytest.param("a\\ ", r"a\\\ ", id="the same, at the end of a word"),
        pytest.param(" ", r"\ ", id="one blank"),
        pytest.param("  ", r"\ \ ", id="two blanks"),
        pytest.param(" a b ", r"\ a b\ ", id="at both ends, and not within"),
        pytest.param("#a#", r"\#a\#", id="a leading #"),
        pytest.param('a,b+c"d\\e<f>g;h=i', r"a\,b\+c\"d\\e\<f\>g\;h\=i", id="all that is special"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_escaped_in_a_dn(text: str, expected: str) -> None:
    """RFC 4514, section 2.4."""
    assert escape_rdn(text) == expected
    assert parse_dn(f"cn={expected},{BASE}")[0] == (("cn", text),)


@given(st.lists(st.text(st.sampled_from(SPECIAL), max_size=6), min_size=1, max_size=3))
@example(["\\ "])
@example([" \\", "\\ ", "#"])
def test_values_survive_in_any_component(values: list[str]) -> None:
    """Parsed back, a component with several attributes has exactly these values; is_below and ldap3 see the same."""
    rdn = "+".join(f"x{number}={escape_rdn(value)}" for number, value in enumerate(values))
    dn = f"{rdn},{BASE}"
    assert parse_dn(dn)[0] == tuple((f"x{number}", value) for number, value in enumerate(values))
    assert [rdn_values(dn, f"x{number}") for number in range(len(values))] == [(value,) for value in values]
    assert is_below(dn, BASE)
    if all(values):  # ldap3 knows no empty value
        assert len(parsed_by_ldap3(dn)) == len(values) + 2


@given(st.text(st.sampled_from(SPECIAL), min_size=1, max_size=8))
def test_a_hexadecimal_value_is_the_value(text: str) -> None:
    """Every byte as its digits, and the whole as the BER of a string (RFC 4514, sections 2.4 and 3)."""
    digits = "".join(f"\\{byte:02X}" for byte in text.encode())
    assert parse_dn(f"cn={digits},{BASE}")[0] == (("cn", text),)
    for tag in ("04", "0c"):
        encoded = f"#{tag}{len(text):02x}{text.encode().hex()}"
        assert parse_dn(f"cn={encoded} ,{BASE}") == parse_dn(f"cn={escape_rdn(text)},{BASE}")


@given(st.text(st.sampled_from(SPECIAL + "cn\0\n"), max_size=30) | st.text(max_size=30))
def test_any_text_is_a_dn_or_none(text: str) -> None:
    """It raises nothing else."""
    with contextlib.suppress(NotADn):
        assert isinstance(parse_dn(f"cn={text},{BASE}"), tuple)


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(uid={user})",
        "(&(objectClass=person)(|(uid={user})(mail={user})))",
        "( & ( objectClass = person ) (!(nsAccountLock=TRUE)) (uid={user}) )",
        "(mail={user}@example.com)",
        "(cn=*{user}*x)",
        "(uid=*)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
        "(cn:dn:=x)",
        "(:caseExactMatch:=x)",
        r"(cn=\28x\29)",
        "(cn;lang-de=x)",
        "(1.2.3>=5)",
        "(cn~=)",
    ],
)
def test_a_filter(text: str) -> None:
    """It is accepted, and ldap3 can encode it."""
    check_filter(text)
    assert written(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "(&(uid={user})(memberOf=cn=Web Team (x),ou=groups))",
            "is no filter at character 37, near '(x),ou=groups))': "
            r"a parenthesis inside a value is written \28 and \29",
            id="parenthesis",
        ),
        pytest.param(
            "(&(uid={user})(memberOf))",
            "is no filter at character 16, near 'memberOf))': an attribute and = are missing, such as uid=",
            id="no comparison",
        ),
        pytest.param("(uid={user}", "is no filter at its end, near '(uid={user}': a ) is missing", id="open"),
        pytest.param("uid={user}", "is no filter at character 1, near 'uid={user}': a filter begins with (", id="bare"),
        pytest.param("", "is no filter at its end, near '': a filter begins with (", id="empty"),
        pytest.param(
            "(&)", "is no filter at character 3, near ')': & must be followed by a filter in parentheses", id="&"
        ),
        pytest.param("(!(a=b)(c=d))", "is no filter at character 8, near '(c=d))': a ) is missing", id="two negated"),
        pytest.param(
            r"(cn=\2x)",
            r"is no filter at character 5, near '\\2x)': "
            r"a backslash must be followed by two hexadecimal digits; a literal one is written \5c",
            id="escape",
        ),
        pytest.param("(cn=a**b)", "is no filter at character 6, near '**b)': repeated *; one is enough", id="stars"),
        pytest.param(
            "(cn>=a*)",
            r"is no filter at character 7, near '*)': * is a wildcard only after =; a literal one is written \2a",
            id="star elsewhere",
        ),
        pytest.param(
            "({user}=x)",
            "is no filter at character 2, near '{user}=x)': an attribute and = are missing, such as uid=",
            id="a name for an attribute",
        ),
        pytest.param(
            "(cn=a\nb)",
            r"is no filter at character 6, near '\nb)': a non-printable character is written as its bytes, "
            r"such as \c2\a0",
            id="line break",
        ),
    ],
)
def test_no_filter(text: str, problem: str) -> None:
    """The message says where the fault is, and what would be right."""
    with pytest.raises(NotAFilter) as caught:
        check_filter(text)
    assert str(caught.value) == problem


def test_filters_inside_filters() -> None:
    """Deeper than any filter in practice, but bounded: the library that encodes filters is recursive."""
    check_filter("(!" * (MAX_DEPTH - 1) + "(uid={user})" + ")" * (MAX_DEPTH - 1))
    with pytest.raises(NotAFilter, match="more than 20 deep"):
        check_filter("(&" * 5000 + "(uid={user})" + ")" * 5000)


def written(text: str) -> bytes:
    """A filter as encoded by the library."""
    return bytes(encode(compile_filter(parse_filter(text, None, False, False, None, False).elements[0])))


WORDS = [
    "(",
    ")",
    "&",
    "|",
    "!",
    "=",
    "~=",
    ">=",
    ":=",
    ":dn",
    "*",
    "\\",
    "\\2a",
    "{user}",
    "uid",
    "a b",
    " ",
    "é",
    ";x",
]


@given(st.lists(st.sampled_from(WORDS), max_size=14).map("".join) | st.text(max_size=20))
def test_what_is_let_through_can_be_written(text: str) -> None:
    """Any filter accepted at load can be sent at a login without an error, for every user name."""
    with contextlib.suppress(NotAFilter):
        check_filter(text)
        for user in ("ann", "(x)*\\", "é "):
            assert written(fill(text, user))


FILTERS = st.recursive(
    st.sampled_from(["(uid={user})", "(a=*)", "(a=*b*)", "(a:=b)", "(a<=b)", r"(a=\29)"]),
    lambda inner: (
        st.builds(
            lambda mark, parts: f"({mark}{''.join(parts)})",
            st.sampled_from("&|"),
            st.lists(inner, min_size=1, max_size=3),
        )
        | inner.map(lambda one: f"(!{one})")
    ),
    max_leaves=8,
)


@given(FILTERS, st.integers(0, 200), st.sampled_from(["(", ")", "=", "\\", "*", "&", ""]))
def test_a_filter_with_one_fault(text: str, place: int, instead: str) -> None:
    """A valid filter is accepted; with one character added or removed, it is rejected or can still be encoded."""
    check_filter(text)
    assert written(text)
    place %= len(text)
    for broken in (text[:place] + instead + text[place:], text[:place] + text[place + 1 :]):
        with contextlib.suppress(NotAFilter):
            check_filter(broken)
            assert written(broken)


@given(st.binary(max_size=20))
def test_any_value_is_one_value_in_a_filter(value: bytes) -> None:
    """ldap3 decodes arbitrary bytes from a directory to exactly the same bytes."""
    parsed = parse_filter(f"(&(a=b)(uid={escape_value(value)}))", None, False, False, None, False).elements[0]
    assert bytes(compile_filter(parsed)["and"][1]["equalityMatch"]["assertionValue"]) == value


def test_ldap3_refuses_what_is_no_filter() -> None:
    """The generators reach the interesting cases, so the properties above are not vacuous."""
    with pytest.raises(LDAPException):
        written("(&(uid=x)(memberOf=(x)))")


# --- answers ---------------------------------------------------------------------------------------------------------


def tagged(tag: int, content: bytes) -> bytes:
    """One value in BER."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def text(value: bytes) -> bytes:
    """An octet string."""
    return tagged(0x04, value)


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    """An LDAP message."""
    return tagged(0x30, b"\x02\x01" + bytes([number]) + operation + controls)


def result(tag: int, code: int = 0) -> bytes:
    """The result of an operation."""
    return tagged(tag, b"\x0a\x01" + bytes([code]) + text(b"") + text(b""))


def entry(dn: bytes, attributes: dict[bytes, list[bytes]]) -> bytes:
    """An entry."""
    listed = b"".join(
        tagged(0x30, text(name) + tagged(0x31, b"".join(map(text, values)))) for name, values in attributes.items()
    )
    return tagged(0x64, text(dn) + tagged(0x30, listed))


def test_more_values_than_any_answer_has() -> None:
    """Two bytes each, and a hundred in memory: rejected before they are kept."""
    values = b"\x04\x00" * (MAX_VALUES + 1)
    whole = message(1, tagged(0x64, text(b"cn=a") + tagged(0x30, tagged(0x30, text(b"x") + tagged(0x31, values)))))
    with pytest.raises(TooMany):
        parse_message(whole)


def test_what_a_login_may_read() -> None:
    """Bytes and messages are summed over a whole login, across all parts of its deadline."""
    deadline = Deadline(5)
    part = deadline.part(0.5)
    part.read(MAX_BYTES - 1)
    deadline.read(1)
    with pytest.raises(Unanswerable, match=f"larger than a login may cost .{MAX_BYTES} bytes"):
        part.read(1)
    deadline = Deadline(5)
    for _ in range(MAX_MESSAGES):
        deadline.read(1)
    with pytest.raises(Unanswerable):
        deadline.read(1)


Answers = Callable[[int, int], Iterator[bytes]]
"""The number and the tag of a request -> the answer, piece by piece."""


class HangUp(Exception):
    """The directory closes the connection."""


class Rogue:
    """A scripted directory, which counts the bytes that were read from it."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.sent = 0
        self.binds = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                # Several small messages in a row would each wait for the client's delayed acknowledgement.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        data = b""
        with client, contextlib.suppress(OSError, Malformed, HangUp):
            while True:
                size = message_size(data)
                if size is None or len(data) < size:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    data += piece
                    continue
                number, tag = _asked(data[:size])
                data = data[size:]
                self.binds += tag == 0x60
                for answer in self.answers(number, tag):
                    client.sendall(answer)
                    self.sent += len(answer)


def _asked(request: bytes) -> tuple[int, int]:
    """The number and the tag of a request; ours are small enough for one byte of each."""
    start = 2 if request[1] < 0x80 else 2 + request[1] - 0x80
    return request[start + 2], request[start + 3]


@contextmanager
def rogue(answers: Answers) -> Iterator[Rogue]:
    """A running one."""
    server = Rogue(answers)
    try:
        yield server
    finally:
        server.close()


def source(server: Rogue, **more: Any) -> LdapDirectory:
    """The backend that uses it."""
    values: dict[str, Any] = {
        "name": "corp",
        "servers": (Address(f"ldap://127.0.0.1:{server.port}", "127.0.0.1", server.port, is_ldaps=False),),
        "base": BASE,
        "subject": "uid",
        "display_name": "cn",
        "email": "mail",
        "lowercase": True,
        "deadline": 3.0,
        "plaintext": True,
        "bind": ("cn=reader", Secret("reader")),
        "user_filter": "(uid={user})",
        "groups": GroupSettings(GroupsBy.MEMBER, BASE),
    }
    return LdapDirectory(Directory(**(values | more)), None)


LOGIN = Password("ann", Secret("secret"))


def outcome(asked: LdapDirectory) -> Identity | Exception | None:
    """The outcome of a login; any other exception is a bug."""
    try:
        return asked.authenticate(LOGIN)
    except (InvalidCredentials, BackendUnavailable) as error:
        return error


NUMBER = 0xEE
"""Placeholder for the number of the request in prepared answers."""


def numbered(pieces: Iterable[bytes], number: int) -> Iterator[bytes]:
    """Prepared messages as answers to the request of that number."""
    for piece in pieces:
        yield piece.replace(b"\x02\x01\xee", b"\x02\x01" + bytes([number]))


def answering(pieces: Iterable[bytes]) -> Answers:
    """A directory whose service account may bind, and that answers every search with these pieces."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61))
        elif tag == 0x63:
            yield from numbered(pieces, number)

    return answers


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"x" * 60_000]})), id="entries"),
        pytest.param(message(NUMBER, entry(b"uid=a", {b"uid": [b"x" * 5_000_000]})), id="large entries"),
        pytest.param(message(NUMBER, tagged(0x73, text(b"ldap://x"))) * 2000, id="references"),
        pytest.param(message(NUMBER, entry(b"uid=a", {b"uid": [b""] * 150_000})), id="values"),
    ],
)
def test_an_endless_answer_before_the_password_is_checked(piece: bytes) -> None:
    """However large it is, no more is read than the limit of a login, and no password is tried. The directory does
    answer, so it is not marked as down for other logins.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with rogue(answering(itertools.repeat(piece))) as server:
        found = outcome(source(server, deadline=10.0))
        assert isinstance(found, Incomplete), found
        assert "than a login may cost" in found.reason or "an entry contains more than" in found.reason
        assert server.binds == 1  # the service account's
    # What was read, what the two sockets hold, and the piece that was on its way.
    assert server.sent <= MAX_BYTES + 16 * 1024 * 1024 + len(piece)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # in KiB


def test_entries_that_were_not_asked_for_are_not_kept() -> None:
    """A directory that ignores the size limit: the name is ambiguous, as with two entries."""
    one = message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"ann"]}))
    with rogue(answering([one * 5000, message(NUMBER, result(0x65))])) as server:
        found = outcome(source(server))
        assert isinstance(found, InvalidCredentials)
        assert found.reason == "ambiguous: several entries match the user name"


@pytest.mark.parametrize("code", [4, 11])
def test_groups_that_are_cut_off(code: int) -> None:
    """The directory's own limit is reported as such: 503, and not as a user in too many groups."""
    found = message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"ann"]}))
    searches = 0

    def answers(number: int, tag: int) -> Iterator[bytes]:
        nonlocal searches
        if tag == 0x60:
            yield message(number, result(0x61))
            return
        searches += 1
        ends = (found, message(NUMBER, result(0x65))) if searches == 1 else (message(NUMBER, result(0x65, code)),)
        yield from numbered(ends, number)

    with rogue(answers) as server:
        cut_off = outcome(source(server))
        assert isinstance(cut_off, Incomplete)
        assert cut_off.reason.startswith("the directory returns no more than 0 groups of the user (the directory's ")
        assert "raise the limit" in cut_off.reason


def test_a_request_that_cannot_be_written() -> None:
    """Any error of the library about a filter that was not checked: 503, and no server is marked as down."""
    with rogue(answering([message(NUMBER, result(0x65))])) as server:
        asked = source(server, user_filter="(&(uid={user})(memberOf))")
        for _ in range(4):
            found = outcome(asked)
            assert isinstance(found, Incomplete)
            assert found.reason.startswith("the request cannot be encoded: LDAPInvalidFilterError; correct user_filter")
        assert asked.servers._servers[0].down_until == 0


BYTES = st.binary(max_size=12) | st.sampled_from(
    [
        b"ann",
        b"\xff",
        b"",
        b"a\0b",
        b"512",
        b"514",
        b"cn=web," + BASE.encode(),
        b"cn=#04",
        b"x" * 300,
        b"133000000000000000",
    ]
)
NAMES = st.sampled_from(
    [
        *(b"uid", b"cn", b"mail", b"memberOf", b"memberOf;range=0-1", b"gidNumber", b"objectSid", b"primaryGroupID"),
        *(b"objectClass", b"userAccountControl", b"accountExpires", b"pwdAccountLockedTime", b"shadowExpire"),
        *(b"cn;lang-de", b"x"),
    ]
)
ENTRIES = st.builds(
    entry,
    st.sampled_from([b"uid=ann," + BASE.encode(), b"cn=web," + BASE.encode(), b"", b"nonsense", b"cn=a\\"]) | BYTES,
    st.dictionaries(NAMES, st.lists(BYTES, max_size=3), max_size=6),
)
ENDS = st.builds(result, st.just(0x65), st.sampled_from([0, 0, 0, 3, 4, 10, 11, 32, 50, 51, 99]))
COOKIES = st.sampled_from(
    [b"", tagged(0xA0, tagged(0x30, text(b"1.2.840.113556.1.4.319") + text(b"\x30\x06\x02\x01\x00\x04\x01x")))]
)
MESSAGES = st.builds(lambda operation, controls: message(NUMBER, operation, controls), ENTRIES | ENDS, COOKIES)
ANSWERS = st.lists(st.lists(MESSAGES | st.binary(max_size=30), max_size=4), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def talker() -> Iterator[tuple[Rogue, list[list[bytes]]]]:
    """A directory that answers its searches with the items of the list, in order."""
    script: list[list[bytes]] = []

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61))
        elif tag == 0x63:
            pieces = script.pop(0) if script else []
            yield from numbered(pieces, number)
            if any(not piece.startswith(b"\x30\x84") for piece in pieces):
                raise HangUp  # after garbage, which may look like the beginning of much more
            yield message(number, result(0x65))

    with rogue(answers) as server:
        yield server, script


@given(
    ANSWERS,
    st.sampled_from(GroupsBy),
    st.sampled_from([None, *Primary]),
    st.booleans(),
)
@settings(
    max_examples=min(settings().max_examples, 5_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_answers(
    talker: tuple[Rogue, list[list[bytes]]],
    script: list[list[bytes]],
    by: GroupsBy,
    kind: Primary | None,
    by_rule: bool,
) -> None:
    """Any answer of a directory results in an identity, in None, or in one of the two documented errors, for logins
    and for the queries of commands. An identity is the user that was asked for.
    """
    server, answers = talker
    asked = source(server, groups=GroupSettings(by, BASE, by_rule=by_rule, primary=kind), deadline=1.0)
    answers[:] = list(script)
    found = outcome(asked)
    assert found is None or isinstance(found, (Identity, InvalidCredentials, BackendUnavailable))
    if isinstance(found, Identity):
        assert found.subject
        assert all(0 < len(name) <= 255 and "\0" not in name for name in found.groups)
    for question in (lambda: asked.look_up("ann"), asked.subjects, asked.unnameable_groups, asked.probe):
        answers[:] = list(script)
        with contextlib.suppress(InvalidCredentials, BackendUnavailable):
            question()
    answers[:] = list(script)
    assert all(step.result for step in diagnose(asked, "ann", Secret("secret")))
