"""Changes of the ring: the whole life of a key, concurrent processes, crashes between any two writes, bad input."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from forked_processes import Forked
from key_operations import DAY, HOUR, NOW, carried
from rsa_keys import rsa_2048

from tokenserver.documents.files import write_file
from tokenserver.errors import LoadError
from tokenserver.keys import ring_operations
from tokenserver.keys.certificates import generate_p256, make_ca, private_pem
from tokenserver.keys.key_pair import KeyPair, issue_pair, read_pair
from tokenserver.keys.layout import KeyFolder, KeysBusy
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.ring_file import read_entries
from tokenserver.keys.ring_operations import RingChange, RingOperationRefused, RingOperations
from tokenserver.keys.schedule import LEEWAY, RotationStep, Schedule
from tokenserver.keys.store import init_keys, load_keys

SCHEDULE = Schedule(publish_ahead=HOUR, longest_token=HOUR, rotate_every=30 * DAY)


@pytest.fixture
def changes(folder: Path) -> RingOperations:
    return RingOperations(folder, "a", SCHEDULE, patience=0)


def states(folder: Path) -> list[tuple[str, str]]:
    return [(key["id"], key["state"]) for key in json.loads((folder / "ring.json").read_text())["keys"]]


def signing_files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "signing").iterdir())


def pair_names(*ids: str) -> list[str]:
    return sorted(f"{key_id}{suffix}" for key_id in ids for suffix in (".key", ".pem"))


def test_a_whole_life(folder: Path, changes: RingOperations) -> None:
    """By the timer alone: nothing, prepared, known, signing, retired, gone; the published keys fit each phase."""
    first = load_keys(folder, now=NOW).active.id
    made_at = NOW + 30 * DAY - HOUR
    switched_at = made_at + HOUR
    gone_at = switched_at + HOUR + LEEWAY
    second = timedelta(seconds=1)
    done: list[tuple[RotationStep | None, list[str]]] = []
    for now in (made_at - second, made_at, switched_at - second, switched_at, gone_at - second, gone_at):
        change = changes.advance(now)
        published = [key.id for key in load_keys(folder, now=now).published()]
        done.append((None if change is None else change.step, published))
    new = load_keys(folder, now=NOW + 31 * DAY).active.id
    assert done == [
        (None, [first]),
        (RotationStep.PREPARE, [first, new]),
        (None, [first, new]),
        (RotationStep.SWITCH, [new, first]),
        (None, [new, first]),
        (RotationStep.FORGET, [new]),
    ]
    assert signing_files(folder) == pair_names(new)


def test_ten_years_of_rotation(folder: Path, changes: RingOperations) -> None:
    """Months pass; the ring stays small, whole and valid, until the CA itself ends."""
    now, actives = NOW, set()
    for _ in range(80):
        now += 15 * DAY
        for _ in range(3):
            change = changes.advance(now)
            now += 2 * HOUR
            if change is not None:
                actives.add(change.ring.active.id)
        assert len(load_keys(folder, now=now).published()) <= 2
    assert len(actives) > 35


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_new_key_is_of_the_same_kind(tmp_path: Path, algorithm: Algorithm) -> None:
    """Unless another one is asked for."""
    init_keys(tmp_path / "keys", issuer="a", algorithm=algorithm, now=NOW)
    changes = RingOperations(tmp_path / "keys", "a", SCHEDULE)
    made = changes.prepare(NOW).ring.next[0]
    assert (made.algorithm, made.not_after) == (algorithm, NOW + SCHEDULE.certificate_lifetime)
    changes.retire(made.id, NOW)
    assert changes.prepare(NOW, Algorithm.RS256).ring.next[0].algorithm is Algorithm.RS256


def test_by_hand(changes: RingOperations) -> None:
    """Prepared once; switched early only if requested, and only if there is a next key."""
    with pytest.raises(RingOperationRefused, match="there is no next key to switch to"):
        changes.switch(NOW)
    made = changes.prepare(NOW)
    with pytest.raises(RingOperationRefused, match=f"the key {made.key_id} is published as next already"):
        changes.prepare(NOW)
    with pytest.raises(RingOperationRefused, match=f"the key {made.key_id} may sign from 2027-01-31 13:00:00 UTC on"):
        changes.switch(NOW + HOUR - timedelta(seconds=1))
    assert changes.switch(NOW, early=True).ring.active.id == made.key_id
    another = changes.prepare(NOW).key_id
    assert changes.switch(NOW + HOUR).ring.active.id == another


def test_an_expired_key_is_replaced_at_once(folder: Path, changes: RingOperations) -> None:
    """Registries refuse everything anyway, so there is nothing to wait for; such a ring does not serve but changes."""
    now = NOW + 900 * DAY
    with pytest.raises(LoadError, match="expired on"):
        load_keys(folder, now=now)
    changes.prepare(now)
    change = changes.switch(now)
    assert load_keys(folder, now=now).active.id == change.key_id


def test_a_key_of_the_future_is_not_switched_to(folder: Path, changes: RingOperations) -> None:
    """A key created with a clock a day ahead: the ring keeps serving, and the key waits, even if forced.

    See docs/design/threats.md#fault-21.
    """
    first = load_keys(folder, now=NOW).active.id
    changes.prepare(NOW + DAY)
    assert load_keys(folder, now=NOW).active.id == first
    with pytest.raises(LoadError, match="is not valid before 2027-02-01 11:00 UTC; is this clock right"):
        changes.switch(NOW, early=True)
    assert changes.advance(NOW) is None


def test_the_time_of_a_ring_without_times(folder: Path, changes: RingOperations) -> None:
    """An older or hand-made `ring.json`: an active key counts from its making, the others from the file's change."""
    made = changes.prepare(NOW).key_id
    ring = folder / "ring.json"
    content = json.loads(ring.read_text())
    for key in content["keys"]:
        del key["since"]
    ring.write_text(json.dumps(content))
    os.utime(ring, ((NOW + DAY).timestamp(),) * 2)
    found = load_keys(folder, now=NOW + DAY)
    assert (found.active.since, found.next[0].since, found.next[0].id) == (NOW, NOW + DAY, made)


def test_retire(folder: Path, changes: RingOperations) -> None:
    """A next key is removed immediately, a retired one after its last token, the active one never."""
    first = load_keys(folder, now=NOW).active.id
    unused = changes.prepare(NOW).key_id
    assert changes.retire(unused, NOW).ring.next == ()
    second = changes.prepare(NOW).key_id
    changes.switch(NOW, early=True)
    with pytest.raises(
        RingOperationRefused, match=f"tokens of the key {first} are valid until 2027-01-31 13:05:00 UTC"
    ):
        changes.retire(first, NOW + HOUR)
    with pytest.raises(RingOperationRefused, match=f"the key {second} signs; replace it with: tokenserver keys rotate"):
        changes.retire(second, NOW)
    with pytest.raises(RingOperationRefused, match=f"no key here has the id ghost; existing ids: {second}, {first}"):
        changes.retire("ghost", NOW)
    assert changes.retire(first, NOW, early=True).ring.retired == ()
    assert signing_files(folder) == pair_names(second)


def test_an_emergency_drops_the_active_key(folder: Path, changes: RingOperations) -> None:
    """Nothing of it is left, not even as retired, and a new key signs."""
    first = load_keys(folder, now=NOW).active.id
    change = changes.emergency(NOW)
    assert change.key_id == first
    assert [key.id for key in change.ring.published()] == [change.ring.active.id] != [first]
    assert signing_files(folder) == pair_names(change.ring.active.id)


def test_an_emergency_takes_the_next_key(folder: Path, changes: RingOperations) -> None:
    """It is known to some already; and so no CA key is needed."""
    made = changes.prepare(NOW).key_id
    (folder / "token-ca.key").unlink()
    assert changes.emergency(NOW).ring.active.id == made


@pytest.mark.parametrize("harm", ["garbage", "expired"])
def test_an_emergency_does_not_take_an_unfit_next_key(folder: Path, changes: RingOperations, harm: str) -> None:
    """What cannot sign is no way out, and would keep the ring from loading: a new key is made, alone."""
    made = changes.prepare(NOW).key_id
    now = NOW
    if harm == "expired":
        now = NOW + SCHEDULE.certificate_lifetime
    else:
        (folder / "signing" / f"{made}.key").write_text("garbage")
    active = changes.emergency(now).ring.active.id
    assert active != made
    assert states(folder) == [(active, "active")]
    assert load_keys(folder, now=now).active.id == active


@pytest.mark.parametrize("harm", ["lost", "garbage", "half"])
def test_an_emergency_needs_nothing_of_the_dropped_key(folder: Path, changes: RingOperations, harm: str) -> None:
    """Also a lost or a half-copied active key is replaced so; the server could not even start with it."""
    first = load_keys(folder, now=NOW).active.id
    path = folder / "signing" / f"{first}.key"
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(b"garbage" if harm == "garbage" else private_pem(generate_p256()))
    with pytest.raises(LoadError):
        load_keys(folder, now=NOW)
    changes.emergency(NOW)
    assert load_keys(folder, now=NOW).active.id != first


def test_an_emergency_drops_another_key(folder: Path, changes: RingOperations) -> None:
    """A leaked retired key is removed, and the active one stays; an unknown key is rejected."""
    first = load_keys(folder, now=NOW).active.id
    second = changes.prepare(NOW).key_id
    changes.switch(NOW, early=True)
    change = changes.emergency(NOW, first)
    assert (change.step, [key.id for key in change.ring.published()]) == (RotationStep.FORGET, [second])
    with pytest.raises(RingOperationRefused, match="no key here has the id ghost"):
        changes.emergency(NOW, "ghost")


def test_an_emergency_without_a_way_out_changes_nothing(folder: Path, changes: RingOperations) -> None:
    """No next key and no CA key: the leaked key stays, and the message has the fix."""
    (folder / "token-ca.key").unlink()
    before = states(folder)
    with pytest.raises(LoadError, match=r"token-ca\.key: is not here, so no signing key can be made; run"):
        changes.emergency(NOW)
    assert states(folder) == before


def test_an_emergency_in_a_broken_ring(folder: Path, changes: RingOperations) -> None:
    """The keys cannot be told apart, so nothing is done."""
    (folder / "ring.json").write_text("{}")
    with pytest.raises(LoadError, match="is missing"):
        changes.emergency(NOW)


def test_a_key_from_elsewhere(folder: Path, changes: RingOperations, pair: KeyPair, tmp_path: Path) -> None:
    """It is read, becomes the next key without the CA's private key, and comes once."""
    (folder / "token-ca.key").unlink()
    read = read_pair(carried(pair, tmp_path / "new.pem"), KeyFolder(folder), NOW)
    assert read.id == pair.id
    change = changes.import_pair(read, NOW)
    assert (change.step, [key.id for key in change.ring.next]) == (RotationStep.PREPARE, [pair.id])
    with pytest.raises(RingOperationRefused, match=f"the key {pair.id} is in the ring already"):
        changes.import_pair(read, NOW)
    assert changes.advance(NOW + HOUR) is not None
    assert load_keys(folder, now=NOW + HOUR).active.id == pair.id


def test_one_next_key_at_a_time(changes: RingOperations, pair: KeyPair) -> None:
    """It would be unclear which of two signs first."""
    first = changes.prepare(NOW).key_id
    with pytest.raises(
        RingOperationRefused, match=f"the key {first} is next already; remove it with: tokenserver keys retire {first}"
    ):
        changes.import_pair(pair, NOW)


def test_the_first_key_of_a_server_without_a_ca(folder: Path, pair: KeyPair, tmp_path: Path) -> None:
    """Its folder has only the CA that registries trust; the key signs immediately."""
    server = tmp_path / "server"
    server.mkdir(mode=0o700)
    (server / "token-ca.pem").write_bytes((folder / "token-ca.pem").read_bytes())
    with pytest.raises(LoadError, match="there is no signing key yet; import one with: tokenserver keys import FILE"):
        load_keys(server, now=NOW)
    change = RingOperations(server, "a", SCHEDULE).import_pair(pair, NOW)
    assert (change.step, load_keys(server, now=NOW).active.id) == (RotationStep.SWITCH, pair.id)


def lost_ca(folder: Path) -> None:
    (folder / "token-ca.key").unlink()


def other_ca_key(folder: Path) -> None:
    (folder / "token-ca.key").write_bytes(private_pem(generate_p256()))


def edwards_ca_key(folder: Path) -> None:
    (folder / "token-ca.key").write_bytes(private_pem(ed25519.Ed25519PrivateKey.generate()))


def open_ca_key(folder: Path) -> None:
    (folder / "token-ca.key").chmod(0o644)


@pytest.mark.parametrize(
    ("harm", "now", "told"),
    [
        pytest.param(lost_ca, NOW, "is not here, so no signing key can be made", id="kept away"),
        pytest.param(other_ca_key, NOW, "copy both files from the same place", id="of another CA"),
        pytest.param(edwards_ca_key, NOW, "copy both files from the same place", id="of another kind"),
        pytest.param(open_ca_key, NOW, "can be read by others", id="readable by others"),
        pytest.param(Path.exists, NOW + 3651 * DAY, "expired on", id="expired"),
    ],
)
def test_no_key_is_made_under_an_unfit_ca(
    folder: Path, changes: RingOperations, harm: Callable[[Path], object], now: datetime, told: str
) -> None:
    """Each is reported, and the folder is unchanged."""
    harm(folder)
    before = states(folder), signing_files(folder)
    with pytest.raises(LoadError, match=told):
        changes.prepare(now)
    assert (states(folder), signing_files(folder)) == before


def test_an_rsa_ca_can_issue(folder: Path, changes: RingOperations) -> None:
    """A CA that a company made may have an RSA key."""
    ca_key = rsa_2048()
    place = KeyFolder(folder)
    ca = make_ca(ca_key, issuer="a", now=NOW)  # type: ignore[arg-type]  # make_ca makes EC CAs; builders take both
    place.ca_key.write_bytes(private_pem(ca_key))
    place.ca_certificate.write_bytes(ca.public_bytes(Encoding.PEM))
    pair = issue_pair(place, issuer="a", algorithm=Algorithm.ES256, lifetime=DAY, now=NOW)
    pair.certificate.verify_directly_issued_by(ca)


def test_of_many_threads_one_does_the_step(folder: Path) -> None:
    """Everybody looks at the same moment; each step is done once, and the others find nothing to do."""
    patient = RingOperations(folder, "a", SCHEDULE, patience=30)
    for now, expected in (
        (NOW + 30 * DAY, RotationStep.PREPARE),
        (NOW + 31 * DAY, RotationStep.SWITCH),
        (NOW + 32 * DAY, RotationStep.FORGET),
    ):
        barrier = threading.Barrier(8)
        done: list[RingChange | None] = []

        def advance(
            now: datetime = now, barrier: threading.Barrier = barrier, done: list[RingChange | None] = done
        ) -> None:
            barrier.wait()
            done.append(patient.advance(now))

        threads = [threading.Thread(target=advance) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [change.step for change in done if change is not None] == [expected]
        assert len(done) == 8


def in_process(folder: Path, now: datetime, writes: int = 99) -> Forked:
    """One step in a separate process, which dies as if killed before this many writes."""
    left = writes
    remove = ring_operations._remove

    def one_less() -> None:
        nonlocal left
        if left == 0:
            os._exit(9)
        left -= 1

    def dying_write(path: Path, content: bytes, *, mode: int) -> None:
        one_less()
        write_file(path, content, mode=mode)

    def dying_remove(place: KeyFolder, ids: list[str]) -> None:
        one_less()
        remove(place, ids)

    def advance() -> str:
        patch = pytest.MonkeyPatch()
        patch.setattr(ring_operations, "write_file", dying_write)
        patch.setattr(ring_operations, "_remove", dying_remove)
        change = RingOperations(folder, "a", SCHEDULE, 30).advance(now)
        return change.step.value if change else "none"

    return Forked(advance)


def test_of_many_processes_one_does_the_step(folder: Path) -> None:
    """As replicas do on a shared folder."""
    processes = [in_process(folder, NOW + 30 * DAY) for _ in range(3)]
    assert sorted(process.ended() for process in processes) == [(0, "none"), (0, "none"), (0, "prepare")]
    assert len(load_keys(folder, now=NOW + 30 * DAY).next) == 1


@pytest.mark.parametrize(
    ("step", "writes"),
    [
        pytest.param(RotationStep.PREPARE, 0, id="prepare, before the key"),
        pytest.param(RotationStep.PREPARE, 1, id="prepare, before the certificate"),
        pytest.param(RotationStep.PREPARE, 2, id="prepare, before the ring"),
        pytest.param(RotationStep.SWITCH, 0, id="switch, before the ring"),
        pytest.param(RotationStep.FORGET, 0, id="forget, before the ring"),
        pytest.param(RotationStep.FORGET, 1, id="forget, before the files"),
    ],
)
def test_killed_between_any_two_writes(folder: Path, changes: RingOperations, step: RotationStep, writes: int) -> None:
    """The ring is complete, the lock is free, and the next process performs the same step.

    See docs/design/threats.md#fault-20.
    """
    now = NOW + 30 * DAY
    if step is not RotationStep.PREPARE:
        changes.prepare(now)
    if step is RotationStep.FORGET:
        changes.switch(now, early=True)
    later = now + 3 * HOUR
    assert in_process(folder, later, writes).ended() == (9, "")
    before = load_keys(folder, now=later)
    change = changes.advance(later)
    if (step, writes) == (RotationStep.FORGET, 1):
        assert (before.retired, change) == ((), None)
    else:
        assert change is not None
        assert change.step is step
    known = {key.id for key in load_keys(folder, now=later).published()}
    assert {path.suffix for path in KeyFolder(folder).unreferenced(known)} <= {".key", ".pem"}


@pytest.mark.parametrize("writes", range(3))
def test_a_failed_write_changes_nothing(
    folder: Path, changes: RingOperations, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """A full disk at any file is reported, no half key is left, and the next try works."""
    done: list[Path] = []

    def full(path: Path, content: bytes, *, mode: int) -> None:
        if len(done) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_file(path, content, mode=mode)
        done.append(path)

    before = states(folder), signing_files(folder)
    with monkeypatch.context() as patch:
        patch.setattr("tokenserver.keys.ring_operations.write_file", full)
        with pytest.raises(LoadError) as error:
            changes.prepare(NOW)
    assert str(error.value) == f"{folder}: the keys cannot be changed here: No space left on device"
    assert (states(folder), signing_files(folder)) == before
    assert changes.prepare(NOW).step is RotationStep.PREPARE


def test_a_folder_that_cannot_be_written(
    folder: Path, changes: RingOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only mount is reported as such; the ring still loads."""
    opened = os.open

    def read_only(path: Path, flags: int, *arguments: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *arguments)

    monkeypatch.setattr("tokenserver.keys.layout.os.open", read_only)
    with pytest.raises(LoadError, match="the keys cannot be changed here: Read-only file system"):
        changes.advance(NOW + 30 * DAY)
    assert load_keys(folder, now=NOW).next == ()


def test_a_file_system_without_locks(folder: Path, changes: RingOperations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock two replicas could undo each other's change, so none is made."""

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("tokenserver.keys.layout.fcntl.flock", no_locks)
    with pytest.raises(LoadError, match=r"cannot be locked \(No locks available\)"):
        changes.prepare(NOW)


def test_somebody_else_is_at_it(folder: Path, changes: RingOperations) -> None:
    """Without patience the operation fails immediately, and works later."""
    with KeyFolder(folder).changing(patience=0), pytest.raises(KeysBusy, match="another process is changing the keys"):
        changes.prepare(NOW)
    assert changes.prepare(NOW).step is RotationStep.PREPARE


def test_a_key_that_goes_while_it_is_read(
    folder: Path, changes: RingOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that saw the old ring, and then no file of the key that was dropped, reads again and is content."""
    changes.prepare(NOW)
    changes.switch(NOW, early=True)
    name = "tokenserver.keys.ring_reader.read_entries"

    def slow(text: str, file: str) -> object:
        found = read_entries(text, file)
        monkeypatch.setattr(name, read_entries)
        changes.advance(NOW + DAY)
        return found

    monkeypatch.setattr(name, slow)
    assert load_keys(folder, now=NOW + DAY).retired == ()
