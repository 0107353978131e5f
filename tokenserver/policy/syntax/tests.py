"""Syntax of one entry under `tests:` in a policy file."""

from __future__ import annotations

from typing import Any

from tokenserver.documents.document import Path
from tokenserver.documents.hints import nearest
from tokenserver.identity import ANONYMOUS, MACHINES, PEOPLE, Identity, Kind, Sort
from tokenserver.patterns import PatternError, parse_pattern
from tokenserver.policy.model import Principal
from tokenserver.policy.principals import AUTHENTICATED, UNNAMED, WORKLOADS, client_principal, is_unnamed
from tokenserver.policy.syntax.answers import parse_answer, read_lines
from tokenserver.policy.syntax.conditions import read_moment
from tokenserver.policy.syntax.machines import read_machine
from tokenserver.policy.syntax.reader import Reader, kind_of, one_of
from tokenserver.policy.syntax.where_claims import Where
from tokenserver.policy.terms import (
    TermError,
    parse_address,
    parse_group,
    parse_namespace,
    parse_registry_resource,
    parse_request,
    parse_user,
    parse_who,
)
from tokenserver.policy.testing.expectations import AsTest, Expectation, Setting, Test, WhatTest, WhoTest
from tokenserver.policy.testing.spans import Span
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS

_SETTING_KEYS = ("service", "at", "from", "kind")
_AS_KEYS = ("as", "can", "cannot", *_SETTING_KEYS)
_RELATIONS = ("exactly", "includes", "excludes")
_WHO_KEYS = ("who_can", *_RELATIONS, "except", *_SETTING_KEYS)
_WHAT_KEYS = ("what_can", "exactly", *_SETTING_KEYS)
_CREDENTIALS = [kind.value for kind in Kind if kind is not Kind.ANONYMOUS]
_MACHINES = ("robot", "workload")


def read_tests(reader: Reader, value: Any, place: Path) -> list[Test]:
    """Read one entry: one test, two if it has `includes:` and `excludes:`, none after a fault."""
    faults = len(reader.faults)
    tests: list[Test | None] = []
    if isinstance(value, dict) and "what_can" in value:
        content = reader.mapping(value, place, _WHAT_KEYS)
        tests.append(_read_what_test(reader, content, place))
    elif isinstance(value, dict) and "who_can" in value:
        content = reader.mapping(value, place, _WHO_KEYS)
        tests += _read_who_tests(reader, content, place)
    elif isinstance(value, dict) and "as" in value:
        content = reader.mapping(value, place, _AS_KEYS)
        tests.append(_read_as_test(reader, content, place))
    else:
        content = reader.mapping(value, place, {*_AS_KEYS, *_WHO_KEYS, *_WHAT_KEYS})
        if content:
            forms = "as: (with can:, cannot:), who_can: (with exactly:, includes: or excludes:)"
            reader.fault(place, f"needs {forms} or what_can: (with exactly:)")
    return [test for test in tests if test is not None] if len(reader.faults) == faults else []


def _read_as_test(reader: Reader, content: dict[str, Any], place: Path) -> AsTest | None:
    setting, kind = _read_setting(reader, content, place)
    identity = _read_identity(reader, content["as"], (*place, "as"), kind)
    expectations = []
    for key, granted in (("can", True), ("cannot", False)):
        if key in content:
            for at, item in reader.items(content[key], (*place, key)):
                scope = reader.term(item, at, parse_request)
                if scope is not None:
                    expectations.append(Expectation(at, scope, granted))
    if "can" not in content and "cannot" not in content:
        reader.fault(place, "expects nothing; add can: or cannot:")
    return None if identity is None else AsTest(identity, tuple(expectations), setting, place)


def _read_identity(reader: Reader, value: Any, place: Path, kind: Kind | None) -> Identity | None:
    if value == "anonymous":
        if kind is not None:
            reader.fault(place, f"an anonymous client has no credential of kind {kind}")
        return ANONYMOUS
    if value == "authenticated":
        if kind in MACHINES:
            reader.fault(place, f"authenticated means people, who have no credential of kind {kind}")
        return Identity(UNNAMED, kind or Kind.PASSWORD)
    if not isinstance(value, dict):
        _fault_of_form(reader, value, place)
        return None
    content = reader.mapping(value, place, ("user", "groups", "namespace", *_MACHINES))
    if any(key in content for key in _MACHINES):
        if "groups" in content:
            reader.fault((*place, "groups"), "machines bring no groups; fix: name the machine in a group of the tree")
            return None
        machine = read_machine(reader, content, place)
        if machine is not None and kind not in (None, machine.kind):
            reader.fault(place, f"a {machine.sort} has no credential of kind {kind}")
        return machine
    if kind in MACHINES:
        reader.fault(place, f"a user has no credential of kind {kind}")
        return None
    user = reader.term(content["user"], (*place, "user"), parse_user) if "user" in content else UNNAMED
    groups = reader.terms(content["groups"], (*place, "groups"), parse_group) if "groups" in content else []
    namespace = None
    if "namespace" in content:
        namespace = reader.term(content["namespace"], (*place, "namespace"), parse_namespace)
        if "user" not in content:
            reader.fault((*place, "namespace"), "goes with user: the user who has it")
    if user is None:
        return None
    return Identity(user, kind or Kind.PASSWORD, groups=frozenset(groups), namespace=namespace)


def _fault_of_form(reader: Reader, value: Any, place: Path) -> None:
    said = f"{value!r}" if isinstance(value, str) else kind_of(value)
    hint = ""
    if isinstance(value, str) and value.startswith("user:"):
        hint = f"; did you mean {{user: {value.removeprefix('user:').strip()}}}?"
    forms = "{user: NAME, groups: […]}, {robot: NAME}, {workload: {from: …, claims: …}}, anonymous or authenticated"
    reader.fault(place, f"must be {forms}, not {said}{hint}")


def _read_who_tests(reader: Reader, content: dict[str, Any], place: Path) -> list[WhoTest]:
    setting, kind = _read_setting(reader, content, place)
    at: Path = (*place, "who_can")
    scope = reader.term(content["who_can"], at, parse_request)
    if scope is not None and len(scope.actions) != 1:
        reader.fault(at, "must ask for one action")
    if scope is not None and scope.resource.type == "repository" and "*" in scope.actions:
        reader.fault(at, "must name the action: pull, push or delete")
    relations = [key for key in _RELATIONS if key in content]
    if not relations or (len(relations) > 1 and "exactly" in relations):
        reader.fault(place, "needs exactly: alone, or includes: or excludes: or both")
        return []
    if "except" in content and "exactly" not in content:
        reader.fault((*place, "except"), "goes with exactly: alone")
    kind = kind or Kind.PASSWORD
    if "exactly" in content:
        where: Where = []
        lines = read_lines(reader, content, place, where)
        answers = frozenset(line.who for line in lines)
        found = (tuple(lines), tuple(where))
        return [] if scope is None else [WhoTest(place, scope, "exactly", answers, kind, setting, *found)]
    expected = {relation: reader.terms(content[relation], (*place, relation), parse_answer) for relation in relations}
    if scope is None:
        return []
    return [
        WhoTest(place, scope, relation, frozenset(answers), kind, setting) for relation, answers in expected.items()
    ]


def _read_what_test(reader: Reader, content: dict[str, Any], place: Path) -> WhatTest | None:
    setting, kind = _read_setting(reader, content, place)
    at: Path = (*place, "what_can")
    if "exactly" not in content:
        reader.fault(place, "needs exactly: (everything that may be done, such as [pull web/**])")
        return None
    spans = reader.terms(content["exactly"], (*place, "exactly"), _parse_span, may_be_empty=True)
    value = content["what_can"]
    if not isinstance(value, dict):
        who = reader.term(value, at, parse_who)
        if who is not None and kind is not None and kind not in _kinds_of(who):
            reader.fault((*place, "kind"), f"{who} has no credential of kind {kind}")
        return None if who is None else WhatTest(place, who, frozenset(), tuple(spans), setting)
    identity = _read_identity(reader, value, at, kind)
    if identity is None:
        return None
    if identity.sort is Sort.WORKLOAD:
        return WhatTest(place, WORKLOADS, frozenset(), tuple(spans), setting, identity=identity)
    who = AUTHENTICATED if is_unnamed(identity) else client_principal(identity.subject)
    namespace = None if identity.kind in MACHINES else identity.namespace
    return WhatTest(place, who, identity.groups, tuple(spans), setting, namespace=namespace)


def _kinds_of(who: Principal) -> frozenset[Kind]:
    """The kinds of credential that a test can name for this principal; the members of a group can have all."""
    if who.sort == "group":
        return PEOPLE.union(MACHINES)
    kinds = frozenset(kind for kind, sort in MACHINES.items() if who.sort in (sort, f"{sort}s"))
    return kinds or PEOPLE


def _parse_span(text: str) -> Span:
    """`ACTION[,ACTION] PATTERN [except PATTERN …]`, or `ACTION registry:NAME`.

    Raises:
        TermError: an unknown action, no legal pattern, or another form.
    """
    actions_text, space, rest = text.partition(" ")
    actions = actions_text.split(",")
    unknown = [action for action in actions if action not in ACTIONS]
    name, _, but = rest.partition(" except ")
    if not space or unknown or not name:
        hint = f"unknown action {unknown[0]!r}; {nearest(unknown[0], ACTIONS)}" if unknown else "no pattern"
        raise TermError(f"{text!r}: must be actions and a pattern, such as 'pull,push web/**': {hint}")
    kind, colon, plain = name.partition(":")
    try:
        if colon and kind == "registry" and "/" not in plain:
            return Span(frozenset(actions), "registry", parse_registry_resource(plain))
        meant = REPOSITORY_ACTIONS if "*" in actions else actions
        return Span(frozenset(meant), "repository", parse_pattern(name), tuple(map(parse_pattern, but.split())))
    except PatternError as error:
        raise TermError(f"{text!r}: {error}") from None


def _read_setting(reader: Reader, content: dict[str, Any], place: Path) -> tuple[Setting, Kind | None]:
    service = at = client = kind = None
    if "service" in content:
        service = reader.text(content["service"], (*place, "service"))
    if "at" in content:
        at = read_moment(reader, content["at"], (*place, "at"))
    if "from" in content:
        client = reader.term(content["from"], (*place, "from"), parse_address)
    if "kind" in content:
        kind = reader.term(content["kind"], (*place, "kind"), one_of(_CREDENTIALS, "kind of credential"))
    return Setting(service, at, client), None if kind is None else Kind(kind)
