"""Random configurations of docker_auth and calls, for comparing the model with a running server."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

from peer_cases import HASHES, Call, Case

_ACCOUNTS = ("", "ann", "bob", "a*", "a.b", "x@test.com", "/a/", "web")
_NAMES = ("a", "b", "a/b", "ann/x", "web/x", "web/api", "x/y/z", "a.b/x", "a*/x", "bob-web", "api", "", "x@test.com/a")
_VALUES = ("web", "api", "a*", "*", "/^a/", "", "x/y", "ann", ".*", "[a-w]*")
_LABELS = ("g", "p", "1", "e")
_PARTS = (
    *("a", "b", "ann", "web", "*", "?", "/", "[a-c]", "[^/]", "\\*", ".", "x", "-", "api", "@test.com"),
    *("${account}", "${name}", "${type}", "${service}", "${labels:g}", "${labels:p}", "${labels:1}", "${labels:e}"),
    *("${account:1}", "${name:1}", "${name:2}", "${service:1}", "${account:0}", "${labels:none}", "${type:1}"),
)
_EXPRESSION_PARTS = (
    *("a", "b", "ann", "web", ".", ".*", ".+", "[a-w]+", "^", "$", "(.+)", "(a|w)", "(.)(.*)", "/", "\\.", "@", "(?i)"),
    *("x*", "${account}", "${labels:g}", "${name}", "${account:1}", "\\w", "[^/]+", "(?:b)?", "-", "\\b", "${service}"),
)
_NETWORKS = ("127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "::1", "0.0.0.0/0", "::/0", "::ffff:127.0.0.0/104")
_RULES = tuple(f"rule{number}" for number in range(8))
"""Each rule grants an action of its own, which shows the one that decides."""

_ACTIONS = ("pull", "push", "*", "delete", "bogus", "")


def _pattern(rng: random.Random) -> str:
    if rng.random() < 0.4:
        inner = "".join(rng.choice(_EXPRESSION_PARTS) for _ in range(rng.randint(1, 4)))
        return f"/{inner}/"
    return "".join(rng.choice(_PARTS) for _ in range(rng.randint(0, 3)))


def _match(rng: random.Random) -> dict[str, object]:
    match: dict[str, object] = {}
    for field, share in (("account", 0.5), ("name", 0.7), ("type", 0.15), ("service", 0.25)):
        if rng.random() < share:
            match[field] = _pattern(rng)
    if rng.random() < 0.15:
        match["ip"] = rng.choice(_NETWORKS)
    if rng.random() < 0.3:
        match["labels"] = {rng.choice(_LABELS): _pattern(rng) for _ in range(rng.randint(0, 2))}
    return match


def _user(rng: random.Random) -> dict[str, object] | None:
    if rng.random() < 0.05:
        return None
    user: dict[str, object] = {}
    if rng.random() < 0.1:
        user["password"] = HASHES["123"]
    if rng.random() < 0.6:
        labels = rng.sample(_LABELS, rng.randint(0, 3))
        user["labels"] = {label: rng.sample(_VALUES, rng.randint(0, 3)) for label in labels}
    return user


def _call(rng: random.Random, accounts: list[str]) -> Call:
    account = rng.choice(accounts if rng.random() < 0.95 else _ACCOUNTS)
    actions = ",".join([*(rng.choice(_ACTIONS) for _ in range(rng.randint(1, 3))), *_RULES])
    kind = rng.choice(("repository", "repository", "repository", "registry", "a"))
    names = [rng.choice(_NAMES) for _ in range(rng.randint(1, 2))]
    scopes = "".join(f"&scope={quote(f'{kind}:{name}:{actions}')}" for name in names)
    query = f"service={quote(rng.choice(('reg', 'web', '', 'a*', 'ann')))}{scopes}"
    if rng.random() < 0.2:
        return Call(query, account, rng.choice(("123", "x")))
    return Call(f"account={quote(account)}&{query}")


def _rules(rng: random.Random) -> list[dict[str, object]]:
    rules: list[dict[str, object]] = []
    for number in range(rng.randint(1, 8)):
        actions = rng.choice((["*"], [], ["*", "pull"], *[[f"rule{number}", "pull"]] * 5))
        rules.append({"match": _match(rng), "actions": actions})
    return rules


def random_rules(rng: random.Random, requests: int) -> tuple[str, list[dict[str, object]]]:
    """Up to eight rules, and requests: fields in the order of docker_auth, labels, address and actions."""
    asked: list[dict[str, object]] = []
    for _ in range(requests):
        fields = [
            rng.choice(choices) for choices in (_ACCOUNTS, ("repository", "registry"), _NAMES, ("reg", "web", ""))
        ]
        labels = {label: rng.sample(_VALUES, rng.randint(0, 3)) for label in rng.sample(_LABELS, rng.randint(0, 3))}
        actions = rng.sample((*_ACTIONS, *_RULES, "pull"), 12)
        asked.append({"fields": fields, "labels": labels, "ip": rng.choice(("127.0.0.1", "::1")), "actions": actions})
    return f"acl: {json.dumps(_rules(rng))}", asked


def random_case(rng: random.Random, name: str, calls: int = 25) -> Case:
    """A configuration of a few users and up to eight rules, which docker_auth accepts more often than not."""
    users = {account: _user(rng) for account in rng.sample(_ACCOUNTS, 5)}
    acl = _rules(rng)
    # JSON is YAML, and says exactly which text is meant.
    text = f"users: {json.dumps(users)}\nacl: {json.dumps(acl)}"
    return Case(name, text, tuple(_call(rng, list(users)) for _ in range(calls)))
