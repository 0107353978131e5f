"""First match wins, as rules whose order does not matter: a table, and random configurations asked of both sides."""

from __future__ import annotations

import time

import pytest
from acl_worlds import NOW, SERVICES, all_disagreements, configurations
from hypothesis import given
from slow_properties import slow_examples

from tokenserver.importers.docker_auth.comparison.announced import Announcements
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    PeerServerSettings,
    PeerTokenSettings,
    StaticUser,
)
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.translation import boxes, matching
from tokenserver.importers.docker_auth.translation.translate import AclTranslation, services_in, translate_acl
from tokenserver.importers.golang.regexp import MAX_SUBJECT
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.report import Verdict
from tokenserver.policy.loading.loader import compile_texts

HEAD = """\
server: {addr: "127.0.0.1:5001"}
token: {issuer: us, expiration: 900}
users:
  "": {}
  ann: {password: x, labels: {team: [web], stage: [dev, prod]}}
  bob: {password: x, labels: {team: [webshop]}}
  a/b: {password: x, labels: {team: ["*", x/y]}}
"""

_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"

Rules = list[tuple[str, ...]]


def _config(acl: str, *, is_open: bool = False) -> DockerAuthConfig:
    more = 'ldap_auth: {addr: "ldap.example.com:636"}\n' if is_open else ""
    entries = "".join(f"  - {line.strip()}\n" for line in acl.strip().splitlines())
    return read_docker_auth(f"{HEAD}{more}acl:\n{entries}", "auth.yml")


def _rules(translation: AclTranslation) -> Rules:
    """Each rule as its effect, principals, patterns, actions, and the rest, if there is any."""
    found: Rules = []
    for file in translation.files.values():
        for effect, rules in (("allow", file.allow), ("deny", file.deny)):
            for rule in rules:
                rest = {
                    "except": rule.exceptions,
                    "not": rule.besides,
                    "when": tuple(f"{key}={value}" for key, value in rule.when.items()),
                    "at": file.registries,
                }
                texts = [f"{key} {' '.join(map(str, value))}" for key, value in rest.items() if value]
                where = " ".join(rule.repositories or (f"registry:{rule.registry[0]}",))
                found.append((effect, " ".join(rule.to), where, rule.role or ",".join(rule.actions), *texts))
    return found


def _ours(translation: AclTranslation) -> OurSide:
    texts = {name: policy_yaml(file) for name, file in translation.files.items()}
    policies, _ = compile_texts(texts, services=translation.world.services)
    return OurSide(policies, translation.world.services, translation.world.accounts, NOW)


TABLE: dict[str, tuple[str, Rules]] = {
    "one entry is one rule": (
        '{match: {account: ann, name: "web/*"}, actions: [pull, push]}',
        [("allow", "user:ann", "web/*", "writer")],
    ),
    "everything is the catalog as well": (
        '{match: {account: ann}, actions: ["*"]}',
        [("allow", "user:ann", "**", "*"), ("allow", "user:ann", "registry:catalog", "*")],
    ),
    "an earlier entry that grants more hides nothing": (
        """{match: {account: ann}, actions: [pull, push]}
        {match: {account: "/.+/"}, actions: [pull]}""",
        [("allow", "user:ann", "**", "writer"), ("allow", "authenticated", "**", "reader")],
    ),
    "an earlier entry that grants less is an exception": (
        """{match: {account: ann}, actions: [pull]}
        {match: {account: "/.+/"}, actions: [pull, push]}""",
        [
            ("allow", "user:ann", "**", "reader"),
            ("allow", "authenticated", "**", "reader"),
            ("allow", "authenticated", "**", "push", "except user:ann"),
        ],
    ),
    "an entry without actions denies": (
        """{match: {account: ann, name: web/secret}, actions: []}
        {match: {name: "web/*"}, actions: [pull]}""",
        [
            ("allow", "everyone", "web/*", "reader"),
            ("deny", "user:ann", "web/secret", "*"),
        ],
    ),
    "but what is granted before": (
        """{match: {ip: 10.0.0.0/8}, actions: [pull]}
        {match: {account: ann}, actions: []}
        {match: {account: "/.+/"}, actions: [pull]}""",
        [
            ("allow", "everyone", "**", "reader", "when from=('10.0.0.0/8',)"),
            ("allow", "authenticated", "**", "reader", "except user:ann"),
        ],
    ),
    "an entry at the end that denies is no rule": (
        """{match: {account: ann}, actions: [pull]}
        {match: {}, actions: []}""",
        [("allow", "user:ann", "**", "reader")],
    ),
    "nothing at all is a rule that denies": ("{match: {}, actions: []}", [("deny", "everyone", "**", "*")]),
    "the namespace of an account": (
        '{match: {account: "/.+/", name: "${account}/*"}, actions: ["*"]}',
        [("allow", "authenticated", "${user}/*", "*"), ("allow", "user:a/b", "a/b/*", "*")],
    ),
    "a label is a group": (
        '{match: {labels: {team: web}}, actions: [pull]}',
        [("allow", "group:team=web", "**", "reader")],
    ),
    "alternatives of labels": (
        '{match: {labels: {team: "/^(web|data)$/"}}, actions: [pull]}',
        [("allow", "group:team=data group:team=web", "**", "reader")],
    ),
    "two labels are accounts": (
        '{match: {labels: {team: web, stage: dev}}, actions: [pull]}',
        [("allow", "user:ann", "**", "reader")],
    ),
    "any value is accounts": (
        '{match: {labels: {stage: "*"}}, actions: [pull]}',
        [("allow", "user:ann", "**", "reader")],
    ),
    "a label in a name": (
        '{match: {name: "${labels:stage}/*"}, actions: [pull]}',
        [("allow", "group:stage={value}", "${value}/*", "reader")],
    ),
    "a label in a name is an exception": (
        """{match: {name: "${labels:stage}/*"}, actions: [pull]}
        {match: {name: "*/*"}, actions: [pull, push]}""",
        [
            ("allow", "group:stage={value}", "${value}/*", "reader"),
            ("allow", "everyone", "*/*", "writer"),
            ("deny", "group:stage={value}", "${value}/*", "push,delete"),
        ],
    ),
    "a name that no user can have": ('{match: {account: " x "}, actions: [pull]}', [("deny", "everyone", "**", "*")]),
    "a value that no group can have": (
        '{match: {labels: {team: "a\\tb"}}, actions: [pull]}',
        [("deny", "everyone", "**", "*")],
    ),
    "a nested repetition of accounts": (
        '{match: {account: "/^(an*)+$/"}, actions: [pull]}',
        [("allow", "user:ann", "**", "reader")],
    ),
    "an exception with an address": (
        """{match: {account: ann, ip: 10.0.0.0/8}, actions: [pull]}
        {match: {name: "a/*"}, actions: [pull, push]}""",
        [
            ("allow", "user:ann", "**", "reader", "when from=('10.0.0.0/8',)"),
            ("allow", "everyone", "a/*", "reader"),
            ("allow", "everyone", "a/*", "push", "except user:ann"),
            ("allow", "everyone", "a/*", "push", "when not_from=('10.0.0.0/8',)"),
        ],
    ),
    "two services": (
        """{match: {account: ann, service: one}, actions: [pull]}
        {match: {name: "a/*"}, actions: [pull, push]}""",
        [
            ("allow", "everyone", "a/*", "reader"),
            ("allow", "everyone", "a/*", "push", "except user:ann"),
            ("allow", "user:ann", "**", "reader", "at one"),
            ("allow", "everyone", "a/*", "push", "at two"),
        ],
    ),
    "what a captured label grants is not denied": (
        """{match: {name: "${labels:stage}/*"}, actions: [pull]}
        {match: {account: ann, name: "*/*"}, actions: []}
        {match: {name: "*/*"}, actions: [pull]}""",
        [
            ("allow", "group:stage={value}", "${value}/*", "reader"),
            ("allow", "everyone", "*/*", "reader", "except user:ann"),
        ],
    ),
    "a namespace is not denied": (
        """{match: {account: "/.+/", name: "${account}/*"}, actions: [pull]}
        {match: {account: ann, name: "*/*"}, actions: []}
        {match: {name: "*/*"}, actions: [pull]}""",
        [
            ("allow", "authenticated", "${user}/*", "reader"),
            ("allow", "user:a/b", "a/b/*", "reader"),
            ("allow", "everyone", "*/*", "reader", "except user:ann"),
        ],
    ),
    "a namespace is an exception": (
        """{match: {account: "/.+/", name: "${account}/*"}, actions: [pull]}
        {match: {name: "*/*"}, actions: [pull, push]}""",
        [
            ("allow", "authenticated", "${user}/*", "reader"),
            ("allow", "user:a/b", "a/b/*", "reader"),
            ("allow", "everyone", "*/*", "writer"),
            ("deny", "authenticated", "${user}/*", "push,delete"),
            ("deny", "user:a/b", "a/b/*", "push,delete"),
        ],
    ),
    "any account at all": ('{match: {account: "/.*/"}, actions: [pull]}', [("allow", "everyone", "**", "reader")]),
    "any character": ('{match: {account: "/./"}, actions: [pull]}', [("allow", "authenticated", "**", "reader")]),
    "two characters": (
        '{match: {account: "/..+/"}, actions: [pull]}',
        [("allow", "user:a/b user:ann user:bob", "**", "reader")],
    ),
    "one character": (
        """{match: {name: "v?"}, actions: [pull]}
        {match: {name: "*"}, actions: [pull, push]}""",
        [
            ("allow", "everyone", " ".join(f"v{one}" for one in _CHARACTERS), "reader"),
            ("allow", "everyone", "*", "reader"),
            ("allow", "everyone", "*", "push", "not " + " ".join(f"v{one}" for one in _CHARACTERS)),
        ],
    ),
    "networks of the sixth version": (
        """{match: {ip: "2001:db8::/32", account: ann}, actions: [pull]}
        {match: {ip: "2001:db8:1::/48"}, actions: [pull, push]}
        {match: {ip: "10.0.0.0/8"}, actions: [pull, push]}""",
        [
            ("allow", "user:ann", "**", "reader", "when from=('2001:db8::/32',)"),
            ("allow", "everyone", "**", "reader", "when from=('2001:db8:1::/48',)"),
            ("allow", "everyone", "**", "push", "except user:ann", "when from=('2001:db8:1::/48',)"),
            ("allow", "everyone", "**", "writer", "when from=('10.0.0.0/8',)"),
        ],
    ),
    "a network in another one": (
        """{match: {ip: "10.1.0.0/16", account: ann}, actions: [pull]}
        {match: {ip: "10.0.0.0/8"}, actions: [pull]}
        {match: {ip: "10.2.0.0/16"}, actions: [pull, push]}""",
        [
            ("allow", "user:ann", "**", "reader", "when from=('10.1.0.0/16',)"),
            ("allow", "everyone", "**", "reader", "when from=('10.0.0.0/8',)"),
        ],
    ),
    "an expression without anchors that has every name": (
        '{match: {account: ann, name: "/.*/"}, actions: [pull]}',
        [("allow", "user:ann", "**", "reader")],
    ),
    "an empty name": ('{match: {name: ""}, actions: [pull]}', [("deny", "everyone", "**", "*")]),
    "labels in a name are accounts": (
        '{match: {name: "${labels:team}-${labels:stage}"}, actions: [pull]}',
        [("allow", "user:ann", "web-dev web-prod", "reader")],
    ),
    "a part of the account": (
        '{match: {account: "/^(.)nn$/", name: "${account:1}/*"}, actions: [pull]}',
        [("allow", "user:ann", "a/*", "reader")],
    ),
    "a placeholder without a value": (
        '{match: {account: ann, name: "${account:7}/*"}, actions: [pull]}',
        [("deny", "everyone", "**", "*")],
    ),
    "accounts like this": ('{match: {account: "*n*"}, actions: [pull]}', [("allow", "user:ann", "**", "reader")]),
    "no such account": ('{match: {account: "x*"}, actions: [pull]}', [("deny", "everyone", "**", "*")]),
    "anonymous clients": (
        '{match: {account: "", name: public}, actions: [pull]}',
        [("allow", "anonymous", "public", "reader")],
    ),
    "a service": (
        '{match: {service: one}, actions: [pull]}',
        [("allow", "everyone", "**", "reader", "at one")],
    ),
    "an unknown service": ('{match: {service: none}, actions: [pull]}', [("deny", "everyone", "**", "*")]),
    "another type": (
        '{match: {type: registry, name: catalog}, actions: ["*"]}',
        [("allow", "everyone", "registry:catalog", "*")],
    ),
    "never reached": (
        """{match: {account: "/.+/"}, actions: [pull]}
        {match: {account: ann}, actions: [pull, push]}""",
        [("allow", "authenticated", "**", "reader")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("acl", "expected"), TABLE.values(), ids=TABLE)
def test_exact(acl: str, expected: Rules) -> None:
    """Rules that somebody recognises, which mean the same."""
    config = _config(acl)
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert _rules(translation) == expected
    assert [one.verdict for one in translation.entries] == [Verdict.EXACT] * len(translation.entries)
    assert list(all_disagreements(config, _ours(translation))) == []


TRAPS: dict[str, tuple[str, Rules, Rules]] = {
    "an ignored key": (
        "{match: {team: web}, actions: [pull]}",
        [("deny", "everyone", "**", "*")],
        [("allow", "everyone", "**", "reader")],
    ),
    "what an ignored key hides is served": (
        """{match: {team: web}, actions: [pull]}
        {match: {account: ann}, actions: [pull]}""",
        [("allow", "user:ann", "**", "reader")],
        [("allow", "everyone", "**", "reader")],
    ),
    "an account without anchors": (
        '{match: {account: "/ann|b/"}, actions: [pull]}',
        [("allow", "user:ann user:b", "**", "reader")],
        [("allow", "user:ann user:b user:a/b user:bob", "**", "reader")],
    ),
    "a label without anchors": (
        '{match: {labels: {team: "/web/"}}, actions: [pull]}',
        [("allow", "group:team=web", "**", "reader")],
        [("allow", "group:team=web user:ann user:bob", "**", "reader")],
    ),
    "a name without anchors": (
        '{match: {name: "/team/"}, actions: [pull]}',
        [("allow", "everyone", "team", "reader")],
        [("allow", "everyone", "*team* *team*/** **/*team* **/*team*/**", "reader")],
    ),
    "a service without anchors": (
        '{match: {service: "/one|t/"}, actions: [pull]}',
        [("allow", "everyone", "**", "reader", "at one")],
        [("allow", "everyone", "**", "reader")],
    ),
    "a label of other sources, which is not quoted": (
        '{match: {name: "${labels:none}/z"}, actions: [pull]}',
        [("allow", "group:none={value}", "${value}/z", "reader")],
        [("allow", "group:none={value}", "${value}/z", "reader")],
    ),
    "a label with wildcards, for everybody": (
        '{match: {name: "${labels:team}/*"}, actions: [pull]}',
        [("allow", "group:team={value}", "${value}/*", "reader"), ("allow", "user:a/b", "x/y/*", "reader")],
        [("allow", "group:team={value}", "${value}/*", "reader"), ("allow", "user:a/b", "*/* x/y/*", "reader")],
    ),
    "a label with wildcards": (
        '{match: {account: a/b, name: "${labels:team}/z"}, actions: [pull]}',
        [("allow", "user:a/b", "x/y/z", "reader")],
        [("allow", "user:a/b", "*/z x/y/z", "reader")],
    ),
}


@pytest.mark.parametrize(("acl", "closed", "kept"), TRAPS.values(), ids=TRAPS)
def test_traps(acl: str, closed: Rules, kept: Rules) -> None:
    """They are closed, unless somebody wants them."""
    config = _config(acl, is_open="labels:none" in acl)
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert _rules(translation) == closed
    assert translation.entries[0].verdict is Verdict.CLOSED
    open_one = translate_acl(config, SERVICES, keep_traps=True)
    assert sorted(" ".join(rule) for rule in _rules(open_one)) == sorted(" ".join(rule) for rule in kept)
    assert open_one.entries[0].verdict is Verdict.KEPT


INEXACT: dict[str, tuple[str, bool, Verdict]] = {
    "accounts of other sources": ('{match: {account: "*-bot"}, actions: [pull]}', True, Verdict.NOT_TRANSLATED),
    "labels of other sources": ('{match: {labels: {team: "w*"}}, actions: [pull]}', True, Verdict.DIFFERENT),
    "two labels of other sources": (
        "{match: {labels: {team: web, stage: dev}}, actions: [pull]}",
        True,
        Verdict.DIFFERENT,
    ),
    "labels in a name of other sources": (
        '{match: {name: "${labels:stage}-${labels:team}"}, actions: [pull]}',
        True,
        Verdict.DIFFERENT,
    ),
    "a nested repetition": ('{match: {name: "/^(ab)*$/"}, actions: [pull]}', False, Verdict.NOT_TRANSLATED),
    "the name as a placeholder": ('{match: {name: "${name}"}, actions: [pull]}', False, Verdict.NOT_TRANSLATED),
    "the account as a placeholder": ('{match: {account: "${name}"}, actions: [pull]}', False, Verdict.NOT_TRANSLATED),
    "a label as a placeholder": (
        '{match: {labels: {team: "${account}"}}, actions: [pull]}',
        False,
        Verdict.NOT_TRANSLATED,
    ),
    "the type as a placeholder": ('{match: {type: "${type}"}, actions: [pull]}', False, Verdict.DIFFERENT),
    "the service as a placeholder": ('{match: {service: "${name}"}, actions: [pull]}', False, Verdict.CLOSED),
    "another type": ("{match: {type: plugin}, actions: [pull]}", False, Verdict.NOT_TRANSLATED),
    "unknown actions": ("{match: {}, actions: [pull, rename]}", False, Verdict.DIFFERENT),
    "a wildcard among others": ('{match: {}, actions: ["*", pull]}', False, Verdict.DIFFERENT),
    "no actions": ("{match: {account: ann}}", False, Verdict.DIFFERENT),
}


@pytest.mark.parametrize(("acl", "is_open", "verdict"), INEXACT.values(), ids=INEXACT)
def test_inexact(acl: str, is_open: bool, verdict: Verdict) -> None:
    """The report says why, and nothing is granted that docker_auth does not grant."""
    config = _config(acl, is_open=is_open)
    translation = translate_acl(config, SERVICES, keep_traps=False)
    (construct,) = translation.entries
    assert construct.verdict is verdict
    assert construct.note
    assert not any(one.grants_more for one in all_disagreements(config, _ours(translation)))


def test_too_many_rules() -> None:
    """Entries that would take too many exceptions become deny rules."""
    lines = [f"{{match: {{labels: {{team: t{number}}}, name: x{number}/*}}, actions: [pull]}}" for number in range(20)]
    config = _config("\n".join([*lines, "{match: {}, actions: [pull, push]}"]))
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert {rule[0] for rule in _rules(translation)} == {"allow", "deny"}
    assert len(_rules(translation)) < 70
    assert {one.verdict for one in translation.entries} == {Verdict.EXACT}


def test_services_in() -> None:
    """Literal names alone."""
    acl = """{match: {service: b}, actions: []}
    {match: {service: "r*"}, actions: []}
    {match: {service: "/a/"}, actions: []}
    {match: {service: a}, actions: []}
    {match: {}, actions: []}"""
    assert services_in(_config(acl)) == ("b", "a")


@given(configurations)
@slow_examples(2, 5_000)
def test_the_same_answers(config: DockerAuthConfig) -> None:
    """Both sides agree, unless the report announces that less is granted here; traps are closed or kept."""
    for keep_traps in (False, True):
        translation = translate_acl(config, SERVICES, keep_traps=keep_traps)
        announcements = Announcements(config, translation.entries)
        for one in all_disagreements(config, _ours(translation), 60):
            assert not one.grants_more, str(one)
            assert announcements.has(one), str(one)


def test_many_entries() -> None:
    """A thousand take far less than ten seconds, so ten thousand take ten."""
    lines = [f"{{match: {{account: u{n}, name: team{n % 200}/p{n}/*}}, actions: [pull, push]}}" for n in range(1_000)]
    config = _config("\n".join([*lines, '{match: {account: "/.+/"}, actions: [pull]}']))
    begin = time.process_time()
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert time.process_time() - begin < 5
    assert len(_rules(translation)) == 1_001


def test_what_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns that are too complex to compare are taken to overlap, and not to contain each other."""
    monkeypatch.setattr(boxes, "_STEPS", 0)
    assert boxes.patterns_meet("*q*/z*/**", "*z*/*q*/**")
    assert not boxes.covers(["*/*z*/**"], "*w*/*w*/**")


def test_a_null_match() -> None:
    """docker_auth does not start with it; nothing comes of it."""
    config = DockerAuthConfig(
        "auth.yml", PeerServerSettings(), PeerTokenSettings(), {}, (AclEntry(3, None, ("pull",)),)
    )
    (construct,) = translate_acl(config, SERVICES, keep_traps=False).entries
    assert (construct.verdict, construct.text) == (Verdict.DIFFERENT, "anything -> [pull]")


def test_beyond_the_limits_of_the_evaluator() -> None:
    """What is unknown is not granted, and hides later entries."""
    account = "a" * (MAX_SUBJECT + 1)
    users = {account: StaticUser(account, 1, "x")}
    acl = (AclEntry(1, AclMatch(account="/^(aa)+$/"), ("pull",)), AclEntry(2, AclMatch(), ("push",)))
    config = DockerAuthConfig("auth.yml", PeerServerSettings(), PeerTokenSettings(), users, acl)
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert [one.verdict for one in translation.entries] == [Verdict.NOT_TRANSLATED, Verdict.DIFFERENT]
    assert _rules(translation) == [("allow", "everyone", "**", "push", f"except user:{account}")]
    assert matching.account_submatches(AclMatch(account="/(a)/", name="${account:1}"), account) == {}


def test_the_literal_wildcard_alone_is_hidden() -> None:
    """No rule denies it alone, so it is granted for fewer names, and the report says so."""
    config = _config("""{match: {account: ann, name: "/^x[a-z]+$/"}, actions: [pull, push, delete]}
        {match: {account: ann}, actions: ["*"]}""")
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert [one.verdict for one in translation.entries] == [Verdict.EXACT, Verdict.DIFFERENT]
    assert {rule[3] for rule in _rules(translation)} == {"maintainer", "*"}
    assert not any(one.grants_more for one in all_disagreements(config, _ours(translation)))


def test_rules_that_cannot_be_denied() -> None:
    """Where exceptions are too many and denials impossible, less is granted, and the report says so."""
    lines = [
        f'{{match: {{labels: {{team: "/t{number}/"}}, name: "/^x{number}[a-z]+$/"}}, actions: [pull, push, delete]}}'
        for number in range(8)
    ]
    config = _config("\n".join([*lines, '{match: {}, actions: ["*"]}']), is_open=True)
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert translation.entries[-1].verdict is Verdict.DIFFERENT
    assert len(_rules(translation)) < 150
    assert not any(one.grants_more for one in all_disagreements(config, _ours(translation)))


MEETING = {
    "a tree": ("a/**", "a/b", True),
    "another tree": ("a/**", "b/c", False),
    "another length": ("a/*", "a/*/c", False),
    "another beginning": ("a*/x", "b*/x", False),
    "another end": ("*a", "*b", False),
    "both": ("a*", "*b", True),
    "a tree in the middle": ("x/**/a", "x/y/z", False),
}


@pytest.mark.parametrize(("one", "other", "expected"), MEETING.values(), ids=MEETING)
def test_patterns_meet(one: str, other: str, expected: bool) -> None:
    """In both orders."""
    assert (boxes.patterns_meet(one, other), boxes.patterns_meet(other, one)) == (expected, expected)


def test_many_sets_of_names() -> None:
    """Of accounts of the file, more than a rule each."""
    users = "".join(f"  u{number}: {{password: x, labels: {{a: [x{number}], b: [y]}}}}\n" for number in range(300))
    text = f'{HEAD}{users}acl: [{{match: {{name: "${{labels:a}}-${{labels:b}}"}}, actions: [pull]}}]'
    (construct,) = translate_acl(read_docker_auth(text, "auth.yml"), SERVICES, keep_traps=False).entries
    assert construct.verdict is Verdict.NOT_TRANSLATED
    assert "more than 256 sets of names" in construct.note


def test_anonymous_clients_with_labels() -> None:
    """They are in no group, but a principal of their own."""
    text = HEAD.replace('"": {}', '"": {labels: {team: [web]}}')
    acl = """acl:
  - {match: {labels: {team: web}}, actions: [pull]}
  - {match: {account: "/.+/"}, actions: [pull, push]}
"""
    config = read_docker_auth(text + acl, "auth.yml")
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert _rules(translation) == [
        ("allow", "group:team=web anonymous", "**", "reader"),
        ("allow", "authenticated", "**", "reader"),
        ("allow", "authenticated", "**", "push", "except group:team=web"),
    ]
    assert list(all_disagreements(config, _ours(translation))) == []


def test_exceptions_that_cannot_be_denied() -> None:
    """As many as fit into a bounded number of rules."""
    lines = [f'{{match: {{account: u{n}, name: "/^x{n}a.b.c$/"}}, actions: [pull]}}' for n in range(8)]
    config = _config("\n".join([*lines, "{match: {}, actions: [pull, push]}"]))
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert translation.entries[-1].verdict is Verdict.DIFFERENT
    assert not any(one.grants_more for one in all_disagreements(config, _ours(translation)))


def test_a_denial_that_would_need_what_is_unknown() -> None:
    """An earlier entry that is not exact grants what would be denied, so less is granted instead."""
    config = _config("""{match: {account: ann, name: "/^a.b.c$/"}, actions: [push]}
        {match: {account: "/.+/", name: "${account}*"}, actions: [pull]}
        {match: {}, actions: [pull, push]}""")
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert translation.entries[-1].verdict is Verdict.DIFFERENT
    assert not any(one.grants_more for one in all_disagreements(config, _ours(translation)))


def test_many_parts_of_one_entry() -> None:
    """An entry that is about other names for each account is denied, not excepted."""
    users = "".join(f"  u{number}: {{password: x, labels: {{a: [x{number}], b: [y]}}}}\n" for number in range(12))
    acl = """acl:
  - {match: {name: "${labels:a}-${labels:b}"}, actions: [pull]}
  - {match: {}, actions: [pull, push]}
"""
    config = read_docker_auth(HEAD + users + acl, "auth.yml")
    translation = translate_acl(config, SERVICES, keep_traps=False)
    assert [one.verdict for one in translation.entries] == [Verdict.EXACT, Verdict.EXACT]
    assert list(all_disagreements(config, _ours(translation))) == []


def test_values_that_no_name_can_have() -> None:
    """Accounts and labels with capital letters match nothing."""
    text = """users: {Ann: {password: x, labels: {team: [WEB]}}}
acl:
  - {match: {name: "${labels:team}/*"}, actions: [pull]}
  - {match: {name: "${account}/*"}, actions: [pull]}
"""
    translation = translate_acl(read_docker_auth(text, "auth.yml"), SERVICES, keep_traps=False)
    assert _rules(translation) == [
        ("allow", "group:team={value}", "${value}/*", "reader"),
        ("allow", "everyone", "${user}/*", "reader"),
    ]


def test_shrunk() -> None:
    """What another pattern covers goes."""
    assert boxes.shrunk(["a/*", "b", "a/**", "b"]) == ("b", "a/**")
