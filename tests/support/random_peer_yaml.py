"""Random configurations of docker_auth in YAML, full of what YAML parsers disagree about."""

from __future__ import annotations

import random
from collections.abc import Callable

_SCALARS = (
    *("null", "~", "Null", "NULL", "", '"null"', "'~'", '""', "yes", "on", "true", '"true"', "y", "N", "1", "0x10"),
    *("010", "08", "1_000", "900", "-5", "+7", "1e3", "1.5", ".5", ".inf", ".nan", "2020-01-01", "15m", "1h30m"),
    *('"15m"', "! foo", "abc", '"*"', "'/a+/'", "*A", "*B", "0b11", "0o17", "9223372036854775807", "1:30", "é"),
    *("9223372036854775808", "18446744073709551616", "-9223372036854775809", "1e400", "<<", '"<<"', "-0", "+", "-"),
    *(".", "1__2", "0b_1", "0x", "12e", "1.", "-.5", "+.inf", "0X1F", "-0x1F", "-0b11", "1e400"),
)
_TAGGED = (
    *("!!str 5", '!!int "5"', "!!int x", "!!float 3", "!!binary aGk=", '!!binary "**"', "!foo bar", "!!null x"),
    *("!!bool yes", "!!timestamp 5", "!!timestamp 2020-01-01", "*C", '!!null ""', '!!float "x"', '!!bool "1"'),
)


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._scalars = _SCALARS + _TAGGED if rng.random() < 0.3 else _SCALARS

    def scalar(self) -> str:
        return self._rng.choice(self._scalars)

    def any(self, depth: int = 0) -> str:
        dice = self._rng.random()
        if depth > 2 or dice < 0.62:
            return self.scalar()
        if dice < 0.8:
            return "[" + ", ".join(self.any(depth + 1) for _ in range(self._rng.randint(0, 3))) + "]"
        return self.mapping(["account", "labels", "password"], lambda: self.any(depth + 1), 3)

    def key(self, known: list[str]) -> str:
        dice = self._rng.random()
        if dice < 0.9:
            return self._rng.choice(known)
        if dice < 0.97:
            return self._rng.choice(("yes", "true", "123", "~", '"<<"', "!!str k", "0x10", "1.5", "é", "x"))
        return self._rng.choice(("bogus", "[a]", "{a: b}", "null", '""', "<<"))

    def anchored(self, text: str) -> str:
        anchor = self._rng.choice(("&A ", "&B ", "&C ", "")) if self._rng.random() < 0.3 else ""
        return text if text.startswith("*") else anchor + text

    def mapping(self, known: list[str], value: Callable[[], str], most: int = 4) -> str:
        items = []
        for _ in range(self._rng.randint(0, most)):
            if self._rng.random() < 0.12:
                merged = ("*A", "*B", "{account: m, name: n}", "[*A, {account: k}]", "null", "[{password: z}]")
                items.append(f"<<: {self._rng.choice(merged)}")
            else:
                items.append(f"{self.key(known)}: {self.anchored(value())}")
        return "{" + ", ".join(items) + "}"

    def _labels(self) -> str:
        return self.scalar() if self._rng.random() < 0.6 else self.mapping(["g", "h"], self.scalar, 2)

    def match(self) -> str:
        known = ["account", "type", "name", "ip", "service", "labels"]
        return self.any() if self._rng.random() < 0.1 else self.mapping(known, self._labels)

    def entry(self) -> str:
        if self._rng.random() < 0.08:
            return self.any()
        actions = self._rng.choice(("[pull]", "[]", "null", '["*"]', f"[{self.scalar()}]", self.scalar(), "pull"))
        more = ("", f", comment: {self.scalar()}", f", match: {self.match()}", ", bogus: 1", ", <<: *A")
        return f"{{match: {self.anchored(self.match())}, actions: {actions}{self._rng.choice(more)}}}"

    def user(self) -> str:
        if self._rng.random() < 0.2:
            return self.scalar()
        return self.mapping(["password", "labels"], self._password_or_labels)

    def _password_or_labels(self) -> str:
        if self._rng.random() < 0.5:
            return self.scalar()
        return self.mapping(["g"], lambda: f"[{self.scalar()}, {self.scalar()}]", 2)

    def section(self) -> str:
        server = ["addr", "net", "real_ip_pos", "hsts", "real_ip_header", "path_prefix"]
        match self._rng.randrange(8):
            case 0:
                return "server: " + self.anchored(self.mapping(server, self.scalar, 3))
            case 1:
                return "token: " + self.mapping(["issuer", "expiration", "disable_legacy_key_id"], self.scalar, 2)
            case 2 | 3:
                return "users: " + self.anchored(self.mapping(["a", "b", "yes", '""'], self.user, 3))
            case 4 | 5:
                entries = ", ".join(self.entry() for _ in range(self._rng.randint(0, 2)))
                return "acl: " + self.anchored(f"[{entries}]")
            case 6:
                return self._rng.choice((f"acl_mongo: {{cache_ttl: {self.scalar()}}}", f"bogus: {self.any()}"))
        return "<<: " + self._rng.choice(("*A", "{users: {m: {}}}", "[{acl: []},{token: {issuer: q}}]"))


def peer_yaml(rng: random.Random) -> str:
    """A document; about half of them are rejected by docker_auth."""
    writer = _Writer(rng)
    lines = ["x: &A {account: aa, password: pp}", "y: &B foo", 'z: &C [pull, "*"]']
    lines += [writer.section() for _ in range(rng.randint(1, 3))]
    return "\n".join(lines) + rng.choice(("\n", "\n...\n", "\n---\n[", "\n"))
