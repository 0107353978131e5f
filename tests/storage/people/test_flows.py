"""Logins on devices in the database: decided once, taken once, and worth nothing to who can only write rows.

See docs/design/threats.md#threat-190 and those after it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from slow_properties import slow_examples
from sqlalchemy import func, insert, select, update
from stored_credentials import STATE_KEYS, Clock, new_database

from tokenserver.credentials import Secret
from tokenserver.errors import Overloaded
from tokenserver.identity import Kind
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.database import Database
from tokenserver.storage.people import flows as module
from tokenserver.storage.people.device_flow import (
    DeviceApproval,
    DeviceCodes,
    DeviceFlow,
    DeviceRequest,
    FlowState,
)
from tokenserver.storage.people.flow_limits import (
    KEPT_SECONDS,
    LIFETIME_SECONDS,
    MAX_LIVE,
    MAX_PAUSE,
    MAX_PER_PLACE,
    PAUSE_SECONDS,
    TOLERANCE,
)
from tokenserver.storage.people.flows import KIND, Flows
from tokenserver.storage.state_keys import StateKey, StateKeys
from tokenserver.storage.tables import flows as table
from tokenserver.storage.unavailable import StorageUnavailable

REQUEST = DeviceRequest("tokenserver-helper", "192.0.2.1", "helper/1", ("reg",))
ANN = DeviceApproval("local", "ann", Kind.PASSWORD, b"proof")
BOB = replace(ANN, subject="bob")


class World:
    """Two workers on one database, with one clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.database = new_database(folder)
        boxes = Boxes(STATE_KEYS)
        self.flows, self.others = [Flows(Database(self.database.engine), boxes, now=self.clock) for _ in range(2)]

    def begin(self, place: str = "192.0.2.1") -> DeviceCodes:
        """A new login."""
        return self.flows.begin(REQUEST, place=place)

    def approved(self, approval: DeviceApproval = ANN) -> tuple[Secret, DeviceFlow]:
        """The device code of a login that was approved, and the login as it is then."""
        codes = self.begin()
        assert self.flows.approve(codes.flow, approval)
        found = self.flows.by_device_code(codes.device_code)
        assert found is not None
        return codes.device_code, found

    def write(self, **values: Any) -> None:
        """Change every row, as somebody who has the database does."""
        with self.database.engine.begin() as connection:
            connection.execute(update(table).values(values))

    def count(self) -> int:
        """The rows there are."""
        return self.database.read(
            lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new one."""
    return World(tmp_path)


def test_the_codes_find_the_login(world: World) -> None:
    """From every worker; others find nothing, and the row has no device code."""
    codes = world.begin()
    flow = codes.flow
    assert (flow.request, flow.state, flow.ends - flow.begun) == (REQUEST, FlowState.OPEN, LIFETIME_SECONDS)
    assert world.others.by_device_code(codes.device_code) == flow
    assert world.others.by_user_code(flow.user_code) == flow
    for other in ("0" * 64, "", "\udcff", flow.id, flow.user_code):
        assert world.flows.by_device_code(Secret(other)) is None
    assert world.flows.by_user_code("BBBBBBBB") is None
    assert codes.device_code.reveal() not in f"{codes!r} {flow.id}"


def test_approved_and_taken(world: World) -> None:
    """With all that the approval says; what was taken says nothing any more."""
    code, flow = world.approved()
    assert (flow.state, flow.approval) == (FlowState.APPROVED, ANN)
    assert world.others.take(flow)
    assert not world.flows.take(flow)
    taken = world.flows.by_device_code(code)
    assert taken is not None
    assert (taken.state, taken.approval) == (FlowState.TAKEN, None)


def test_given_back(world: World) -> None:
    """What could not be made can be taken again, once."""
    code, flow = world.approved()
    assert world.flows.take(flow)
    world.others.give_back(flow)
    again = world.flows.by_device_code(code)
    assert again == flow
    assert world.flows.take(again)
    assert not world.others.take(again)


@pytest.mark.parametrize("number", [16])
def test_one_of_many_takes_it(world: World, number: int) -> None:
    """However many try together."""
    _, flow = world.approved()
    with ThreadPoolExecutor(number) as pool:
        runs = [pool.submit((world.flows, world.others)[turn % 2].take, flow) for turn in range(number)]
        assert sorted(run.result() for run in runs) == [False] * (number - 1) + [True]


def test_one_of_many_decides(world: World) -> None:
    """A denial and approvals by two people: one of them stays."""
    codes = world.begin()
    decide: list[Callable[[], bool]] = [
        lambda: world.flows.approve(codes.flow, ANN),
        lambda: world.others.approve(codes.flow, BOB),
        lambda: world.flows.deny(codes.flow),
    ]
    with ThreadPoolExecutor(12) as pool:
        runs = [pool.submit(decide[turn % 3]) for turn in range(12)]
        assert sum(run.result() for run in runs) == 1


def test_ten_minutes(world: World) -> None:
    """Then nobody can decide, or take; the device is told for another ten minutes."""
    codes = world.begin()
    code, approved = world.approved()
    world.clock.now += LIFETIME_SECONDS
    assert world.flows.by_user_code(codes.flow.user_code) is None
    assert not world.flows.approve(codes.flow, ANN)
    assert not world.flows.deny(codes.flow)
    assert not world.flows.take(approved)
    assert world.flows.by_device_code(code) == approved
    assert world.flows.forget(codes.flow)
    assert not world.others.forget(codes.flow)
    assert world.flows.by_device_code(codes.device_code) is None
    world.clock.now += KEPT_SECONDS
    world.begin()
    assert world.flows.by_device_code(code) is None


def test_what_is_not_expired_is_not_forgotten(world: World) -> None:
    """A device whose clock is ahead ends nothing."""
    codes = world.begin()
    assert not world.flows.forget(codes.flow)
    assert world.flows.by_device_code(codes.device_code) is not None


def test_too_many_of_a_place(world: World) -> None:
    """Those that were decided or have expired make room.

    See docs/design/threats.md#threat-193.
    """
    begun = [world.begin() for _ in range(MAX_PER_PLACE)]
    with pytest.raises(Overloaded) as caught:
        world.others.begin(REQUEST, place="192.0.2.1")
    assert caught.value.retry_after == 60
    world.begin("192.0.2.2")
    world.flows.deny(begun[0].flow)
    world.begin()
    with pytest.raises(Overloaded):
        world.begin()
    world.clock.now += LIFETIME_SECONDS
    world.begin()


def test_too_many_in_all(world: World) -> None:
    """Ten thousand of five hundred addresses are the end of it, and each still finds its own.

    See docs/design/threats.md#threat-193.
    """
    codes = world.begin("first")
    flow = codes.flow
    row = {"kind": KIND, "payload": b"", "state": "open", "ends": flow.ends, "pause": PAUSE_SECONDS}
    many = [
        {**row, "id": bytes([1, *number.to_bytes(4, "big")]), "made_by": f"other {number // MAX_PER_PLACE}"}
        for number in range(MAX_LIVE - 2)
    ]
    with world.database.engine.begin() as connection:
        connection.execute(insert(table), many)
    world.begin("last")
    with pytest.raises(Overloaded):
        world.begin("one more")
    assert world.flows.by_user_code(flow.user_code) == flow
    assert world.flows.approve(flow, ANN)
    world.clock.now += LIFETIME_SECONDS + KEPT_SECONDS
    before = world.count()
    world.begin("one more")
    assert world.count() < before


@pytest.mark.parametrize("state", list(FlowState))
def test_who_writes_the_state_approves_nothing(world: World, state: FlowState) -> None:
    """The state alone is worth nothing.

    See docs/design/threats.md#threat-192.
    """
    codes = world.begin()
    world.write(state=str(state))
    found = world.flows.by_device_code(codes.device_code)
    assert found is None or (found.approval is None and not world.flows.take(found))


def test_an_approval_is_for_one_device(world: World) -> None:
    """The approved box of a login in the row of another one opens for nobody.

    See docs/design/threats.md#threat-192.
    """
    approved, _ = world.approved()
    other = world.begin()
    with world.database.engine.begin() as connection:
        box = select(table.c.payload).where(table.c.state == "approved").scalar_subquery()
        connection.execute(update(table).where(table.c.state == "open").values(payload=box, state="approved"))
    assert world.flows.by_device_code(other.device_code) is None
    assert world.flows.by_device_code(approved) is not None


def test_codes_of_two_devices_are_not_swapped(world: World) -> None:
    """A person who types the code of their own device never approves another one.

    See docs/design/threats.md#threat-192.
    """
    mine, other = world.begin(), world.begin()
    with world.database.engine.begin() as connection:
        for identifier, code in ((mine, None), (other, mine.flow.user_code), (mine, other.flow.user_code)):
            where = table.c.id == bytes.fromhex(identifier.flow.id)
            connection.execute(update(table).where(where).values(user_code=code))
    assert world.flows.by_user_code(mine.flow.user_code) is None
    assert world.flows.by_user_code(other.flow.user_code) is None


@pytest.mark.parametrize(
    ("column", "value"), [("ends", 1_900_000_000), ("id", b"x" * 32), ("kind", "guess"), ("payload", b"x")]
)
def test_a_changed_row_is_no_login(world: World, column: str, value: object) -> None:
    """It has no longer life either."""
    code, flow = world.approved()
    world.write(**{column: value})
    assert world.flows.by_device_code(code) is None
    assert world.flows.by_user_code(flow.user_code) is None


def test_another_state_key(world: World) -> None:
    """Without the key of then, nothing is a login."""
    code, _ = world.approved()
    other = Boxes(StateKeys({1: StateKey.derived(1, b"y" * 32)}))
    assert Flows(world.database, other, now=world.clock).by_device_code(code) is None


def test_the_pace(world: World) -> None:
    """Each question that comes too soon makes the pause longer, for all workers.

    See docs/design/threats.md#threat-193.
    """
    flow = world.begin().flow
    assert not world.flows.is_early(flow)
    assert world.others.is_early(flow)
    pause = 2 * PAUSE_SECONDS
    world.clock.now += pause - TOLERANCE - 1
    assert world.flows.is_early(flow)
    pause += PAUSE_SECONDS
    world.clock.now += pause
    assert not world.others.is_early(flow)
    world.clock.now += pause - TOLERANCE
    assert not world.flows.is_early(flow)


def test_the_pace_of_one_that_never_waits(world: World) -> None:
    """The pause has an end, and then nothing is written any more; it counts from the last question that was noted."""
    flow = world.begin().flow
    assert sum(world.flows.is_early(flow) for _ in range(50)) == 49
    with world.database.engine.connect() as connection:
        pause, polled = connection.execute(select(table.c.pause, table.c.polled)).one()
    assert (pause, polled) == (MAX_PAUSE, int(world.clock.now))
    world.clock.now += MAX_PAUSE
    assert not world.others.is_early(flow)


def test_questions_that_come_together(world: World) -> None:
    """One of them is punctual."""
    flow = world.begin().flow
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit((world.flows, world.others)[turn % 2].is_early, flow) for turn in range(8)]
        assert [run.result() for run in runs].count(False) == 1


def test_questions_of_very_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process notes so many in a second, so that others can write, too; the rest passes for punctual."""
    monkeypatch.setattr(module, "NOTED_PER_SECOND", 3)
    begun = [world.begin().flow for _ in range(5)]
    assert [world.flows.is_early(flow) for flow in begun] == [False] * 5
    assert [world.flows.is_early(flow) for flow in begun] == [True] * 3 + [False] * 2
    world.clock.now += 1
    assert [world.flows.is_early(flow) for flow in begun[3:]] == [False] * 2
    assert world.flows.is_early(begun[3])


def test_a_login_that_is_gone_is_not_early(world: World) -> None:
    """It was forgotten by another worker."""
    flow = world.begin().flow
    world.clock.now += LIFETIME_SECONDS
    world.others.forget(flow)
    assert not world.flows.is_early(flow)


def test_no_user_code_is_free(world: World) -> None:
    """A source of random bytes that is broken does not make two logins with one code."""
    broken = Flows(world.database, Boxes(STATE_KEYS), now=world.clock, random=bytes)
    broken.begin(REQUEST, place="a")
    with pytest.raises(StorageUnavailable):
        Flows(
            world.database,
            Boxes(STATE_KEYS),
            now=world.clock,
            random=lambda size: b"\1" * size if size > 16 else bytes(size),
        ).begin(REQUEST, place="b")


class Life(RuleBasedStateMachine):
    """Logins on devices against a model: who approved what, and what was given."""

    codes = Bundle("codes")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.model: dict[str, tuple[FlowState, DeviceApproval | None, float]] = {}
        self.begun: dict[str, DeviceCodes] = {}

    def teardown(self) -> None:
        """Remove the database."""
        self.world.database.close()
        self.folder.cleanup()

    def state(self, identifier: str) -> FlowState | None:
        """What the model says of a login that can still be decided or taken; None: it has expired."""
        state, _, ends = self.model[identifier]
        return state if self.world.clock.now < ends else None

    def current(self, codes: DeviceCodes) -> DeviceFlow | None:
        """The login, as one worker finds it."""
        return self.world.others.by_device_code(codes.device_code)

    @rule(target=codes)
    def begin(self) -> DeviceCodes:
        """A device asks. Each has an address of its own."""
        codes = self.world.flows.begin(REQUEST, place=str(len(self.model)))
        self.model[codes.flow.id] = (FlowState.OPEN, None, self.world.clock.now + LIFETIME_SECONDS)
        self.begun[codes.flow.id] = codes
        return codes

    @rule(codes=codes, person=st.sampled_from([ANN, BOB]), is_late=st.booleans())
    def approve(self, codes: DeviceCodes, person: DeviceApproval, is_late: bool) -> None:
        """A person approves, with the login as it is now, or as it was when it began."""
        flow = codes.flow if is_late else self.current(codes)
        is_open = self.state(codes.flow.id) is FlowState.OPEN
        assert (flow is not None and self.world.flows.approve(flow, person)) is is_open
        if is_open:
            self.model[codes.flow.id] = (FlowState.APPROVED, person, self.model[codes.flow.id][2])

    @rule(codes=codes, is_late=st.booleans())
    def deny(self, codes: DeviceCodes, is_late: bool) -> None:
        """A person denies, or the server does, where the person is gone."""
        flow = codes.flow if is_late else self.current(codes)
        expected = (FlowState.OPEN,) if is_late else (FlowState.OPEN, FlowState.APPROVED)
        is_possible = self.state(codes.flow.id) in expected
        assert (flow is not None and self.world.others.deny(flow)) is is_possible
        if is_possible:
            self.model[codes.flow.id] = (FlowState.DENIED, None, self.model[codes.flow.id][2])

    @rule(codes=codes, gives_back=st.booleans())
    def take(self, codes: DeviceCodes, gives_back: bool) -> None:
        """A device asks for its token, which may fail to be made."""
        flow = self.current(codes)
        is_approved = self.state(codes.flow.id) is FlowState.APPROVED
        assert (flow is not None and self.world.flows.take(flow)) is is_approved
        if is_approved and flow is not None:
            assert flow.approval == self.model[codes.flow.id][1]
            if gives_back:
                self.world.others.give_back(flow)
            else:
                self.model[codes.flow.id] = (FlowState.TAKEN, None, self.model[codes.flow.id][2])

    @rule(codes=codes)
    def tamper(self, codes: DeviceCodes) -> None:
        """Somebody writes to the database; the server finds no login then, until it is as before."""
        identifier = bytes.fromhex(codes.flow.id)
        state = self.model[codes.flow.id][0]
        if state is FlowState.APPROVED:
            return
        with self.world.database.engine.begin() as connection:
            connection.execute(update(table).where(table.c.id == identifier).values(state="approved"))
        flow = self.current(codes)
        assert flow is None or not self.world.flows.take(flow)
        with self.world.database.engine.begin() as connection:
            connection.execute(update(table).where(table.c.id == identifier).values(state=str(state)))

    @rule(seconds=st.sampled_from([1, 100, LIFETIME_SECONDS - 1]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.world.clock.now += seconds

    @rule(codes=consumes(codes))
    def forget(self, codes: DeviceCodes) -> None:
        """A device that comes too late is told once."""
        state, _, ends = self.model.pop(codes.flow.id)
        del self.begun[codes.flow.id]
        in_progress = state in (FlowState.OPEN, FlowState.APPROVED)
        is_kept = self.current(codes) is not None
        expected = self.world.clock.now >= ends and in_progress and is_kept
        assert self.world.flows.forget(codes.flow) is expected

    @invariant()
    def the_database_says_the_same(self) -> None:
        """Each login is as the model has it, until its row is removed."""
        for identifier, (state, approval, ends) in self.model.items():
            flow = self.current(self.begun[identifier])
            if flow is None:
                assert self.world.clock.now >= ends + KEPT_SECONDS
            else:
                assert (flow.state, flow.approval) == (state, approval)


TestLife = Life.TestCase
TestLife.settings = settings(slow_examples(most=10_000), stateful_step_count=20)
