"""JSON bodies of the token endpoint's successful responses: tokens and explanations. No framework, no I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache

from tokenserver.exchange.audit_events import cited_together, cut, shown
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenResult
from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.identity import MACHINES, Kind
from tokenserver.policy.image_names import scope_hint
from tokenserver.policy.queries.denial import Denial
from tokenserver.scopes import in_order
from tokenserver.tokens.issuer import Token
from tokenserver.web.oauth.grants import ACCESS_TOKEN, REFRESH_TOKEN

_to_json = json.JSONEncoder(separators=(",", ":")).encode


def token_body(token: Token, ruling: Ruling, *, with_scope: bool, login: NewLogin | None = None) -> bytes:
    """The JSON of a token: `token` and `access_token` are the same, `issued_at` is not backdated, and in UTC.

    `refresh_token` is there if the client asked for one and was given it. `messages` holds the messages of deny rules;
    clients ignore members that they do not know (RFC 6749, section 5.1).
    """
    text = token.text.reveal()  # base64url and dots, which need no escaping
    content = (
        f'{{"token":"{text}","access_token":"{text}","expires_in":{token.expires_in},'
        f'"issued_at":"{_spelled_second(token.issued_at)}"'
    )
    if with_scope:
        content += f',"scope":{_to_json(" ".join(map(str, token.access)))}'
    if login is not None:
        content += f',"refresh_token":"{login.text.reveal()}"'  # letters, digits and an underscore
    messages = messages_of(ruling)
    if messages:
        content += f',"messages":{_to_json(messages)}'
    return f"{content}}}\n".encode("ascii")


def exchange_body(token: Token, ruling: Ruling, login: NewLogin | None) -> bytes:
    """The JSON of a token exchange (RFC 8693, section 2.2.1): the session if there is one, else the token.

    Whatever is issued is in `access_token`. A session is no access token, so its `token_type` is `N_A`.
    """
    if login is None:
        body = token_body(token, ruling, with_scope=True).rstrip()[:-1].decode("ascii")
        return f'{body},"issued_token_type":"{ACCESS_TOKEN}","token_type":"Bearer"}}\n'.encode("ascii")
    content = {
        "access_token": login.text.reveal(),
        "issued_token_type": REFRESH_TOKEN,
        "token_type": "N_A",
        "expires_in": login.ends - login.begins,
    }
    return _to_json(content).encode("ascii") + b"\n"


def device_token_body(login: NewLogin, result: TokenResult | None) -> bytes:
    """The JSON of a login on a device: its refresh token, for how many seconds at most, and a token if there is one."""
    refresh = f'"refresh_token":"{login.text.reveal()}","refresh_token_expires_in":{login.ends - login.begins}'
    if result is None or result.token is None:
        return f"{{{refresh}}}\n".encode("ascii")
    body = token_body(result.token, result.ruling, with_scope=True).rstrip()[:-1].decode("ascii")
    return f'{body},"token_type":"Bearer",{refresh}}}\n'.encode("ascii")


@lru_cache(maxsize=8)
def _spelled_second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def messages_of(ruling: Ruling) -> tuple[str, ...]:
    """The messages of the deny rules that applied, each once. As with `explain`, anonymous callers get none."""
    if ruling.identity.kind is Kind.ANONYMOUS:
        return ()
    said = (reason.message for decision in ruling.decisions for reason in decision.reasons)
    return tuple(dict.fromkeys(message for message in said if message is not None))


def explanation_body(ruling: Ruling, denials: Sequence[Denial]) -> bytes:
    """The JSON of an explanation: about the caller alone, with rule ids and messages but no file or line.

    `denials` has one for each decision of the ruling. As many rules are cited as in an audit event. A scope that is not
    granted as asked has a `hint` if its name is a pasted image name; the decision is about the name as it was sent.
    """
    rules, omitted = cited_together(ruling.decisions)
    content: dict[str, object] = {
        "service": ruling.registry.service,
        "subject": ruling.identity.subject,
        **_who(ruling),
        "groups": sorted(ruling.identity.groups),
        "scopes": [
            {
                "resource": str(decision.scope.resource),
                "asked": in_order(decision.scope.actions),
                "granted": in_order(decision.granted),
                "rules": [
                    {
                        "action": reason.action,
                        "effect": reason.effect.value,
                        "rule": reason.rule,
                        "message": reason.message,
                    }
                    for reason in reasons
                ],
                **_hint(str(decision.scope), is_wanted=decision.granted != decision.scope.actions),
                "nearest": None if denial.nearest is None else [asdict(one) for one in denial.nearest],
                "contacts": denial.contacts,
            }
            for decision, reasons, denial in zip(ruling.decisions, rules, denials, strict=True)
        ],
        "rejected": [
            {"scope": cut(text), "reason": one.reason, **_hint(text, is_wanted=True)}
            for one in ruling.rejected
            for text in [shown(one.text)]
        ],
        **({"rules_omitted": omitted} if omitted else {}),
    }
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def _who(ruling: Ruling) -> dict[str, object]:
    """What else the client is: the namespace of a person whose source maps names, and what a workload is."""
    if ruling.workload is not None:
        return {"workloads": ruling.workload.names}
    namespace = None if ruling.identity.kind in MACHINES else ruling.identity.namespace
    return {} if namespace is None else {"namespace": namespace}


def _hint(scope: str, *, is_wanted: bool) -> dict[str, str]:
    hint = scope_hint(scope) if is_wanted else ""
    return {"hint": hint} if hint else {}
