"""The engine against an independent evaluator of thirty lines, and the laws that every policy obeys."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import combinations, product
from pathlib import Path
from typing import Any

from hypothesis import given, reject
from hypothesis import strategies as st
from slow_properties import slow_examples
from some_ceilings import ceiling

from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, PEOPLE, Identity, Kind
from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.decide import decide, decide_held
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.policy.machines.workloads import Required, Workload, membership, where_claims
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import AUTHENTICATED, AllOf, principals_of
from tokenserver.policy.queries.summary import short_answer
from tokenserver.policy.syntax.captures import CapturingGroup, parse_recipient
from tokenserver.policy.syntax.machines import robot_identity, workload_identity
from tokenserver.policy.terms import parse_moment, parse_principal
from tokenserver.scopes import Resource, Scope

CONTEXT = Context("registry", None, datetime(2026, 6, 1, tzinfo=UTC))
CLIENTS = [None, *map(ip_address, ("10.0.0.1", "10.9.0.1", "::ffff:10.0.0.1", "2001:db8::1"))]
DAYS = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 6, 12)]
REPOSITORY_ACTIONS = {"pull", "push", "delete"}
PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")

Policy = dict[str, Any]  # as a policy file says it: groups, and rules under allow and deny; registries by effect
Files = dict[str, dict[str, Any]]


def oracle(policy: Policy, identity: Identity, name: str, asked: set[str], context: Context = CONTEXT) -> set[str]:
    """What is granted, by the words of the contract and without any of the engine."""

    def one(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return one(pattern[1:], text) or bool(text and one(pattern, text[1:]))
        return bool(text) and pattern[0] == text[0] and one(pattern[1:], text[1:])

    def many(pattern: list[str], parts: list[str]) -> bool:
        if not pattern or not parts:
            return not pattern and not parts
        if pattern[0] == "**":
            return many(pattern[1:], parts[1:]) or many(pattern, parts[1:])
        return one(pattern[0], parts[0]) and many(pattern[1:], parts[1:])

    tree, user, anonymous = policy["groups"], identity.subject, identity.kind is Kind.ANONYMOUS
    is_person, robot = identity.kind in PEOPLE, user.removeprefix("robot:")

    def has(claims: Mapping[str, Any]) -> bool:
        globs = {name: [one] if isinstance(one, str) else one for name, one in claims.items()}
        return all(
            any(many(glob.split("/"), value.split("/")) for glob in globs[name] for claim, value in identity.claims
                if claim == name)
            for name in globs
        )  # fmt: skip

    workloads = {
        name
        for name, one in WORKLOADS.items()
        if identity.kind is Kind.WORKLOAD and one["from"] == identity.source and has(one["claims"])
    }

    def is_in(one: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
        through = any(is_in(tree[name], tree) for name in one.get("includes", ()))
        is_machine = workloads & set(one.get("workloads", ())) or (
            identity.kind is Kind.ROBOT and robot in one.get("robots", ())
        )
        is_named = is_person and (user in one["users"] or identity.groups & set(one["groups"]))
        return bool(through or is_named or is_machine)

    def held(own: Mapping[str, Any]) -> set[str]:
        among = {name for name, one in own.items() if is_in(one, {**tree, **own})}
        return set() if anonymous else among

    groups = held(tree) | (set() if anonymous else {g for g in identity.groups if g not in tree})

    def holds(when: Mapping[str, Any], effect: Effect) -> bool:
        if when.get("since", "") > str(context.now) or str(context.now) >= when.get("until", "9"):
            return False
        if not has(when.get("claims", {})):
            return False
        if when.keys() & {"from", "not_from"} and context.client is None:
            return effect is Effect.DENY and identity.kind in when.get("kind", Kind)
        client = getattr(context.client, "ipv4_mapped", None) or context.client
        near, barred = (any(client in ip_network(one) for one in when.get(key, ())) for key in ("from", "not_from"))
        return identity.kind in when.get("kind", Kind) and ("from" not in when or near) and not barred

    def applies(rule: Mapping[str, Any], effect: Effect) -> bool:
        if context.service not in policy.get("registries", {}).get(effect, [context.service]):
            return False
        own = rule.get("own", {})  # the groups of the delegated file in which the rule stands
        mine = {
            Kind.ANONYMOUS: {"everyone", "anonymous"},
            **{kind: {"everyone", "authenticated", f"user:{user}"} for kind in PEOPLE},
            Kind.ROBOT: {"everyone", "robots", f"robot:{robot}"},
            Kind.WORKLOAD: {"everyone", "workloads", *(f"workload:{name}" for name in workloads)},
        }[identity.kind]
        mine |= {f"group:{group}" for group in (groups - own.keys()) | held(own)}
        captures = [re.escape(one).replace(r"\{t\}", "(.+)") for one in rule["to"] if "{t}" in one]
        captured = {found[1] for one in captures for g in groups if (found := re.fullmatch(one, f"group:{g}"))}
        values, variable = (captured, "${t}") if captures else (groups, "${group}")
        legal = [value for value in values if PATH_COMPONENT.fullmatch(value)]
        variants = [(u, value) for u in ([user] if is_person else []) + ["\0"] for value in [*legal, "\0"]]
        is_meant = bool(captured or mine & set(rule["to"])) and not mine & set(rule.get("except", []))
        return is_meant and holds(rule.get("when", {}), effect) and any(
            many(pattern.replace("${user}", u).replace(variable, value).split("/"), name.split("/"))
            for pattern in rule["repositories"] for u, value in variants
        ) and not any(many(pattern.split("/"), name.split("/")) for pattern in rule.get("not", ()))  # fmt: skip

    allowed, denied = (
        {action for rule in policy[effect] if applies(rule, effect) for action in rule["actions"]} for effect in Effect
    )
    literal = {"*"} if "*" in allowed and not denied else set()
    allowed |= REPOSITORY_ACTIONS if "*" in allowed else set()
    denied |= REPOSITORY_ACTIONS if "*" in denied else set()
    return (asked | (REPOSITORY_ACTIONS if "*" in asked else set())) & ((allowed - denied - {"*"}) | literal)


NAMES = ["a", "b", "ab"]
USERS = ["ann", "bob", "a"]
RULED = ["r-a-w", "r-b-w", "r-a-b-w", "x-a", "x-b-", "r--w", "r-a--w", "a-w"]  # names by which groups follow a rule
PRINCIPALS = ["everyone", "authenticated", "anonymous", *(f"user:{u}" for u in USERS), *(f"group:{g}" for g in NAMES)]
ROBOTS = ["a", "ci"]
WORKLOADS: dict[str, Any] = {
    "a": {"from": "github", "claims": {"repo": "o/a"}},
    "main": {"from": "github", "claims": {"repo": "o/a", "ref": ["main", "tags/*"]}},
    "any": {"from": "github", "claims": {"ref": "**"}},
    "lab": {"from": "gitlab", "claims": {"repo": ["o/a", "o/b*"]}},
}
WORKLOAD_PRINCIPALS = ["workloads", *(f"workload:{name}" for name in WORKLOADS)]
MACHINES = ["robots", *(f"robot:{name}" for name in ROBOTS), *WORKLOAD_PRINCIPALS]
CAPTURES = ["group:r-{t}-w", "group:{t}-w", "group:x-{t}", "group:r-a{t}w"]
ACTIONS = ["pull", "push", "delete", "*"]

PLAIN = ["a", "b", "ab", "ann", "*", "a*", "*b", "**"]
VARIABLE = ["${user}", "${group}", "${user}-a", "a${group}", "${group}-*", "*${user}", "x-${group}"]
taken = st.lists(st.sampled_from(PLAIN), min_size=2, max_size=2).map("/".join)
patterns = st.lists(st.sampled_from([*PLAIN, *VARIABLE]), min_size=1, max_size=4).map("/".join)
capturing_patterns = st.builds(
    lambda before, one, after: "/".join([*before, one, *after]).replace("${group}", "${t}"),
    st.lists(st.sampled_from([*PLAIN, *VARIABLE]), max_size=2),
    st.sampled_from([one for one in VARIABLE if "${group}" in one]),
    st.lists(st.sampled_from([*PLAIN, *VARIABLE]), max_size=1),
)
SEGMENTS = ["a", "b", "ab", "ann", "bob", "axb", "aa", "a-a", "a-b", "ann-a", "x-a", "x-ab", "b-b"]
names = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map("/".join)
some_actions = st.sets(st.sampled_from(ACTIONS), min_size=1)
some_principals = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=2, unique=True)
parts: dict[str, st.SearchStrategy[Any]] = {
    "from": st.sampled_from([["10.0.0.0/8"], ["10.0.0.0/16", "2001:db8::/32"]]),
    "not_from": st.sampled_from([["10.9.0.0/16"], ["2001:db8::1", "10.0.0.0/30"]]),
    "since": st.just("2026-06-01"),
    "until": st.sampled_from(["2026-06-01", "2026-07-01"]),
    "kind": st.sampled_from([["password"], ["anonymous"]]),
}
conditions = st.fixed_dictionaries({}, optional=parts).filter(
    lambda when: bool(when) and when.get("since", "") < when.get("until", "9")
)


def rules_with(
    to: list[str],
    covered: st.SearchStrategy[str],
    but: st.SearchStrategy[list[str]] = some_principals,
    when: st.SearchStrategy[Any] = conditions,
) -> st.SearchStrategy[dict[str, Any]]:
    """Rules for one or two of the principals, about names that these patterns cover."""
    return st.fixed_dictionaries(
        {
            "to": st.lists(st.sampled_from(to), min_size=1, max_size=2, unique=True),
            "repositories": st.lists(covered, min_size=1, max_size=2),
            "actions": some_actions.map(sorted),
        },
        optional={
            "except": but,
            "when": when,
            "not": st.lists(taken, min_size=1, max_size=2),
        },
    )


rules_for_people = rules_with(PRINCIPALS, patterns) | rules_with(CAPTURES, capturing_patterns)
some_clients = st.lists(st.sampled_from([*PRINCIPALS, *MACHINES]), min_size=1, max_size=2, unique=True)
machine_kinds = st.sampled_from([["robot"], ["workload"], ["password", "workload"], ["robot", "anonymous"], ["oidc"]])
machine_conditions = conditions | st.builds(lambda when, kind: {**when, "kind": kind}, conditions, machine_kinds)
claims = st.sampled_from([{"env": "prod"}, {"ref": "tags/*"}, {"env": ["prod", "test"], "repo": "o/a"}])
claim_conditions = st.builds(lambda when, claims: {**when, "claims": claims}, st.just({}) | machine_conditions, claims)
rules_for_machines = (
    rules_with([*PRINCIPALS, *MACHINES, *MACHINES], patterns, some_clients, machine_conditions)
    | rules_with(CAPTURES, capturing_patterns, some_clients, machine_conditions)
    | rules_with(WORKLOAD_PRINCIPALS, patterns, some_clients, claim_conditions)
)
rules = rules_for_people | rules_for_machines
members = st.fixed_dictionaries(
    {
        "users": st.lists(st.sampled_from(USERS), min_size=1, max_size=2, unique=True),
        "groups": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
    }
)
members_with_machines = st.builds(
    lambda members, machines: {**members, **machines},
    members,
    st.fixed_dictionaries(
        {},
        optional={
            "robots": st.lists(st.sampled_from(ROBOTS), min_size=1, max_size=2, unique=True),
            "workloads": st.lists(st.sampled_from(list(WORKLOADS)), min_size=1, max_size=2, unique=True),
        },
    ),
)


def with_includes(groups: dict[str, Any], wanted: Mapping[str, list[str]]) -> dict[str, Any]:
    """The groups, each including those of the wanted ones that are defined and have a smaller name."""
    chosen = {name: [one for one in wanted.get(name, ()) if one in groups and one < name] for name in groups}
    return {name: {**one, "includes": chosen[name]} if chosen[name] else one for name, one in groups.items()}


wanted_includes = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2, unique=True))


def policies_of(members: st.SearchStrategy[Any], rules: st.SearchStrategy[Any]) -> st.SearchStrategy[Policy]:
    """Policies with groups of these members and with these rules."""
    return st.fixed_dictionaries(
        {
            "groups": st.builds(
                with_includes,
                st.dictionaries(st.sampled_from(["a", "ab", "r-b-w"]), members, max_size=2),
                wanted_includes,
            ),
            "allow": st.lists(rules, min_size=1, max_size=4),
            "deny": st.lists(rules, max_size=3),
        },
        optional={
            "registries": st.dictionaries(st.sampled_from(list(Effect)), st.sampled_from([["registry"], ["other"]])),
        },
    )


policies_for_people = policies_of(members, rules_for_people)
policies = policies_of(members_with_machines, rules)
contexts = st.builds(Context, st.sampled_from(["registry", "other"]), st.sampled_from(CLIENTS), st.sampled_from(DAYS))
users = st.builds(
    Identity,
    st.sampled_from([*USERS, "eve"]),
    st.sampled_from([Kind.PASSWORD, Kind.OIDC]),
    groups=st.frozensets(st.sampled_from([*NAMES, *RULED]), max_size=6),
)
CLAIMS = {"repo": ["", "o/a", "o/b1", "o/a x"], "ref": ["", "main", "tags/1", "dev/x tags/1"], "env": ["", "prod"]}
robots = st.sampled_from([robot_identity(name) for name in ROBOTS])
workloads = st.sampled_from(
    [
        workload_identity(source, frozenset(pairs))
        for source in ("github", "gitlab")
        for texts in product(*CLAIMS.values())
        for pairs in [[(name, one) for name, text in zip(CLAIMS, texts, strict=True) for one in text.split()]]
        if (source == "github" and (texts[1] or "o/a" in texts[0])) or (source == "gitlab" and texts[0])
    ]
)  # fmt: skip
"""Each is at least one of the declared ones; others cannot log in."""
identities = st.integers(0, 9).flatmap(
    lambda number: [st.just(ANONYMOUS), robots, workloads, workloads][number] if number < 4 else users
)


def names_like(identity: Identity, *somewhere: Policy) -> st.SearchStrategy[str]:
    """Mostly names that patterns of these rules could cover for this client, since most others are covered by none."""
    rules = [rule for policy in somewhere for effect in Effect for rule in policy[effect]]
    texts = [text for rule in rules for text in rule["repositories"]]
    parts = [part for group in sorted(identity.groups) for part in (group, *group.split("-", 1), group[2:-2]) if part]
    words = [texts, [identity.subject, identity.subject, "bob"], [*parts, "a"], [*parts, "b"], ["a", "-a", "ann"]]
    covered = st.builds(filled, *map(st.sampled_from, words), st.booleans())
    return st.integers(0, 9).flatmap(lambda number: covered if number else names)


def filled(pattern: str, user: str, value: str, other: str, star: str, is_same: bool) -> str:
    """A name that the pattern covers for some clients; with another group in its second place, unless `is_same`."""
    pattern = pattern.replace("**", "ab/b" if is_same else "a").replace("${user}", user).replace("${t}", "${group}")
    pattern = pattern.replace("${group}", value, 1).replace("${group}", value if is_same else other)
    parts = pattern.replace("*", star).split("/")
    return "/".join(part if PATH_COMPONENT.fullmatch(part) else "a" for part in parts)


def cases(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """An identity, policies, and a name."""
    return st.tuples(identities, *parts).flatmap(lambda made: st.tuples(*map(st.just, made), names_like(*made)))


def condition(when: Mapping[str, Any]) -> Condition:
    """A `when` as the engine wants it."""
    since, until = (parse_moment(when[key]) if key in when else None for key in ("since", "until"))
    networks, outside = (tuple(map(ip_network, when.get(key, ()))) for key in ("from", "not_from"))
    return Condition(networks, since, until, frozenset(map(Kind, when.get("kind", ()))), outside)


def required(claims: Mapping[str, Any]) -> Required:
    """Claims of a file as the engine wants them."""
    texts = {name: [one] if isinstance(one, str) else one for name, one in claims.items()}
    return tuple((name, tuple(map(parse_claim_glob, texts[name]))) for name in sorted(texts))


DECLARED = {name: Workload(name, one["from"], required(one["claims"])) for name, one in WORKLOADS.items()}


def more_claims(rule: Mapping[str, Any]) -> list[Workload]:
    """What a rule with `when: {claims: …}` is to."""
    claims = rule.get("when", {}).get("claims")
    names = [None] if "workloads" in rule["to"] else [one.removeprefix("workload:") for one in rule["to"]]
    return [where_claims(DECLARED[name] if name else None, required(claims)) for name in names] if claims else []


def meant(rule: Mapping[str, Any]) -> tuple[Principals, list[Pattern]]:
    """The principals and the patterns of a rule as the engine wants them."""
    found = [parse_recipient(one) for one in rule["to"]]
    captures = tuple(one.capture for one in found if isinstance(one, CapturingGroup))
    logged_in = [AUTHENTICATED, Principal("robots"), Principal("workloads")]
    to = principals_of(logged_in if captures else (one for one in found if isinstance(one, Principal)))
    hidden = more_claims(rule)
    if hidden:
        to = Principals(groups=frozenset(membership(one.name) for one in hidden))
    return to, [parse_pattern(text, "t" if captures else "", captures) for text in rule["repositories"]]


def compiled(policy: Policy, few: int = FEW) -> PolicySet:
    """The policy as the engine wants it; with `few` 0 the index tells all entries apart by people."""
    made = tuple(
        Rule.of(
            f"{effect}-{number}",
            effect,
            *meant(rule),
            rule["actions"],
            excluded=principals_of(map(parse_principal, rule["except"])) if "except" in rule else None,
            condition=condition(rule["when"]) if "when" in rule else None,
            services=frozenset(policy["registries"][effect]) if effect in policy.get("registries", {}) else None,
            without=map(parse_pattern, rule.get("not", ())),
        )
        for effect in Effect
        for number, rule in enumerate(policy[effect])
    )
    hidden = [one for effect in Effect for rule in policy[effect] for one in more_claims(rule)]
    tree = Groups.of_all(
        (
            Group(
                name,
                frozenset(one["users"]).union(map(subject_of, one.get("robots", ()))),
                frozenset(one["groups"]).union(map(membership, one.get("workloads", ()))),
                frozenset(one.get("includes", ())),
            )
            for name, one in policy["groups"].items()
        ),
        {one.name: one for one in [*DECLARED.values(), *hidden]}.values(),
    )
    return PolicySet("", (), made, tree, build_index(made, few=few), robots={name: Robot(name) for name in ROBOTS})


def ask(name: str, actions: set[str]) -> Scope:
    return Scope(Resource("repository", name), frozenset(actions))


def granted(policy: Policy, identity: Identity, name: str, actions: set[str], context: Context = CONTEXT) -> set[str]:
    one, other = (decide(compiled(policy, few), identity, ask(name, actions), context) for few in (FEW, 0))
    assert one.granted == other.granted
    return set(one.granted)


@slow_examples()
@given(cases(policies), some_actions, contexts)
def test_engine_and_oracle_agree(case: tuple[Identity, Policy, str], actions: set[str], context: Context) -> None:
    """The index, the matcher and the decision say what the contract says."""
    identity, policy, name = case
    assert granted(policy, identity, name, actions, context) == oracle(policy, identity, name, actions, context)


@slow_examples()
@given(cases(policies), some_actions, contexts)
def test_files_and_oracle_agree(case: tuple[Identity, Policy, str], actions: set[str], context: Context) -> None:
    """The same through files, one for allows, one for denies, each for its registries, and one for groups."""
    identity, policy, name = case
    files: Files = {"groups.yaml": {"version": 1, "groups": policy["groups"], **DECLARATIONS}}
    files["groups.yaml"] = {key: value for key, value in files["groups.yaml"].items() if value}
    for effect in Effect:
        content = {
            effect.value: [{"id": f"{effect}-{number}", **rule} for number, rule in enumerate(policy[effect])],
            "registries": policy.get("registries", {}).get(effect),
        }
        if policy[effect]:
            files[f"{effect}.yml"] = {"version": 1, **{key: value for key, value in content.items() if value}}
    found = decide(load_files(files), identity, ask(name, actions), context).granted
    assert found == oracle(policy, identity, name, actions, context)


DECLARATIONS = {"robots": dict.fromkeys(ROBOTS), "workloads": WORKLOADS}


def document(policy: Policy, prefix: str, **more: Any) -> dict[str, Any]:
    """The policy as a file, with ids that begin with `prefix`; what is empty is left out."""
    filled: dict[str, Any] = {"version": 1, "groups": policy["groups"], **more}
    for effect in Effect:
        filled[effect] = [{"id": f"{prefix}-{effect}-{n}", **rule} for n, rule in enumerate(policy[effect])]
    return {key: value for key, value in filled.items() if value}


def load_files(files: Files) -> PolicySet:
    """The files, loaded from a folder. The example is skipped if a rule takes all of one of its patterns away."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text(json.dumps(content))
        try:
            return load_policies(Path(folder), now=CONTEXT.now)
        except LoadError as error:
            if any(" takes all of " in fault.message for fault in error.faults):
                reject()  # a `not` that leaves nothing, which no rule may have
            raise


def without(policy: Policy, taken: Mapping[str, Any]) -> Policy:
    """The policy without the groups whose names are taken."""
    return {**policy, "groups": {name: one for name, one in policy["groups"].items() if name not in taken}}


teams = st.fixed_dictionaries(
    {
        "groups": st.builds(
            with_includes, st.dictionaries(st.sampled_from(NAMES), members, max_size=2), wanted_includes
        ),
        "allow": st.lists(rules_for_people, min_size=1, max_size=2),
        "deny": st.lists(rules_for_people, max_size=1),
    }
)


@slow_examples()
@given(cases(policies, teams, teams), some_actions, contexts)
def test_delegated_files_and_oracle_agree(
    case: tuple[Identity, Policy, Policy, Policy, str], actions: set[str], context: Context
) -> None:
    """Groups of two teams may share their names: each is its own file's alone, and hides others there alone."""
    identity, policy, *both, name = case
    own = {f"teams/{number}.yaml": without(team, policy["groups"]) for number, team in enumerate(both)}
    all_of_it = [{"file": file, "repositories": ["**"], "actions": ["*"]} for file in own]
    files: Files = {"root.yaml": document(policy, "root", delegate=all_of_it, **DECLARATIONS)}
    files |= {file: document(team, f"t{number}") for number, (file, team) in enumerate(own.items())}
    whole: Policy = {"groups": policy["groups"]}
    for effect in Effect:
        of_teams = [{**rule, "own": team["groups"]} for team in own.values() for rule in team[effect]]
        whole[effect] = policy[effect] + of_teams
    found = decide(load_files(files), identity, ask(name, actions), context).granted
    assert found == oracle(whole, identity, name, actions, context)


@slow_examples()
@given(
    st.lists(patterns, min_size=1, max_size=2),
    some_actions.map(sorted),
    teams,
    st.lists(st.tuples(identities, names), max_size=8),
)
def test_a_team_never_leaves_its_area(
    area: list[str], most: list[str], team: Policy, asked: list[tuple[Identity, str]]
) -> None:
    """Rules that load change nothing outside of what was delegated; rules that do not load reach a name outside."""
    root = {"groups": {}, "deny": [], "allow": [{"to": ["everyone"], "repositories": ["**"], "actions": ["pull"]}]}
    entry = {"file": "teams/a.yaml", "repositories": area, "actions": most}
    files: Files = {"root.yaml": document(root, "root", delegate=[entry]), "teams/a.yaml": document(team, "team")}
    delegated = REPOSITORY_ACTIONS | {"*"} if "*" in most else set(most)
    try:
        loaded = load_files(files)
    except LoadError as error:
        witnesses = [re.search(r"reaches (\S+), which", fault.message) for fault in error.faults]
        said = [re.search(r"says (.*), which is not", fault.message) for fault in error.faults]
        assert all(witness or beyond for witness, beyond in zip(witnesses, said, strict=True))
        for beyond in filter(None, said):
            assert not set(beyond[1].split(", ")) & delegated
        return
    ceiling: Policy = {
        "groups": {},
        "deny": [],
        "allow": [{"to": ["everyone"], "repositories": area, "actions": ["*"]}],
    }
    for identity, name in asked:
        found = decide(loaded, identity, ask(name, {"pull", "push", "delete"}), CONTEXT).granted
        changed = found ^ {"pull"}
        assert changed <= delegated
        assert not changed or oracle(ceiling, identity, name, {"pull"})


@slow_examples()
@given(policies, rules, identities, names, some_actions)
def test_another_deny_never_adds(policy: Policy, rule: Any, identity: Identity, name: str, actions: set[str]) -> None:
    """A deny takes away or changes nothing."""
    more = {**policy, "deny": [*policy["deny"], rule]}
    assert granted(more, identity, name, actions) <= granted(policy, identity, name, actions)


@slow_examples()
@given(policies, rules, identities, names, some_actions)
def test_another_allow_never_removes(
    policy: Policy, rule: Any, identity: Identity, name: str, actions: set[str]
) -> None:
    """An allow adds or changes nothing."""
    more = {**policy, "allow": [*policy["allow"], rule]}
    assert granted(more, identity, name, actions) >= granted(policy, identity, name, actions)


def names_only_everyone(policy: Policy) -> bool:
    """No rule names `anonymous`, and none takes anything from whoever logs in."""
    rules = [*policy["allow"], *policy["deny"]]
    named = any("anonymous" in rule["to"] + rule.get("except", []) for rule in rules)
    taken = any(set(rule["to"]) != {"everyone"} or "except" in rule for rule in policy["deny"])
    return not named and not taken and not any("except" in rule for rule in policy["allow"])


fair_denies = st.builds(lambda rule: {**rule, "to": ["everyone"]}, rules)


@slow_examples()
@given(policies, st.lists(fair_denies, max_size=2), users, names, some_actions)
def test_logging_in_never_costs(
    policy: Policy, denies: list[Any], identity: Identity, name: str, actions: set[str]
) -> None:
    """What an anonymous client may do, everybody may who logs in, where no rule says otherwise."""

    def plain(rule: Mapping[str, Any], but: str = "") -> dict[str, Any]:
        kept = [principal for principal in rule["to"] if principal != "anonymous"]
        patterns = [re.sub(r"\*?\$\{\w+\}", "*", pattern) for pattern in rule["repositories"]]
        fair = {"to": kept or ["authenticated"], "repositories": rule["repositories"], "actions": rule["actions"]}
        return {**fair, "repositories": patterns} if but else fair

    fair = {
        **policy,
        "allow": [plain(rule) for rule in policy["allow"]],
        "deny": [plain(rule, "deny") for rule in denies],
    }
    assert names_only_everyone(fair)
    assert granted(fair, ANONYMOUS, name, actions) <= granted(fair, identity, name, actions)


@slow_examples()
@given(policies, st.randoms(use_true_random=False), identities, names, some_actions)
def test_order_never_matters(policy: Policy, random: Any, identity: Identity, name: str, actions: set[str]) -> None:
    """Rules in any order give the same decision, reasons and all."""
    made = compiled(policy)
    shuffled = list(made.rules)
    random.shuffle(shuffled)
    other = PolicySet("", (), tuple(shuffled), made.groups, build_index(shuffled))
    asked = ask(name, actions)
    assert decide(other, identity, asked, CONTEXT) == decide(made, identity, asked, CONTEXT)


@slow_examples()
@given(policies, identities, names, some_actions)
def test_granted_is_asked_and_allowed(policy: Policy, identity: Identity, name: str, actions: set[str]) -> None:
    """Nothing is granted that was not asked, and `*` only where a rule literally says it."""
    found = granted(policy, identity, name, actions)
    assert found <= actions | (REPOSITORY_ACTIONS if "*" in actions else set())
    assert "*" not in found or any("*" in rule["actions"] for rule in policy["allow"])


@slow_examples()
@given(policies, identities, names, some_actions, contexts)
def test_held_is_between_asked_and_allowed(
    policy: Policy, identity: Identity, name: str, actions: set[str], context: Context
) -> None:
    """With `grant: held`, all that was asked and granted, and nothing that asking for everything would not give."""
    made = compiled(policy)
    held = decide_held(made, identity, ask(name, actions), context)
    asked = decide(made, identity, ask(name, actions), context)
    everything = oracle(policy, identity, name, REPOSITORY_ACTIONS | (actions & {"*"}), context)
    assert held.granted >= asked.granted
    assert held.granted == (everything if actions else set())
    assert (held.scope, held.is_lasting) == (asked.scope, asked.is_lasting)
    assert set(held.reasons) >= set(asked.reasons)
    assert {reason.action for reason in held.reasons} >= held.granted
    assert all(reason.action in held.granted for reason in set(held.reasons) - set(asked.reasons))


@slow_examples()
@given(policies, identities, names, some_actions, st.tuples(names, some_actions))
def test_nothing_lifts_a_ceiling(
    policy: Policy, identity: Identity, name: str, actions: set[str], bound: tuple[str, set[str]]
) -> None:
    """With a ceiling, what is granted is in it, and is what would be granted without it."""
    other, most = bound
    bounded = replace(identity, ceiling=ceiling((other, ",".join(most))))
    within = most if other == name else set()
    assert granted(policy, bounded, name, actions) == granted(policy, identity, name, actions) & within


@slow_examples()
@given(policies, identities, names, some_actions)
def test_every_verdict_has_its_reasons(policy: Policy, identity: Identity, name: str, actions: set[str]) -> None:
    """A granted action cites allows alone, a refused one denies alone."""
    decision = decide(compiled(policy), identity, ask(name, actions), CONTEXT)
    cited = {(reason.action, reason.effect) for reason in decision.reasons}
    assert decision.granted == {action for action, effect in cited if effect is Effect.ALLOW}
    assert all(action not in decision.granted for action, effect in cited if effect is Effect.DENY)


def everybody(name: str, policy: Policy, answers: Collection[AllOf]) -> Iterator[Identity]:
    """Every client that could matter to the rules about `name`, whose segments the variables may take.

    They are in any of the groups; where rules capture, in at most two, or in those of an answer.
    """
    yield ANONYMOUS
    groups = {*NAMES, *name.split("/")}
    forms = {one[6:] for effect in Effect for rule in policy[effect] for one in rule["to"] if "{t}" in one}
    if forms:
        values = {text[start:end] for text in name.split("/") for start, end in combinations(range(len(text) + 1), 2)}
        groups |= {form.replace("{t}", value) for form in forms for value in values}
    sizes = range(3 if forms else len(groups) + 1)
    brought = {frozenset(some) for size in sizes for some in combinations(sorted(groups), size)}
    brought |= {frozenset(one.name for one in answer if one.sort == "group") for answer in answers}
    for user, some in product(sorted({*USERS, "eve", *name.split("/")}), brought):
        yield Identity(user, Kind.PASSWORD, groups=some)


def is_in(policies: PolicySet, identity: Identity, answer: AllOf) -> bool:
    held = {Principal("group", group) for group in policies.groups.holding(identity)}
    held |= {Principal("anonymous")} if identity.is_anonymous else {Principal("authenticated")}
    held.add(Principal("user", identity.subject))
    return answer <= held


# One example is hundreds of questions, so that thousands of them are a night's work.
@slow_examples(most=5_000)
@given(policies_for_people, names, st.sampled_from(["pull", "push", "delete"]))
def test_who_can_forgets_nobody_and_invents_nobody(policy: Policy, name: str, action: str) -> None:
    """Whoever can is covered by an answer, and for every answer there is somebody who can."""
    made = compiled(policy)
    made = replace(made, robots={}, groups=Groups.of_all(made.groups.written.values()))  # people alone
    answers = short_answer(made, action, Resource("repository", name), CONTEXT)
    able = [one for one in everybody(name, policy, answers) if decide(made, one, ask(name, {action}), CONTEXT).granted]
    assert [one for one in able if not any(is_in(made, one, answer) for answer in answers)] == []
    assert [answer for answer in answers if not any(is_in(made, one, answer) for one in able)] == []
