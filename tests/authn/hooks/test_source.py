"""Hooks as user sources: what the answers mean for logins, owners and decoys."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from tokenserver.authn.authenticator import KnownUsers
from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import EqualWork, LookedUp
from tokenserver.authn.hooks.exchange import HookAnswer, HookMisbehaved, HookQuestion, HookResult, HookUser
from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.authn.hooks.source import HookSource
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import hash_password
from tokenserver.authn.protection.circuit_breaker import Probed
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Overloaded
from tokenserver.server.reload.retiring import Retirable


@dataclass
class ScriptedHook:
    """Gives one answer to everything, and keeps the questions."""

    answer: HookAnswer
    can_find: bool = True
    questions: list[HookQuestion] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)

    def ask(self, question: HookQuestion) -> HookAnswer:
        """See `Hook.ask`."""
        self.questions.append(question)
        return self.answer

    def retire(self) -> None:
        """See `Hook.retire`."""
        self.retired.append(1)


ANN = HookAnswer(HookResult.OK, HookUser("ann", ("web",)))
UNKNOWN = HookAnswer(HookResult.UNKNOWN)


def source(answer: HookAnswer = ANN, *, can_find: bool = True) -> tuple[HookSource, ScriptedHook]:
    """A source and its hook."""
    hook = ScriptedHook(answer, can_find)
    return HookSource(HookTerms("here"), hook), hook


def test_the_client_is_in_the_question() -> None:
    """The subject is the hook's own spelling, and the hook gets what was typed."""
    one, hook = source()
    found = one.authenticate(Password("ANN", Secret("pw"), "10.0.0.1"))
    assert found is not None
    assert (found.subject, *found.groups) == ("ann", "web")
    assert hook.questions == [HookQuestion("ANN", Secret("pw"), "10.0.0.1")]


@pytest.mark.parametrize(
    ("result", "login", "found"),
    [
        pytest.param(HookResult.WRONG, InvalidCredentials, InvalidCredentials, id="wrong"),
        pytest.param(HookResult.UNSUPPORTED, Incomplete, Incomplete, id="unsupported"),
    ],
)
def test_refusals(result: HookResult, login: type[Exception], found: type[Exception]) -> None:
    """For a login and for `find`. What is not supported opens no circuit breaker."""
    one, _ = source(HookAnswer(result))
    with pytest.raises(login):
        one.authenticate(Password("ann", Secret("pw")))
    with pytest.raises(found):
        one.find("ann")
    with pytest.raises(found):
        one.look_up("ann")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("", "pw", id="no user"),
        pytest.param(" ", "pw", id="blank user"),
        pytest.param("a\nb", "pw", id="line break"),
        pytest.param("\ud800", "pw", id="half a surrogate pair"),
        pytest.param("x" * 256, "pw", id="long name"),
        pytest.param("ann", "", id="no password"),
        pytest.param("ann", "a\0b", id="NUL"),
        pytest.param("ann", "\ud800", id="password of half a surrogate pair"),
    ],
)
def test_what_is_not_asked(user: str, password: str) -> None:
    """Nothing that programs read in different ways comes to a hook."""
    one, hook = source()
    with pytest.raises(InvalidCredentials):
        one.authenticate(Password(user, Secret(password)))
    assert hook.questions == []


class FragileHook(ScriptedHook):
    """Fails at the name `crash`, or always."""

    is_broken = False
    error: type[BackendUnavailable] = HookMisbehaved

    def ask(self, question: HookQuestion) -> HookAnswer:
        """See `Hook.ask`."""
        self.questions.append(question)
        if self.is_broken or question.user == "crash":
            raise self.error("here", "answers with status 500")
        return self.answer


@pytest.mark.parametrize(
    ("error", "is_broken", "expected", "asked"),
    [
        pytest.param(HookMisbehaved, False, Incomplete, 2, id="this name alone"),
        pytest.param(HookMisbehaved, True, HookMisbehaved, 2, id="every name"),
        pytest.param(BackendUnavailable, False, BackendUnavailable, 1, id="no answer"),
        pytest.param(Overloaded, False, Overloaded, 1, id="no capacity"),
    ],
)
def test_a_name_at_which_the_hook_fails(
    error: type[BackendUnavailable], expected: type[BackendUnavailable], asked: int, *, is_broken: bool
) -> None:
    """It opens no circuit breaker for others (docs/design/threats.md#threat-207)."""
    hook = FragileHook(UNKNOWN)
    hook.error, hook.is_broken = error, is_broken
    one = HookSource(HookTerms("here"), hook)
    with pytest.raises(BackendUnavailable) as caught:
        one.authenticate(Password("crash", Secret("pw")))
    assert type(caught.value) is expected
    assert len(hook.questions) == asked


def test_find_is_exact() -> None:
    """The owner of a credential is the user with this very subject; a name as typed may be spelled otherwise."""
    one, hook = source()
    assert one.find("ANN") is None
    found = one.find("ann")
    assert found is not None
    assert found == one.look_up("ANN")
    assert {question.password for question in hook.questions} == {None}


def test_a_hook_without_find() -> None:
    """It is not even asked."""
    one, hook = source(can_find=False)
    for ask in (one.find, one.look_up):
        with pytest.raises(BackendUnavailable):
            ask("ann")
    assert hook.questions == []


@pytest.mark.parametrize(
    ("answer", "owner"),
    [
        pytest.param(ANN, "ann", id="known"),
        pytest.param(UNKNOWN, None, id="unknown"),
        pytest.param(HookAnswer(HookResult.WRONG), "ann", id="disabled"),
    ],
)
def test_owners_of_namespaces(answer: HookAnswer, owner: str | None) -> None:
    """The namespace is the name, also that of a user who cannot log in now."""
    assert source(answer)[0].owner_of("ann") == owner


@pytest.mark.parametrize("is_looked_up", [True, False])
def test_the_decoy_sends_nothing_that_was_typed(*, is_looked_up: bool) -> None:
    """A hook that was asked already has done its work (docs/design/threats.md#threat-207)."""
    one, hook = source(UNKNOWN)
    one.decoy(Password("ann", Secret("typed")), is_looked_up=is_looked_up)
    assert len(hook.questions) == (0 if is_looked_up else 1)
    for question in hook.questions:
        assert question.user != "ann"
        assert question.password is not None
        assert question.password != Secret("typed")


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_every_failed_login_asks_once(name: str) -> None:
    """Whether the file before it knows the name or nobody does (docs/design/threats.md#threat-19)."""
    file = Htpasswd("file", "users", parse_users(f"bob:{hash_password('right')}\n", "users"))
    one, hook = source(UNKNOWN)
    equal = EqualWork([file, one], lambda _, question: question())
    chain = Chain([file, one], anonymous=False, decoy=equal.unknown, rest=equal)
    with pytest.raises(InvalidCredentials):
        chain.authenticate(Password(name, Secret("wrong")))
    assert len(hook.questions) == 1


def test_the_chain_says_who_the_client_is() -> None:
    """Also behind the guard; what is remembered does not depend on it."""
    one, hook = source()
    plan = Plan({"here": CacheLifetime(60)}, ("here",), None, 1)
    guard = Protection(plan, secret=b"x" * 64, monotonic=lambda: 0.0)
    for chain in (Chain([one], anonymous=False, decoy=None), Chain([one], anonymous=False, decoy=None, guard=guard)):
        for client in (ip_address("10.0.0.1"), ip_address("2001:db8::1"), None):
            chain.authenticate(Password("ann", Secret("pw")), client)
    assert [question.client for question in hook.questions] == ["10.0.0.1", "2001:db8::1", "", "10.0.0.1"]


def test_it_is_protected_as_a_directory() -> None:
    """The protocols by which equal work, circuit breakers, owners and reloads recognize it."""
    one, _ = source()
    assert all(isinstance(one, kind) for kind in (LookedUp, Probed, KnownUsers, Retirable))


def test_it_is_released_once() -> None:
    """By `retire`, or when nobody holds it any more."""
    one, hook = source()
    one.retire()
    one.retire()
    other, left = source()
    del other
    gc.collect()
    assert (hook.retired, left.retired) == ([1], [1])
