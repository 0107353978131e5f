"""The exchange: request, identity, ruling, token; and which requests end before there is one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, DeclaredSecret, compose_key, digest_of
from tokenserver.authn.chain import Chain
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.credentials import AccessKeyForm, Credentials, NoCredentials, Password, RefreshToken, Secret
from tokenserver.errors import AuthenticationRequired, Incomplete, InvalidCredentials, InvalidRequest
from tokenserver.exchange.service import MAX_ACCOUNT, TokenRequest, TokenService
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_name, parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Effect, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries.denial import NOTHING_DENIED
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Access, Resource, Scope, ScopeRequest, mark_new
from tokenserver.tokens.claims import Compat, Registry

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WEB = Resource("repository", "web/x")


def rule(name: str, to: str, pattern: str, actions: str, **more: Any) -> Rule:
    """A rule, a deny if its name says so."""
    is_catalog = pattern == "catalog"
    return Rule.of(
        name,
        Effect.DENY if name.startswith("no-") else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())),
        [parse_name(pattern) if is_catalog else parse_pattern(pattern)],
        actions.split(),
        resource_type="registry" if is_catalog else "repository",
        **more,
    )


RULES = (
    rule("web", "authenticated", "web/**", "pull push", max_lifetime=600),
    rule("base", "everyone", "base/**", "pull"),
    rule("short", "authenticated", "short/*", "pull", max_lifetime=120),
    rule("over", "everyone", "over", "pull", condition=Condition(until=NOW)),
    rule("catalog", "user:ann", "catalog", "*"),
)


class Source:
    """A user source in which everybody is `identity`, or nobody is anybody."""

    name = "local"

    def __init__(self, identity: Identity | None) -> None:
        self.identity = identity

    def authenticate(self, credentials: Password) -> Identity | None:  # noqa: ARG002 - the protocol
        """The identity."""
        return self.identity


class Issuer:
    """Signs nothing, and keeps what it was asked to sign."""

    def __init__(self) -> None:
        self.issued: list[tuple[Identity, Registry, tuple[Access, ...], int | None]] = []

    def issue(self, identity: Identity, registry: Registry, access: Any, *, lifetime: int | None = None) -> Any:
        """A token."""
        self.issued.append((identity, registry, tuple(access), lifetime))
        return SimpleNamespace(text=Secret(f"token {len(self.issued)}"))


ANN = Identity("ann", Kind.PASSWORD, "local")


def service(
    identity: Identity | None = ANN,
    rules: tuple[Rule, ...] = RULES,
    *,
    compat: Compat = Compat.UNIVERSAL,
    now: Callable[[], float] = NOW.timestamp,
    holds: bool = False,
    robots: DeclaredRobots | None = None,
) -> tuple[TokenService, Issuer]:
    """An exchange for one registry, with what it signed."""
    issuer = Issuer()
    registries = {"reg": Registry("reg", "issuer", compat, 900, holds=holds)}
    chain = Chain([Source(identity)], anonymous=True, decoy=None, robots=robots, now=now)
    policies = PolicySet("digest", ("a.yaml",), rules, Groups.of_all([]), build_index(rules))
    snapshot = Snapshot(registries, chain, policies, issuer)  # type: ignore[arg-type]  # a fake
    return TokenService(lambda: snapshot, now=now), issuer


def request(*scopes: str, credentials: Credentials | None = None, **more: Any) -> TokenRequest:
    """A request for these scopes, spelled `repository:web/x:pull`, as ann unless it says otherwise."""
    asked = []
    for text in scopes:
        kind, name, actions = text.split(":")
        asked.append(Scope(Resource(kind, name), frozenset(actions.split(","))))
    values: dict[str, Any] = {"service": "reg", "account": None, "client": ip_address("192.0.2.1")} | more
    login = Password("ann", Secret("secret")) if credentials is None else credentials
    return TokenRequest("id", "GET", scopes=ScopeRequest(tuple(asked)), credentials=login, **values)


NOBODY = NoCredentials()


@pytest.mark.parametrize(
    ("asked", "access", "lifetime"),
    [
        pytest.param([], {}, None, id="a login alone"),
        pytest.param(["repository:web/x:pull,push"], {"web/x": {"pull", "push"}}, 600, id="all of it"),
        pytest.param(["repository:web/x:pull,delete"], {"web/x": {"pull"}}, 600, id="a part of it"),
        pytest.param(["repository:infra/x:pull"], {}, None, id="nothing, which is no error"),
        pytest.param(
            ["repository:web/x:pull", "repository:base/x:pull"],
            {"web/x": {"pull"}, "base/x": {"pull"}},
            600,
            id="two repositories",
        ),
        pytest.param(
            ["repository:web/x:pull", "repository:short/x:pull"],
            {"web/x": {"pull"}, "short/x": {"pull"}},
            120,
            id="the shortest lifetime of all",
        ),
        pytest.param(["repository:over:pull"], {}, None, id="a rule whose time is over"),
    ],
)
def test_a_token(asked: list[str], access: dict[str, set[str]], lifetime: int | None) -> None:
    """It carries exactly the access that the identity has to what was asked."""
    exchange, issuer = service()
    result = exchange.exchange(request(*asked))
    assert result.token is not None
    ((identity, registry, given_access, seconds),) = issuer.issued
    assert (identity, registry.service, seconds) == (ANN, "reg", lifetime)
    assert {one.resource.name: set(one.actions) for one in given_access} == access
    assert result.ruling.access == given_access
    assert result.ruling.policy == "digest"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param({"service": "other"}, InvalidRequest, id="an unknown registry"),
        pytest.param({"account": "bob"}, InvalidCredentials, id="another account"),
        pytest.param({"account": "a" * (MAX_ACCOUNT + 1)}, InvalidCredentials, id="an account that is too long"),
        pytest.param({"credentials": NOBODY, "explain": True}, AuthenticationRequired, id="an anonymous explanation"),
    ],
)
def test_no_token(more: dict[str, Any], error: type[Exception]) -> None:
    """Nothing is signed."""
    exchange, issuer = service()
    with pytest.raises(error):
        exchange.exchange(request("repository:web/x:pull", **more))
    assert issuer.issued == []


@pytest.mark.parametrize(
    ("account", "subject", "is_accepted"),
    [
        pytest.param("ann", "ann", True, id="the subject"),
        pytest.param("ANN", "ann", False, id="another spelling"),
        pytest.param("bob", "bob", True, id="the subject, where the name was typed otherwise"),
        pytest.param("ann", "bob", True, id="the name as typed"),
        pytest.param("zoe\u0308", "zo\u00eb", True, id="in another normal form"),
        pytest.param("", "ann", False, id="empty"),
    ],
)
def test_account(account: str, subject: str, is_accepted: bool) -> None:
    """Docker sends the name of the login as `account`: it must be that of the user, and never decides who it is."""
    exchange, issuer = service(Identity(subject, Kind.PASSWORD, "local"))
    asked = request("repository:web/x:pull", account=account)
    if is_accepted:
        exchange.exchange(asked)
        assert issuer.issued[0][0].subject == subject
    else:
        with pytest.raises(InvalidCredentials) as caught:
            exchange.exchange(asked)
        assert caught.value.reason == "account differs from the authenticated user"
        assert issuer.issued == []


KEY = compose_key(AccessKeyForm.ROBOT, bytes(RANDOM_BYTES))


@pytest.mark.parametrize(
    ("account", "typed", "is_accepted"),
    [
        pytest.param("ci-web", "ci-web", True, id="as typed"),
        pytest.param("CI-Web", "CI-Web", True, id="as typed, in capitals"),
        pytest.param("token", "token", True, id="the neutral name"),
        pytest.param("<token>", "", True, id="the marker"),
        pytest.param("robot:ci-web", "", True, id="the subject"),
        pytest.param("ci-web", "token", True, id="the name behind the neutral name"),
        pytest.param("robot/ci-web", "", True, id="the long name"),
        pytest.param("ann", "token", False, id="a user"),
        pytest.param("robot:other", "", False, id="another robot"),
        pytest.param("token", "ci-web", False, id="a name that was not typed"),
    ],
)
def test_account_of_a_robot(account: str, typed: str, is_accepted: bool) -> None:
    """The name that was typed, the robot's names, and the marker of tokens; none of them decides who it is."""
    secret = DeclaredSecret(KEY.id, digest_of(KEY.text), datetime(2027, 1, 1, tzinfo=UTC))
    robots = DeclaredRobots([SimpleNamespace(name="ci-web", secrets=(secret,))])
    exchange, issuer = service(robots=robots)
    login = Password(typed, KEY.text) if typed else RefreshToken(KEY.text)
    asked = request("repository:base/x:pull", credentials=login, account=account)
    if is_accepted:
        exchange.exchange(asked)
        assert issuer.issued[0][0] == Identity("robot:ci-web", Kind.ROBOT, "robots", credential=KEY.id)
    else:
        with pytest.raises(InvalidCredentials, match="wrong user name or password"):
            exchange.exchange(asked)


def test_an_anonymous_account_is_no_claim() -> None:
    """It is ignored, whoever it names."""
    exchange, issuer = service()
    exchange.exchange(request("repository:base/x:pull", credentials=NOBODY, account="root"))
    assert issuer.issued[0][0].is_anonymous


def test_an_explanation_signs_nothing() -> None:
    """It is the ruling of the same request."""
    exchange, issuer = service()
    explained = exchange.exchange(request("repository:web/x:pull", explain=True))
    assert (explained.token, issuer.issued) == (None, [])
    assert explained.ruling.access == exchange.exchange(request("repository:web/x:pull")).ruling.access


LOST = Identity("ann", Kind.PASSWORD, "corp", lost=("cn=\x1b[2J,dc=x",))


def test_groups_whose_names_are_unknown() -> None:
    """Where a rule takes something away from a group, an incomplete identity gets nothing; the DN is escaped."""
    deny = rule("no-web", "group:contractors", "web/**", "push", file="a.yaml", line=7)
    exchange, issuer = service(LOST, (*RULES, deny))
    with pytest.raises(Incomplete) as caught:
        exchange.exchange(request("repository:web/x:pull"))
    assert issuer.issued == []
    assert caught.value.backend == "corp"
    assert "no-web (a.yaml:7) needs them" in caught.value.reason
    assert "\x1b" not in caught.value.reason
    exchange, issuer = service(LOST)
    exchange.exchange(request("repository:web/x:pull"))
    assert len(issuer.issued) == 1


def test_a_ruling_is_reused_while_it_lasts() -> None:
    """The same question has the same ruling, unless a condition has a say: that one is decided each time."""
    clock = [NOW.timestamp() - 1]
    exchange, _ = service(now=lambda: clock[0])
    lasting = [exchange.exchange(request("repository:web/x:pull")).ruling for _ in range(2)]
    assert lasting[0] is lasting[1]
    assert exchange.exchange(request("repository:over:pull")).ruling.access != ()
    clock[0] += 1
    assert exchange.exchange(request("repository:over:pull")).ruling.access == ()


@pytest.mark.parametrize("is_new", [pytest.param(False, id="asked lately"), pytest.param(True, id="asked by nobody")])
def test_a_ruling_on_new_scopes_is_the_same_and_not_kept(is_new: bool) -> None:
    """Whether anybody asked for the same lately decides what is remembered, and nothing else."""
    exchange, _ = service()
    first, second = request("repository:web/x:pull,delete"), request("repository:web/x:pull,delete")
    if is_new:
        mark_new(first.scopes)
    found, later = exchange.exchange(first).ruling, exchange.exchange(second).ruling
    assert (found.is_kept, found is later) == (not is_new, not is_new)
    assert (found.access, found.decisions, found.lifetime) == (later.access, later.decisions, later.lifetime)


def test_zot_asks_for_its_catalog_in_its_own_way() -> None:
    """What it calls a repository without a name is decided as the catalog, and given back as it was asked."""
    exchange, issuer = service(compat=Compat.ZOT)
    exchange.exchange(request("registry:catalog:*"))
    plain, _ = service()
    granted = plain.exchange(request("registry:catalog:*")).ruling.decisions[0].granted
    assert issuer.issued[0][2] != ()
    assert granted == {"*"}


actions = st.sets(st.sampled_from(["pull", "push", "delete", "*"]), min_size=1)


@given(st.sampled_from(["web/x", "base/x", "infra/x", "short/x"]), actions, st.booleans())
def test_no_more_is_granted_than_asked(name: str, asked: set[str], is_login: bool) -> None:
    """Whatever is asked, and for whomever."""
    exchange, issuer = service()
    text = f"repository:{name}:{','.join(sorted(asked))}"
    exchange.exchange(request(text, credentials=None if is_login else NOBODY))
    for one in issuer.issued[0][2]:
        assert one.resource == Resource("repository", name)
        assert one.actions <= (asked | {"pull", "push", "delete"} if "*" in asked else asked)
        assert one.actions <= ({"pull", "push"} if is_login else {"pull"})


HOLDING = (
    *RULES,
    rule("ci", "user:ann", "base/**", "push"),
    rule("no-delete", "everyone", "web/**", "delete", message="never"),
)


@pytest.mark.parametrize(
    ("asked", "holds", "access"),
    [
        pytest.param(["repository:base/x:pull"], True, {"base/x": {"pull", "push"}}, id="all of it"),
        pytest.param(["repository:base/x:pull"], False, {"base/x": {"pull"}}, id="asked alone"),
        pytest.param(
            ["repository:base/x:push", "repository:infra/x:pull"], True, {"base/x": {"pull", "push"}}, id="two"
        ),
        pytest.param(["registry:catalog:pull"], True, {}, id="another type"),
        pytest.param([], True, {}, id="a login alone"),
    ],
)
def test_a_registry_that_holds(asked: list[str], holds: bool, access: dict[str, set[str]]) -> None:
    """Its tokens carry all that the policies grant on the repositories asked for, and nothing on others."""
    exchange, issuer = service(rules=HOLDING, holds=holds)
    ruling = exchange.exchange(request(*asked)).ruling
    assert {one.resource.name: set(one.actions) for one in issuer.issued[0][2]} == access
    assert [str(decision.scope) for decision in ruling.decisions] == asked


def test_an_anonymous_client_holds_what_everyone_may() -> None:
    """Without a login, and without the rules of those who have one."""
    exchange, issuer = service(rules=HOLDING, holds=True)
    exchange.exchange(request("repository:base/x:pull", credentials=NOBODY))
    assert [set(one.actions) for one in issuer.issued[0][2]] == [{"pull"}]


def test_an_explanation_of_what_is_held() -> None:
    """What was asked and what is granted, with a denial for what was asked alone."""
    exchange, _ = service(rules=HOLDING, holds=True)
    result = exchange.exchange(request("repository:web/x:pull", explain=True))
    (decision,), (denial,) = result.ruling.decisions, result.denials
    assert (set(decision.scope.actions), set(decision.granted)) == ({"pull"}, {"pull", "push"})
    assert denial == NOTHING_DENIED
    assert all(reason.message is None for reason in decision.reasons)


def test_the_shortest_lifetime_of_all_that_is_held() -> None:
    """A rule that limits the lifetime does so for an action that came along."""
    rules = (*RULES, rule("brief", "user:ann", "base/**", "push", max_lifetime=90))
    exchange, issuer = service(rules=rules, holds=True)
    exchange.exchange(request("repository:base/x:pull"))
    assert issuer.issued[0][3] == 90
