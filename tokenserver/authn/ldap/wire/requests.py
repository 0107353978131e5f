"""Encodes LDAP requests (RFC 4511). The only importer of ldap3, and this is all that it is used for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ldap3 import BASE, DEREF_NEVER, SASL, SIMPLE, SUBTREE
from ldap3.operation.bind import bind_operation
from ldap3.operation.extended import extended_operation
from ldap3.operation.search import search_operation
from ldap3.operation.unbind import unbind_operation
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import encode

from tokenserver.authn.ldap.ber import PASSWORD_POLICY
from tokenserver.authn.ldap.deadline import Unanswerable
from tokenserver.authn.ldap.failures.causes import FailureCause

_START_TLS = "1.3.6.1.4.1.1466.20037"
_WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
_POLICY = (PASSWORD_POLICY, False, None)  # not critical: a server without password policies ignores it


def simple_bind(number: int, dn: str, password: bytes) -> bytes:
    """A simple bind that asks for the state of the password (draft-behera-ldap-password-policy-11, section 6.1).

    Like the others, it takes the number of the message and returns its bytes.

    Raises:
        Unanswerable: the request cannot be encoded.
    """
    return _message(number, "bindRequest", lambda: bind_operation(3, SIMPLE, name=dn, password=password), [_POLICY])


def external_bind(number: int) -> bytes:
    """A SASL bind with EXTERNAL (RFC 4422, appendix A): as the subject of the client certificate."""

    def build() -> Any:
        # Empty credentials ask for the subject's own identity; without any, the server would ask for them first.
        return bind_operation(3, SASL, sasl_mechanism="EXTERNAL", sasl_credentials=b"")

    return _message(number, "bindRequest", build, [_POLICY])


def who_am_i(number: int) -> bytes:
    """The question for the identity of the connection (RFC 4532)."""
    return _message(number, "extendedReq", lambda: extended_operation(_WHO_AM_I))


def start_tls(number: int) -> bytes:
    """StartTLS (RFC 4511, section 4.14)."""
    return _message(number, "extendedReq", lambda: extended_operation(_START_TLS))


def unbind(number: int) -> bytes:
    """The end of the connection."""
    return _message(number, "unbindRequest", unbind_operation)


def search(
    number: int,
    base: str,
    search_filter: str,
    attributes: Sequence[str],
    *,
    limit: int,
    seconds: int,
    is_read: bool = False,
    page: tuple[int, bytes] | None = None,
) -> bytes:
    """A search for at most `limit` entries (0: all), which the server may abandon after `seconds`.

    `page` is the size of a page and the cookie from the one before, empty for the first (RFC 2696). Its control is not
    critical for a first page with a `limit`, which a server without paging can answer as well.
    """
    controls = []
    if page is not None:
        size, cookie = page
        controls.append(paged_search_control(criticality=bool(cookie) or not limit, size=size, cookie=cookie))
    scope = BASE if is_read else SUBTREE

    def build() -> Any:
        return search_operation(
            base, search_filter, scope, DEREF_NEVER, list(attributes), limit, seconds, False, False, False
        )

    return _message(number, "searchRequest", build, controls)


def _message(number: int, kind: str, build: Callable[[], Any], controls: Sequence[Any] = ()) -> bytes:
    """The library does not document what it raises for input that it cannot encode, so any error counts."""
    try:
        message = LDAPMessage()
        message["messageID"] = MessageID(number)
        message["protocolOp"] = ProtocolOp().setComponentByName(kind, build())
        if controls:
            message["controls"] = build_controls_list(list(controls))
        return bytes(encode(message))
    except Exception as error:
        raise Unanswerable(FailureCause.NOT_ENCODABLE, detail=type(error).__name__) from error
