"""Verification of chains: every change of any line is found and named, however chains and files are mixed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from audit_chains import Writer, chain, key, verify
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.chain import verifier as verification
from tokenserver.audit.chain.findings import LogPlace
from tokenserver.audit.chain.verifier import TooScattered
from tokenserver.exchange.audit_chain.links import GROUP, read_link
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.exchange.sink_state import BROKEN, WHOLE

SIGNS = key()
CORPUS = Path(__file__).parents[2] / "corpus" / "audit_chain"
FORMER = 32
"""Lines of a group as the first servers wrote them, of which short chains have several."""

CHAINS = (chain(5, 4, signs=SIGNS), chain(70, signs=SIGNS, group=FORMER), chain(2, 2, 2, signs=SIGNS))
LONGEST = max(map(len, CHAINS))


@st.composite
def mixed(draw: st.DrawFn) -> list[bytes]:
    """The lines of several chains in any interleaving that keeps the order of each."""
    chains = [[*one] for one in draw(st.permutations(CHAINS))[: draw(st.integers(1, len(CHAINS)))]]
    found = []
    while left := [one for one in chains if one]:
        found.append(draw(st.sampled_from(left)).pop(0))
    return found


@st.composite
def cut_into_files(draw: st.DrawFn, lines: list[bytes]) -> dict[str, list[bytes]]:
    """The lines in consecutive files, which are named in any order."""
    ends = sorted(draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    files = {
        f"log.{number}": lines[start:end]
        for number, (start, end) in enumerate(zip([0, *ends], [*ends, len(lines)], strict=True))
    }
    return {name: files[name] for name in draw(st.permutations([*files]))}


@given(st.data())
def test_whole_chains_are_whole(data: st.DataObject) -> None:
    """In any interleaving, cut into any files, in any order of the files."""
    files = data.draw(cut_into_files(data.draw(mixed())))
    found = verify(files)
    assert (found.findings, found.notes) == ([], [])
    assert all(one.is_closed and one.first == 1 for one in found.chains)


@given(st.data())
def test_any_change_of_one_line_is_found(data: st.DataObject) -> None:
    """A flipped bit, a removed, repeated or moved line, or one that was made after another and put in."""
    lines = data.draw(mixed())
    change = data.draw(st.sampled_from(["flip", "remove", "repeat", "insert", "move"]))
    at = data.draw(st.integers(0, len(lines) - 1))
    changed = [*lines]
    if change == "flip":
        line = bytearray(lines[at])
        line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        changed[at : at + 1] = bytes(line).split(b"\n")
    elif change == "remove":
        if _is_last_or_first(lines, at):
            return
        del changed[at]
    elif change == "repeat":
        changed.insert(data.draw(st.integers(0, len(lines))), lines[at])
    elif change == "insert":
        made = lines[at].replace(b'"time":"2027', b'"time":"2028')
        changed.insert(data.draw(st.integers(0, len(lines))), made)
    else:
        moved = changed.pop(at)
        changed.insert(data.draw(st.integers(0, len(changed))), moved)
        if [line for line in changed if _id(line) == _id(moved)] == [line for line in lines if _id(line) == _id(moved)]:
            return
    found = verify(changed)
    if change == "flip" and _is_last_or_first(lines, at):
        assert found.findings or found.notes
    else:
        assert found.findings


def _id(line: bytes) -> str:
    return str(json.loads(line)["chain"].partition(":")[0])


def _is_last_or_first(lines: list[bytes], at: int) -> bool:
    """Whether the line is the last or the first one of its chain: nothing in the log shows that it was there."""
    same = [number for number, line in enumerate(lines) if _id(line) == _id(lines[at])]
    return at in (same[0], same[-1])


@given(st.sampled_from(CHAINS[:2]), st.data(), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_named(lines: list[bytes], data: st.DataObject, byte: int, bit: int) -> None:
    """At its own line or group, or as missing between its neighbours where nothing can be read any more."""
    at = data.draw(st.integers(1, len(lines) - 2))
    line = bytearray(lines[at])
    line[byte % len(line)] ^= 1 << bit
    findings = verify([*lines[:at], *bytes(line).split(b"\n"), *lines[at + 1 :]]).findings
    assert findings
    first, last = min(one.place for one in findings), max(one.end or one.place for one in findings)
    assert first.line <= at + 1
    assert last.line >= at
    assert all(one.place.line <= at + 2 and (one.end or one.place).line >= at for one in findings)


A, B = CHAINS[0], CHAINS[1]
FLIPPED = A[4].replace(b"exchange", b"exchanGe")
TAKEN_OFF = B[32][:-67] + B[32][-2:]
LONG = chain(600, signs=SIGNS)
LONG_TAKEN_OFF = LONG[GROUP][:-67] + LONG[GROUP][-2:]

ROWS = [
    pytest.param([*A[:4], FLIPPED, *A[5:]], [("changed", "log:1")], id="an event was changed"),
    pytest.param(
        [*A[:4], A[4].replace(b":5", b":6"), *A[5:]],
        [("changed", "log:6"), ("removed", "log:4")],
        id="a number was changed",
    ),
    pytest.param([*A[:4], A[4][:-10] + b"AAAAA" + A[4][-5:], *A[5:]], [("removed", "log:4")], id="an id was changed"),
    pytest.param(
        [*B[:32], B[32].replace(B[32][-12:-4], b"00000000"), *B[33:]],
        [("changed", "log:1"), ("changed", "log:33")],
        id="a digest was changed",
    ),
    pytest.param(
        [*LONG[:GROUP], LONG_TAKEN_OFF, *LONG[GROUP + 1 :]],
        [("changed", "log:1"), ("changed", f"log:{GROUP + 1}")],
        id="a digest was taken off",
    ),
    pytest.param([*B[:32], TAKEN_OFF, *B[33:]], [("changed", "log:1")], id="a digest of a short group was taken off"),
    pytest.param([*A[:4], *A[5:]], [("removed", "log:4")], id="a line was removed"),
    pytest.param([*A[:4], *A[7:]], [("removed", "log:4")], id="three lines were removed"),
    pytest.param([*A[:4], A[5], A[4], *A[6:]], [("reordered", "log:6")], id="two lines changed places"),
    pytest.param([*A[:5], A[4], *A[5:]], [("duplicated", "log:6")], id="a line is there twice"),
    pytest.param(
        {"new": A[5:], "old": [*A[:4], FLIPPED]}, [("changed", "old:1")], id="the last line of a file that is read late"
    ),
    pytest.param(
        {"first": A[:3], "third": A[6:], "second": [A[3], FLIPPED, A[5]]},
        [("changed", "first:1")],
        id="the last but one of a file between two others",
    ),
    pytest.param([*A[:5], *A], [("duplicated", "log:6")], id="many lines are there twice"),
    pytest.param([*A[:8], A[3], *A[8:]], [("duplicated", "log:9")], id="an earlier line is there once more"),
    pytest.param({"a": B[:50], "b": B[36:]}, [("duplicated", "b:1")], id="two files overlap within a group"),
    pytest.param({"a": B[:50], "b": B[20:]}, [("duplicated", "b:1")], id="two files overlap by more than that"),
    pytest.param(
        {"a": B[:50], "b": [*B[20:40], B[40].replace(b"exchange", b"exchanGe"), *B[41:]]},
        [("changed", "b:13"), ("duplicated", "b:1")],
        id="two files overlap and differ",
    ),
    pytest.param(
        {"a": LONG[:160], "b": [*LONG[160:GROUP], LONG_TAKEN_OFF, *LONG[GROUP + 1 : 360]], "c": LONG[360:]},
        [("changed", "a:1"), ("changed", "a:1")],
        id="a digest was taken off in a file between others",
    ),
    pytest.param(
        {"a": LONG[:300], "b": [*LONG[20:GROUP], LONG_TAKEN_OFF, *LONG[GROUP + 1 : 500]], "c": LONG[500:]},
        [("changed", "b:1"), ("duplicated", "b:1"), ("changed", f"a:{GROUP + 1}")],
        id="a digest was taken off in a file that overlaps",
    ),
    pytest.param(
        [A[0][:-67] + A[0][-2:], *A[1:]],
        [("forged seal", "log:1"), ("changed", "log:1"), ("changed", "log:1")],
        id="the first digest was taken off",
    ),
    pytest.param(
        [*A[:5], b'{"time":"2027-01-31T12:00:05.000Z","event":"exchange"}', *A[5:]],
        [("not in a chain", "log:6")],
        id="an event was added",
    ),
    pytest.param(
        [*A[:4], b'{"event":"exchange","time":"2027","chain":"x"}', *A[5:]],
        [("encoded again", "log:5"), ("removed", "log:4")],
        id="an event was encoded once more",
    ),
    pytest.param([*A[:4], FLIPPED, *A[5:7], *B], [("changed", "log:1")], id="another chain is not concerned"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "told"), ROWS)
def test_what_is_found(lines: list[bytes] | dict[str, list[bytes]], told: list[tuple[str, str]]) -> None:
    """The kind and the line, in one file or in several."""
    assert verify(lines).told == told


def written_again(lines: list[bytes], at: int, line: bytes) -> list[bytes]:
    """The lines with another one at `at`, and all digests made to fit, as somebody does who knows how."""
    found: list[bytes] = []
    group = b""
    for one in [*lines[:at], line, *lines[at + 1 :]]:
        link = read_link(json.loads(one)["chain"])
        assert link is not None
        if link.digest:
            found.append(one.replace(link.digest.encode(), hashlib.sha256(group).hexdigest().encode()))
            group = b""
        else:
            found.append(one)
        group += found[-1] + b"\n"
    return found


def test_a_changed_line_is_named_by_its_group() -> None:
    """With its numbers and places: the lines that one digest is about, and the line that has the digest."""
    lines = [*B[:40], B[40].replace(b"exchange", b"exchanGe"), *B[41:]]
    [finding] = verify({"a": lines[:36], "b": lines[36:]}).findings
    assert (str(finding.place), str(finding.end)) == ("a:33", "b:29")
    assert finding.message == "one of the numbers 33 to 65 (until b:29) is not what the server wrote"


def test_lines_that_are_written_again() -> None:
    """All links fit, but the seals are of other links."""
    found = verify(written_again(A, 4, FLIPPED))
    seals = [number for number, line in enumerate(A, 1) if b"audit_seal" in line]
    assert found.told == [("forged seal", f"log:{number}") for number in seals if number > 5]
    assert "the lines before it were written again" in found.findings[0].message


def test_the_tail_after_the_last_seal(writer: Writer) -> None:
    """Whoever can write to the log can write it again, with digests that fit: nothing is found, and it is named as what
    nothing proves; a seal, which comes within a minute, proves it. See docs/design/threats.md#threat-250.
    """
    writer.write(5)
    writer.seal()
    sealed = len(writer.lines)
    for _ in range(GROUP + 20):
        writer.put()
    forged = written_again(writer.lines, sealed + 3, writer.lines[sealed + 3].replace(b"exchange", b"exchanGe"))
    found = verify(forged)
    assert found.findings == []
    assert f"the last {GROUP + 20} lines, until number {len(forged)}, are not sealed" in found.notes[0]
    assert [kind for kind, _ in verify([*forged[: sealed + 9], *forged[sealed + 10 :]]).told] == ["removed"]
    writer.seal()
    [finding] = verify([*forged, writer.lines[-1]]).findings
    assert (finding.kind, finding.place.line, finding.end) == (
        "changed",
        sealed + GROUP,
        LogPlace("log", len(forged) + 1),
    )


def test_a_log_of_the_first_servers() -> None:
    """Their groups had 32 lines; each line is proven, and a changed one is named by its group."""
    lines = (CORPUS / "groups-of-32.jsonl").read_bytes().splitlines()
    keys = SealKeys([x509.load_pem_x509_certificate((CORPUS / "ca.pem").read_bytes())])
    found = verify(lines, keys)
    assert (found.findings, found.notes, found.chains[0].is_closed) == ([], [], True)
    for at in range(1, len(lines) - 1):
        changed = [*lines[:at], lines[at].replace(b"2027", b"2028", 1), *lines[at + 1 :]]
        [finding] = verify(changed, keys).findings
        assert finding.end is not None
        assert (finding.kind, finding.place.line <= at + 1 <= finding.end.line) == ("changed", True)
        assert finding.end.line - finding.place.line <= FORMER


def test_a_seal_of_another_key() -> None:
    """It is not known whose it is, unless its authority is named."""
    found = verify(A, SealKeys([]))
    assert {kind for kind, _ in found.told} == {"unknown key"}
    assert SIGNS.thumbprint in found.findings[0].message
    assert verify(A, SealKeys([], [SIGNS.thumbprint])).findings == []


def test_a_seal_that_was_made_up() -> None:
    """A seal by a key without a certificate, and one of another chain."""
    seal, another = (json.dumps(json.loads(line)["seal"], separators=(",", ":")).encode() for line in (A[0], B[0]))
    assert seal in A[0]
    assert ("forged seal", "log:1") in verify([A[0].replace(seal, another), *A[1:]]).told
    for wrong in (seal[:-10] + b'AAAAAAAA"}', b'"text"', b"{}", b'{"protected":1,"payload":2,"signature":3}'):
        assert ("forged seal", "log:1") in verify([A[0].replace(seal, wrong), *A[1:]]).told
    broken = [A[0].replace(b"signature", b"signatare"), *A[1:]]
    assert ("forged seal", "log:1") in verify(broken).told


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """A server, which has written its first seal."""
    writer = Writer(tmp_path / "lines", SIGNS)
    writer.sealer.check()
    return writer


def test_lines_that_are_not_sealed_yet(writer: Writer) -> None:
    """The last lines of a server that runs, or was ended by force, are listed; that is no finding."""
    writer.write(3)
    found = verify(writer.lines)
    assert found.findings == []
    assert "the last 3 lines, until number 4, are not sealed" in found.notes[0]
    [summary] = found.chains
    assert (summary.first, summary.last, summary.sealed, summary.is_closed) == (1, 4, 1, False)


def test_lines_that_nobody_sealed(writer: Writer) -> None:
    """A server that goes on for minutes without a seal does not exist: somebody removed them, or it cannot sign."""
    writer.write(300)
    assert verify(writer.lines).told == [("not sealed", "log:301")]


def test_a_chain_without_any_seal(tmp_path: Path) -> None:
    """Anybody can have written it, and that is said; so it is of a worker that was killed in its first second."""
    writer = Writer(tmp_path / "lines", SIGNS)
    writer.write(3)
    found = verify(writer.lines)
    assert found.findings == []
    assert "it has no seal at all, so nothing proves that the server wrote it" in found.notes[0]


def test_lines_after_the_closing_seal(writer: Writer) -> None:
    """They are sealed by the next one, as a worker writes it that ends later."""
    writer.sealer.close()
    writer.write(1)
    assert "are not sealed" in verify(writer.lines).notes[0]
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes, found.chains[0].is_closed) == ([], [], True)


def test_a_chain_without_its_end(writer: Writer) -> None:
    """Where the last line is a seal that does not close, lines after it would not be missed, and that is said."""
    writer.write(1)
    writer.seal()
    found = verify(writer.lines)
    assert found.findings == []
    assert "without its closing seal" in found.notes[0]


def test_a_chain_without_its_beginning() -> None:
    """Old files are deleted some day: that is no finding, but it is said."""
    found = verify(A[3:])
    assert found.findings == []
    expected = f"chain {_id(A[0])} begins with number 4 (log:1): earlier lines are not in these files"
    assert found.notes == [f"{expected}, so no digest proves numbers 4 to 6"]


def test_a_chain_without_its_first_groups() -> None:
    """What begins with a digest is proven from there on."""
    found = verify(B[32:])
    assert found.findings == []
    [note] = found.notes
    assert note.endswith("begins with number 33 (log:1): earlier lines are not in these files")
    assert "numbers 36 to 64" in verify({"b": B[40:], "a": B[35:40]}).notes[0]
    changed = [*B[32:50], B[50].replace(b"exchange", b"exchanGe"), *B[51:]]
    assert verify(changed).told == [("changed", "log:1")]


def test_the_key_rotates(writer: Writer) -> None:
    """A chain goes on under another key, of the same authority."""
    writer.write(2)
    writer.seal()
    writer.key = key("second")
    writer.write(2)
    writer.seal()
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes) == ([], [])


def test_events_from_before_the_chain() -> None:
    """They are counted, and no finding; the other way round they are."""
    before = b'{"time":"2027-01-31T11:00:00.000Z","event":"exchange"}'
    found = verify([before, before, *A])
    assert (found.findings, found.verifier.loose) == ([], 2)


def test_other_lines_are_ignored() -> None:
    """Of the log, of other programs, and no JSON at all."""
    other = [b"", b"plain text", b'{"level":"info","message":"ready"}', b'{"log":', b"\xff\xfe"]
    lines = [line for event in A for line in (*other, event)]
    assert (verify(lines).findings, verify(lines).verifier.events) == ([], len(A))


@pytest.mark.parametrize("at", [2, 4], ids=["changed in one file", "changed in the other"])
def test_a_change_where_files_meet(at: int) -> None:
    """The group is named that was changed, although it is in two files."""
    changed = [*A[:at], A[at].replace(b"exchange", b"exchanGe"), *A[at + 1 :]]
    for cut in range(1, len(A)):
        for files in ({"a": changed[:cut], "b": changed[cut:]}, {"b": changed[cut:], "a": changed[:cut]}):
            assert verify(files).told == [("changed", "a:1")]


@pytest.mark.parametrize("at", [32, 64, 71], ids=["a digest", "the next one", "that of a seal"])
def test_a_digest_that_was_changed_where_files_meet(at: int) -> None:
    """Both groups are named: the one that it is about, and the one that it is in."""
    changed = [*B[:at], B[at][:-20] + bytes(B[at][-20:-2])[::-1] + B[at][-2:], *B[at + 1 :]]
    assert read_link(json.loads(changed[at])["chain"]) is not None
    before = max(number for number in (0, 32, 64) if number < at)
    expected = {("changed", before), ("changed", at)} | ({("forged seal", at)} if b"audit_seal" in B[at] else set())
    for cut in range(1, len(B)):
        found = verify({"a": changed[:cut], "b": changed[cut:]})
        places = {(kind, f"a:{at + 1}" if at < cut else f"b:{at + 1 - cut}") for kind, at in expected}
        assert places == set(found.told), cut


def test_two_files_with_different_lines_of_one_number() -> None:
    """Somebody added a line at the end of a file, where the next one goes on."""
    forged = A[4].replace(b"exchange", b"exchanGe")
    assert set(verify({"a": [*A[:4], forged], "b": A[4:]}).told) == {
        ("changed", "b:1"),
    }


def test_scattered_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take more memory than there may be ends the verification."""
    monkeypatch.setattr(verification, "MAX_HELD", 1_000)
    with pytest.raises(TooScattered):
        verify([A[number] for number in (1, 3, 5, 7, 9, 11)])


def test_lines_of_one_chain_in_two_files_by_turns() -> None:
    """As collectors with several outputs write them."""
    assert verify({"odd": A[1::2], "even": A[::2]}).findings == []


def test_many_lines_take_little_memory(writer: Writer) -> None:
    """A chain in order is one run, however long it is."""
    writer.write(100)
    writer.seal()
    found = verify(writer.lines)
    assert found.verifier.events == 102
    [run] = found.verifier._runs[_id(writer.lines[0])]
    assert run.held <= GROUP * max(map(len, writer.lines))


def cut_off(writer: Writer, *, is_whole: bool = False) -> None:
    """A line whose rest could not be written, or was kept and written later by another process."""
    line = writer.sink._linked(writer.event())
    assert writer.sink._ended()
    writer.sink._begin_line()
    os.write(writer.descriptor, line if is_whole else line[:-20])
    writer.sink.state.ending = WHOLE if is_whole else BROKEN


def whole_after(writer: Writer) -> list[bytes]:
    """The lines, after two more and the closing seal."""
    writer.write(2)
    writer.sealer.close()
    return writer.lines


CUTS = [
    pytest.param([False], ["number 2 after log:1"], id="a fragment"),
    pytest.param([False, False], ["numbers 2 to 3 after log:1"], id="two fragments"),
    pytest.param([True], ["number 2 before log:3"], id="a whole line"),
    pytest.param([True, True], ["number 2 before log:3", "number 3 before log:4"], id="two whole lines"),
    pytest.param([True, False], ["number 3 after log:2", "number 2 before log:4"], id="a whole line and a fragment"),
    pytest.param([False, True], ["number 2 after log:1", "number 3 before log:4"], id="a fragment and a whole line"),
]


@pytest.mark.parametrize(("cuts", "noted"), CUTS)
def test_lines_that_were_cut_off(writer: Writer, cuts: list[bool], noted: list[str]) -> None:
    """The server says so itself, so that they are noted; wherever files are cut. Other missing lines are found."""
    for is_whole in cuts:
        cut_off(writer, is_whole=is_whole)
    lines = whole_after(writer)
    found = verify(lines)
    assert (found.findings, len(found.notes)) == ([], len(noted))
    assert all(expected in note for expected, note in zip(noted, found.notes, strict=True))
    for cut in range(1, len(lines)):
        parts = verify({"log": lines[:cut], "rest": lines[cut:]})
        assert (parts.findings, len(parts.notes)) == ([], len(noted))
        assert verify({"rest": lines[cut:], "log": lines[:cut]}).findings == []


def test_a_line_before_what_was_cut_off(writer: Writer) -> None:
    """It is proven by the next whole line: a change, or its removal, is found."""
    writer.write(2)
    cut_off(writer)
    lines = whole_after(writer)
    changed = [*lines[:2], lines[2].replace(b"exchange", b"exchanGe"), *lines[3:]]
    assert verify(changed).told == [("changed", "log:1")]
    assert verify([*lines[:2], *lines[3:]]).told == [("removed", "log:2")]


def test_a_removed_line_does_not_pass_for_one_that_was_cut_off(writer: Writer) -> None:
    """Elsewhere it is missing; and what a link says about cut lines is in the next digest."""
    writer.write(3)
    cut_off(writer)
    lines = whole_after(writer)
    for at in (1, 2, 3, 6):
        assert [kind for kind, _ in verify([*lines[:at], *lines[at + 1 :]]).told] == ["removed"]
    at = next(number for number, line in enumerate(lines) if line.endswith(b':1"}') and number > 3)
    claims_more = [*lines[:2], *lines[4:at], lines[at].replace(b':1"}', b':3"}'), *lines[at + 1 :]]
    assert "changed" in {kind for kind, _ in verify(claims_more).told}


def test_a_chain_whose_first_line_was_cut_off(tmp_path: Path) -> None:
    """It begins with number 2, and says so."""
    writer = Writer(tmp_path / "first", SIGNS)
    cut_off(writer)
    found = verify(whole_after(writer))
    assert found.findings == []
    assert "number 1 before log:2 could not be written as a whole" in found.notes[0]
    assert len(found.notes) == 1


def test_times_that_cannot_be_read(writer: Writer) -> None:
    """They are changes, which are found as such."""
    writer.write(3)
    lines = writer.lines
    lines[1] = lines[1].replace(b'"2027-', b'"20x7-')
    assert verify(lines).told == []
    writer.sealer.close()
    assert verify([*lines, *writer.lines[len(lines) :]]).told == [("changed", "log:1")]


def test_an_event_with_a_link_that_is_none() -> None:
    """Its line was changed."""
    lines = [*A[:4], A[4].replace(b'"}', b'?"}'), *A[5:]]
    assert verify(lines).told == [("changed", "log:5"), ("removed", "log:4")]
