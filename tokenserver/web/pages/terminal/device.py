"""The page `/device`: a person sees which program asks for a login, and confirms or denies it (RFC 8628, section 3.3).

A link that has the code already (section 3.3.1) shows the same question: whoever sent the link may be the one who asks.
"""

from __future__ import annotations

from ipaddress import ip_address

from flask import Blueprint, Response, request

from tokenserver.authn.stored.new_networks import network_of
from tokenserver.errors import OutdatedLogin
from tokenserver.exchange.stored.device_events import DeviceCaller
from tokenserver.exchange.stored.device_logins import DeviceLogins
from tokenserver.exchange.stored.device_refusals import UnknownUserCode
from tokenserver.management.actors import Actor
from tokenserver.management.sign_in import Visitor
from tokenserver.scopes import in_order
from tokenserver.storage.people.device_flow import DeviceFlow, FlowState
from tokenserver.storage.people.user_codes import parse_user_code, spell_user_code
from tokenserver.web.pages.errors import FormRefused, LoginEnded
from tokenserver.web.pages.forms import checked_form
from tokenserver.web.pages.shell import page, pages_blueprint, signed_in
from tokenserver.web.pages.visits import is_fresh, see_other, slot_released, the_site, visitor

PATH = "/device"

MAX_SHOWN = 32
"""Characters of a code that was typed and is unknown; a longer one is not repeated."""


def device_blueprint() -> Blueprint:
    """The page, for a server whose logins on devices are on."""
    blueprint = pages_blueprint("device")
    blueprint.add_url_rule(PATH, "show", show, methods=["GET"])
    blueprint.add_url_rule(PATH, "answer", answer, methods=["POST"])
    return blueprint


@signed_in
def show(actor: Actor) -> Response:
    """The field for the code or, with `user_code` in the address, the question."""
    typed = request.args.get("user_code")
    if not is_fresh(actor):
        return _log_in_again(typed)
    return _field(actor, "") if typed is None else _question(actor, typed)


@signed_in
def answer(actor: Actor) -> Response:
    """The question, for a code that was typed; or what the person decided."""
    form = checked_form()
    typed, decision = form.get("user_code", ""), form.get("decision", "")
    if not is_fresh(actor):
        return _log_in_again(typed)
    if decision not in {"", "confirm", "deny"}:
        raise FormRefused("the form has another answer than confirm and deny")
    if not decision:
        return _question(actor, typed)
    logins, caller = _logins(), _caller()
    with slot_released():
        try:
            flow = logins.look_up(typed, caller, session=_session(actor))
        except UnknownUserCode:
            flow = None
        approves = decision == "confirm"
        try:
            is_done = flow is not None and logins.decide(
                flow, caller, actor.identity, approves=approves, session=_session(actor)
            )
        except OutdatedLogin:
            raise LoginEnded from None
    state = ("confirmed" if approves else "denied") if is_done else "late"
    return page("device-done.html", actor=actor, status=200 if is_done else 409, state=state)


def _question(actor: Actor, typed: str) -> Response:
    with slot_released():
        try:
            flow = _logins().look_up(typed, _caller(), session=_session(actor))
        except UnknownUserCode:
            return _field(actor, typed, status=400)
    if flow.state is not FlowState.OPEN:
        return page("device-done.html", actor=actor, status=409, state="late")
    own = visitor()
    ceiling = flow.request.ceiling
    bounds = () if ceiling is None else ceiling.bounds
    return page(
        "device.html",
        actor=actor,
        code=spell_user_code(flow.user_code),
        asked=flow.request,
        seconds=max(0, int(the_site().now()) - flow.begun),
        own_address="" if own.client is None else str(own.client),
        is_elsewhere=not _is_same_network(flow, own),
        limits=[
            (("" if one.type == "repository" else f"{one.type}:") + pattern.text, ", ".join(in_order(one.actions)))
            for one in bounds
            for pattern in one.patterns
        ],
    )


def _field(actor: Actor, typed: str, *, status: int = 200) -> Response:
    shown = typed if len(typed) <= MAX_SHOWN else ""
    return page("device-code.html", actor=actor, status=status, typed=shown, is_unknown=status != 200)


def _log_in_again(typed: str | None) -> Response:
    """Lead to the login: what is confirmed here lasts for months, so the session has to be of this hour."""
    code = None if typed is None else parse_user_code(typed)
    wanted = PATH if code is None else f"{PATH}?user_code={spell_user_code(code)}"
    return see_other("/login", next=wanted, note="again")


def _logins() -> DeviceLogins:
    logins = the_site().device_logins
    assert logins is not None  # noqa: S101 - there is no such page otherwise
    return logins


def _caller() -> DeviceCaller:
    own = visitor()
    return DeviceCaller(own.request_id, own.client, agent=own.agent)


def _session(actor: Actor) -> str:
    assert actor.session is not None  # noqa: S101 - pages have no other actors
    return actor.session.id


def _is_same_network(flow: DeviceFlow, own: Visitor) -> bool:
    """Whether device and browser are in one network, as far as their addresses are known."""
    if not flow.request.address or own.client is None:
        return False
    return network_of(ip_address(flow.request.address)) == network_of(own.client)
