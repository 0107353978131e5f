"""Logins on devices in progress (RFC 8628): each is approved or denied once, and taken once if it was approved.

What a row means is in its box, which opens for this row alone: who changes the database can end a login, and cannot
approve one, nor turn an approval to another device. All changes compare the state and set it in one statement.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, Row, Update, delete, func, select, update

from tokenserver.credentials import Secret
from tokenserver.errors import Overloaded
from tokenserver.storage.boxes import Boxes, UnreadableBox
from tokenserver.storage.changes import ActingLogin, unrecorded
from tokenserver.storage.database import Database
from tokenserver.storage.people.device_flow import (
    DeviceApproval,
    DeviceCodes,
    DeviceFlow,
    DeviceRequest,
    FlowState,
    UnreadableFlow,
    parse_flow,
    spell_flow,
)
from tokenserver.storage.people.epochs import require_live
from tokenserver.storage.people.flow_limits import (
    KEPT_SECONDS,
    LIFETIME_SECONDS,
    MAX_LIVE,
    MAX_PAUSE,
    MAX_PER_PLACE,
    NOTED_PER_SECOND,
    PAUSE_SECONDS,
    TOLERANCE,
)
from tokenserver.storage.people.user_codes import RANDOM_BYTES, compose_user_code
from tokenserver.storage.tables import flows
from tokenserver.storage.unavailable import StorageUnavailable

KIND = "device"

_CODE_BYTES = 32
_REMOVED = 100
_ATTEMPTS = 3
_TABLE = flows.c
_IN_PROGRESS = _TABLE.state.in_([FlowState.OPEN, FlowState.APPROVED])


class Flows:
    """The logins on devices of a server. `now` gives seconds since the epoch, `random` that many random bytes."""

    def __init__(
        self,
        database: Database,
        boxes: Boxes,
        *,
        now: Callable[[], float],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._boxes = boxes
        self._now = now
        self._random = random
        self._lock = threading.Lock()
        self._noted = (0, 0)  # a second, and how many questions were noted in it

    def begin(self, request: DeviceRequest, *, place: str) -> DeviceCodes:
        """A new login, which nobody has approved. `place` is the address that its limit counts for.

        Raises:
            Overloaded: there are too many in all, or of this place.
            StorageUnavailable: nothing was stored.
        """
        device_code, now = Secret(self._random(_CODE_BYTES).hex()), int(self._now())
        identifier = _id_of(device_code)

        def work(connection: Connection) -> DeviceFlow:
            old = select(_TABLE.id).where(_TABLE.kind == KIND, _TABLE.ends <= now - KEPT_SECONDS).limit(_REMOVED)
            connection.execute(delete(flows).where(_TABLE.id.in_(old.scalar_subquery())))
            live = (_TABLE.kind == KIND, _TABLE.ends > now, _IN_PROGRESS)
            _require_room(connection, MAX_PER_PLACE, *live, _TABLE.made_by == place)
            _require_room(connection, MAX_LIVE, *live)
            flow = DeviceFlow(identifier.hex(), self._free_code(connection), request, now, now + LIFETIME_SECONDS)
            row = {
                "id": identifier,
                "kind": KIND,
                "payload": self._closed(flow),
                "user_code": flow.user_code,
                "state": FlowState.OPEN,
                "ends": flow.ends,
                "made_by": place,
                "pause": PAUSE_SECONDS,
            }
            connection.execute(flows.insert().values(row))
            return flow

        return DeviceCodes(device_code, self._database.note(work))

    def by_device_code(self, device_code: Secret) -> DeviceFlow | None:
        """The login of this code, in whatever state, also if it has expired not long ago; None if there is none.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self._found(_TABLE.id == _id_of(device_code))

    def by_user_code(self, user_code: str) -> DeviceFlow | None:
        """The login with this user code, in whatever state; None if there is none, or it has expired.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self._found(_TABLE.user_code == user_code, _TABLE.ends > int(self._now()))

    def approve(
        self,
        flow: DeviceFlow,
        approval: DeviceApproval,
        *,
        session: str = "",
        recorded: Callable[[], None] = unrecorded,
    ) -> bool:
        """Let the device have a login of this person; False if somebody has decided before, or it has expired.

        `session` is the id of the browser session that approves. `recorded` is called in the transaction; see
        `Recorded`.

        Raises:
            OutdatedLogin: the session, or all logins of the person, have ended.
            StorageUnavailable: nothing was changed.
        """
        if flow.state is not FlowState.OPEN:
            return False
        statement = self._changed(flow, replace(flow, state=FlowState.APPROVED, approval=approval))
        login = ActingLogin(approval.source, approval.subject, approval.verified, session)
        # Not by `note`: in one order with what ends the login.
        return self._database.guarded(partial(require_live, login=login)).change_one(statement, recorded)

    def deny(self, flow: DeviceFlow) -> bool:
        """Let the device have nothing, also if it was approved already; False if it is too late for that.

        Raises:
            StorageUnavailable: nothing was changed.
        """
        if flow.state not in (FlowState.OPEN, FlowState.APPROVED):
            return False
        return self._change(flow, replace(flow, state=FlowState.DENIED, approval=None))

    def take(self, flow: DeviceFlow) -> bool:
        """Whether the caller is the one that may give the device what was approved: of many that try, one.

        Raises:
            StorageUnavailable: nothing was changed.
        """
        if flow.state is not FlowState.APPROVED:
            return False
        return self._change(flow, replace(flow, state=FlowState.TAKEN, approval=None))

    def give_back(self, flow: DeviceFlow) -> None:
        """Let the device ask again for what was taken by `take(flow)`, and could not be made.

        Raises:
            StorageUnavailable: it stays taken.
        """
        values = {"state": FlowState.APPROVED, "payload": self._closed(flow)}
        taken = update(flows).where(_TABLE.id == bytes.fromhex(flow.id), _TABLE.state == FlowState.TAKEN)
        self._database.note(lambda connection: connection.execute(taken.values(values)))

    def forget(self, flow: DeviceFlow) -> bool:
        """Remove a login that has expired in progress; whether the caller is the one that did.

        Raises:
            StorageUnavailable: nothing was changed.
        """
        where = (_TABLE.id == bytes.fromhex(flow.id), _TABLE.ends <= int(self._now()), _IN_PROGRESS)
        return self._database.note(lambda connection: connection.execute(delete(flows).where(*where)).rowcount) == 1

    def is_early(self, flow: DeviceFlow) -> bool:
        """Whether the device of an open login asks again too soon; it has to wait for longer then.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        now, identifier = int(self._now()), bytes.fromhex(flow.id)
        statement = select(_TABLE.polled, _TABLE.pause).where(_TABLE.id == identifier)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        if row is None or row.pause is None:
            return False
        is_early = row.polled is not None and row.polled + row.pause > now + TOLERANCE
        if (is_early and row.pause >= MAX_PAUSE) or not self._may_note(now):
            return is_early
        pause = row.pause + PAUSE_SECONDS if is_early else row.pause
        seen = (_TABLE.id == identifier, _TABLE.polled.is_not_distinct_from(row.polled), _TABLE.pause == row.pause)
        noted = update(flows).where(*seen).values(polled=now, pause=pause)
        is_first = self._database.note(lambda connection: connection.execute(noted).rowcount) == 1
        return is_early or not is_first  # of those that come together, one is punctual

    def _change(self, before: DeviceFlow, after: DeviceFlow) -> bool:
        statement = self._changed(before, after)
        return self._database.note(lambda connection: connection.execute(statement).rowcount) == 1

    def _changed(self, before: DeviceFlow, after: DeviceFlow) -> Update:
        unchanged = (
            _TABLE.id == bytes.fromhex(before.id),
            _TABLE.kind == KIND,
            _TABLE.state == before.state,
            _TABLE.ends > int(self._now()),
        )
        return update(flows).where(*unchanged).values(state=after.state, payload=self._closed(after))

    def _found(self, *where: ColumnElement[bool]) -> DeviceFlow | None:
        statement = select(flows).where(_TABLE.kind == KIND, *where)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else self._opened(row)

    def _opened(self, row: Row[tuple[object, ...]]) -> DeviceFlow | None:
        """The flow of a row; None if the row is not what this server wrote."""
        try:
            flow = parse_flow(row.id.hex(), row.state, self._boxes.open(row.payload, about=_about(row.id)))
        except (UnreadableBox, UnreadableFlow):
            return None
        # Otherwise a code that somebody was given would lead to the login of somebody else's device.
        return flow if (flow.user_code, flow.ends) == (row.user_code, row.ends) else None

    def _closed(self, flow: DeviceFlow) -> bytes:
        return self._boxes.close(spell_flow(flow), about=_about(bytes.fromhex(flow.id)))

    def _free_code(self, connection: Connection) -> str:
        for _ in range(_ATTEMPTS):
            code = compose_user_code(self._random(RANDOM_BYTES))
            if connection.execute(select(_TABLE.id).where(_TABLE.user_code == code)).first() is None:
                return code
        raise StorageUnavailable("found no user code that is free", retry_after=1)

    def _may_note(self, now: int) -> bool:
        with self._lock:
            second, count = self._noted
            self._noted = (now, count + 1 if second == now else 1)
            return self._noted[1] <= NOTED_PER_SECOND


def _require_room(connection: Connection, most: int, *where: ColumnElement[bool]) -> None:
    count = connection.execute(select(func.count()).select_from(flows).where(*where)).scalar_one()
    if count >= most:
        raise Overloaded("logins on devices", f"{most} are in progress", retry_after=60)


def _id_of(device_code: Secret) -> bytes:
    return hashlib.sha256(device_code.reveal().encode("utf-8", "surrogatepass")).digest()


def _about(identifier: bytes) -> bytes:
    return b"login on a device\0" + identifier
