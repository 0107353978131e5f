"""Questions about Go's readings of text for `go-readings`, our answers to them, and random ones."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from random_peer_yaml import peer_yaml

from tokenserver.documents.yaml_nodes import read_nodes
from tokenserver.errors import LoadError
from tokenserver.importers.docker_auth.sections import CONFIGURATION
from tokenserver.importers.golang.addresses import parse_address, parse_network
from tokenserver.importers.golang.characters import folded
from tokenserver.importers.golang.durations import parse_duration
from tokenserver.importers.golang.expression import BadExpression
from tokenserver.importers.golang.path_match import glob_matches
from tokenserver.importers.golang.regexp import GoExpression, go_expression, quote_meta
from tokenserver.importers.golang.yaml_decoder import decode
from tokenserver.importers.golang.yaml_types import DecodedStruct

CORPUS = Path(__file__).parents[1] / "corpus" / "go_readings"

Question = dict[str, Any]
Ask = Callable[[Question], dict[str, Any]]

ATOMS = (
    *("a", "b", "c", ".", "^", "$", r"\d", r"\w", r"\s", r"\W", r"\D", "[ab]", "[^a]", "[a-c]", "[[:alpha:]]"),
    *("[[:^digit:]]", r"\b", r"\B", r"\A", r"\z", "(?i:K)", "(?i)", "(?s)", "(?m)", "(?U)", "(?-i)", r"\Qa.b\E"),
    *(
        r"\n",
        r"\x41",
        r"\x{e9}",
        r"\101",
        r"\.",
        r"\/",
        "-",
        "/",
        "@",
        "é",
        r"\pL",
        r"\p{Lu}",
        r"\PL",
        r"\p{^L}",
        r"\p{Any}",
        "(?:)",
        "()",
    ),
    *("{", "}", "{2", r"\_", "[]a]", "[a-]", r"[\d-z]", r"[\pL_]", "(?i)[k-m]", "\u017f", r"\Q", r"\E", "{,2}"),
)
REJECTED = (
    *(r"\1", r"\8", r"\Z", r"\C", "(?=a)", "(?!a)", "(?<=a)", "(?P=n)", "(?<n>a)", "(?P<m>b)", "[[:foo:]]", "[b-a]"),
    *("[", "(", ")", "\\", "**", "a{1001}", "a{2,1}", "(?i-s:a)", "(?)", "(?-)", "(?z)", r"\x", r"\xZ", r"\x{}"),
    *(r"\x{110000}", r"[a-\d]", "(?#c)", "(?>a)", "a++", r"\y", r"\h", r"\G", r"\R", "[[.a.]]", r"\p", "a{100000000}"),
    *(
        "(?<a",
        "(?P<>a)",
        r"\p{L",
        "[[:alpha:]",
        "(a{500}){3}",
        "(a{30}){30}",
        "(a{2,}){501}",
        "(a{0}){9}",
        "a{10000000000}",
    ),
)
REPEATS = ("*", "+", "?", "{2}", "{0}", "{1,3}", "{0,}", "{2,}", "*?", "+?", "??", "{1,2}?", "{0,0}")

SUBJECTS = ("", "a", "ab", "abc", "K", "k\u017f", "aa\nb", "a.b", "é1_", "-/@", "bca ab")

ADDRESSES = (
    *("1.2.3.4", "::1", "::ffff:1.2.3.4", "1.2.3.4/8", "::/0", "0.0.0.0/0", "::ffff:1.2.3.4/96", "::ffff:1.2.3.4/120"),
    *("::ffff:0:0/95", "01.2.3.4", "1.2.3", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/08", "1.2.3.4/", "1.2.3.4/+8", ""),
    *("fe80::1%eth0", "2001:db8::/32", "1::2::3", ":1", "::1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:01.2.3.4", "a/b"),
    *(
        "[::1]",
        " 1.2.3.4",
        "1:2:3:4:5:6:7::",
        "::12345",
        "fe80::1%eth0/64",
        "1.2.3.4/1000000000000",
        "::1/128",
        "::1/129",
    ),
    *("10.0.0.5/24", "10.0.0.0", "2001:db8::7", "::ffff:1.2.3.4/90", "9" * 70),
)
DURATIONS = (
    *("1h", "1h30m", "0", "", "-0", "+", "1", "1.5s", ".5s", "5.s", ".s", "1us", "1µs", "1ns", "1.1ns", "-1h", "1d"),
    *("9223372036854775807ns", "9223372036854775808ns", "-9223372036854775808ns", "2562047h47m16.854775807s", "1 s"),
    *("1e3s", "0.999999999999s", "--1s", "1h-1m", "9" * 300 + "s"),
)
GLOBS = (
    *(("*", "a"), ("*", "a/b"), ("a/*", "a/b/c"), ("**", "a"), ("a?c", "abc"), ("a?c", "a/c"), ("[a-c]", "b")),
    *(("[^a-c]", "/"), ("[!a]", "!"), ("[", "a"), ("a[", "a"), ("\\*", "*"), ("a\\", "a"), ("", ""), ("*x*b", "axxb")),
    *(("*[^x]*b", "a/b"), ("{a,b}", "a"), ("[]a]", "]"), ("[-a]", "a"), ("[a-]", "a"), ("*?", "é"), ("*[^x]", "é")),
    *(("[é-ü]", "ö"), ("[\\]]", "]"), ("[\\", "a"), ("[a-\\b]", "b"), ("[a", "a"), ("*a*b/*", "xaxb/c"), ("a*", "ba")),
    *(("[^", "a"), ("[a-", "a"), ("?", "é"), ("?", ""), ("[a]b", ""), ("\\a\\b", "ab"), ("*c", "a/c"), ("a*[", "ab")),
)


def random_expression(rng: random.Random, depth: int = 0) -> str:
    """An expression, rejected now and then."""
    text = ""
    for _ in range(rng.randint(0, 4)):
        dice = rng.random()
        if dice < 0.03:
            part = rng.choice(REJECTED)
        elif dice < 0.25 and depth < 3:
            inner = random_expression(rng, depth + 1)
            part = rng.choice(("(%s)", "(?:%s)", "(?P<n>%s)", "(?i:%s)")).replace("%s", inner)
        else:
            part = rng.choice(ATOMS)
        text += part + (rng.choice(REPEATS) if rng.random() < 0.3 else "") + ("|" if rng.random() < 0.12 else "")
    return text


def _random_text(rng: random.Random, letters: str, most: int) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(0, most)))


def random_questions(rng: random.Random, count: int) -> Iterator[Question]:
    """Questions about globs, expressions, YAML and addresses."""
    for _ in range(count):
        glob, name = _random_text(rng, "ab/*?[]^-\\é*a", 8), _random_text(rng, "ab/é-^]", 7)
        yield {"ask": "glob", "pattern": glob, "subject": name}
        subject = _random_text(rng, "abcABkK1_ -/\n.@é\u017f", 8)
        yield {"ask": "regexp", "pattern": random_expression(rng), "subject": subject}
        yield {"ask": "network", "pattern": rng.choice(ADDRESSES), "subject": "10.0.0.1"}
        yield {"ask": "yaml", "subject": peer_yaml(rng)}


def fixed_questions() -> Iterator[Question]:
    """The questions whose answers are recorded, besides random ones."""
    for pattern in (*ATOMS, *REJECTED):
        for subject in SUBJECTS:
            yield {"ask": "regexp", "pattern": pattern, "subject": subject}
    for pattern, subject in GLOBS:
        yield {"ask": "glob", "pattern": pattern, "subject": subject}
    for text in ADDRESSES:
        yield {"ask": "address", "subject": text}
        for address in ("1.2.3.4", "::1", "10.0.0.77", "2001:db8::7"):
            yield {"ask": "network", "pattern": text, "subject": address}
    for text in DURATIONS:
        yield {"ask": "duration", "subject": text}
    for char in "aks\u212a\u017fß\u1e9e\u0131\u0130\u03c3\u03c2\u03a3\u01c51é\u13a0\uab70\U0001e943":
        yield {"ask": "fold", "subject": char}
    yield {"ask": "quote", "subject": r"a.b\c+d*e?f(g)h|i[j]k{l}m^n$o/p-q_é"}


def our_answer(question: Question) -> dict[str, Any]:
    """What the importer's readings say, in the form of Go's answer; an error is just {"error": …}."""
    pattern, subject = question.get("pattern", ""), question["subject"]
    match question["ask"]:
        case "glob":
            return {"match": glob_matches(pattern, subject)}
        case "regexp":
            return _expression_answer(pattern, subject)
        case "quote":
            return {"text": quote_meta(subject)}
        case "fold":
            orbit = folded([(ord(subject), ord(subject))])
            return {"text": "".join(chr(char) for low, high in orbit for char in range(low, high + 1))}
        case "address":
            return {"error": True} if parse_address(subject) is None else {}
        case "network":
            network, address = parse_network(pattern), parse_address(subject)
            return {"error": True} if network is None or address is None else {"match": address in network}
        case "duration":
            nanoseconds = parse_duration(subject)
            return {"error": True} if nanoseconds is None else {"nanoseconds": nanoseconds}
    try:
        found, _ = decode(read_nodes(subject, "docker_auth.yml"), CONFIGURATION, "docker_auth.yml")
    except LoadError:
        return {"error": True}
    return {"configuration": _go_form(found)}


def comparable(question: Question, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of Go's without what ours do not have: texts of errors, spellings, and why a glob does not match."""
    if "error" in answer:
        return {"error": True}
    match question["ask"]:
        case "fold":
            return {"text": "".join(sorted(answer["text"]))}
        case "address":
            return {}
        case "glob":
            return {"match": answer["match"]}
    return answer


def recorded(kind: str) -> list[tuple[Question, dict[str, Any]]]:
    """The recorded questions of a kind, with Go's answers in comparable form."""
    lines = (CORPUS / f"{kind}.jsonl").read_text("utf-8").splitlines()
    pairs = [(found["question"], found["answer"]) for found in map(json.loads, lines)]
    return [(question, comparable(question, answer)) for question, answer in pairs]


def disagreements(kind: str) -> list[tuple[Question, dict[str, Any], dict[str, Any]]]:
    """The recorded questions of a kind that we answer in another way: the question, Go's answer and ours."""
    answers = [(question, expected, our_answer(question)) for question, expected in recorded(kind)]
    return [each for each in answers if each[1] != each[2]]


@cache
def _parsed(pattern: str) -> GoExpression | None:
    """The expression, or None if it is rejected; most are asked about a dozen subjects."""
    try:
        return go_expression(pattern)
    except BadExpression:
        return None


def _expression_answer(pattern: str, subject: str) -> dict[str, Any]:
    expression = _parsed(pattern)
    if expression is None:
        return {"error": True}
    groups = expression.groups_in(subject)
    assert expression.is_found(subject) == (groups is not None)
    return {"groups": None if groups is None else list(groups)}


def _go_form(found: DecodedStruct) -> dict[str, Any]:
    values = found.values
    server, token = values["server"].values, values["token"].values
    backend = values["acl_mongo"]
    return {
        "Server": {
            **{name.capitalize(): server[name] for name in ("addr", "net", "certificate", "key")},
            "PathPrefix": server["path_prefix"],
            "RealIPHeader": server["real_ip_header"],
            "RealIPPos": server["real_ip_pos"],
            "HSTS": server["hsts"],
        },
        "Token": {
            **{name.capitalize(): token[name] for name in ("issuer", "certificate", "key", "expiration")},
            "DisableLegacyKeyID": token["disable_legacy_key_id"],
        },
        "Users": _table(values["users"], _user),
        "ACL": None if values["acl"] is None else [_entry(entry.values) for entry in values["acl"]],
        "Mongo": None if backend is None else {"CacheTTL": backend.values["cache_ttl"]},
    }


def _table(table: dict[str, tuple[int, Any]] | None, form: Callable[[Any], Any]) -> dict[str, Any] | None:
    return None if table is None else {key: form(value) for key, (_, value) in table.items()}


def _user(user: DecodedStruct | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {"Password": user.values["password"], "Labels": _table(user.values["labels"], lambda values: values)}


def _entry(values: dict[str, Any]) -> dict[str, Any]:
    match = None
    if values["match"] is not None:
        fields = values["match"].values
        match = {name.capitalize(): fields[name] for name in ("account", "type", "name", "service")}
        match |= {"IP": fields["ip"], "Labels": _table(fields["labels"], lambda pattern: pattern)}
    return {"Match": match, "Actions": values["actions"], "Comment": values["comment"]}


@contextmanager
def running(program: str | Path) -> Iterator[Ask]:
    """A running go-readings, which answers one question after the other."""
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def ask(question: Question) -> dict[str, Any]:
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        found: dict[str, Any] = json.loads(stdout.readline())
        return found

    try:
        yield ask
    finally:
        stdin.close()
        process.wait(timeout=10)
        stdout.close()
