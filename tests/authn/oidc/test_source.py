"""People of a provider after their login: pinned names, other sources, the end of a login, rechecks and outages."""

from __future__ import annotations

from typing import Any

import pytest
from openid_world import OpenIdWorld, Users

from tokenserver.authn.oidc.refusals import RefusedLogin
from tokenserver.authn.oidc.token_answer import ProviderTokens
from tokenserver.credentials import Secret
from tokenserver.errors import AccountEnded, BackendUnavailable, InvalidCredentials, LoginTooOld
from tokenserver.identity import Identity, Kind

HOUR = 3600
DIRECTORY_ANN = Identity("ann", Kind.PASSWORD, "ad", frozenset({"ops"}), proof=b"p")


def test_unknown_people(world: OpenIdWorld) -> None:
    """Nobody is known before the first login; nobody is known at another provider, or to another source."""
    assert world.source.find("ann") is None
    world.log_in(world.make(users=[Users("local")]))
    assert world.make(name="other").find("ann") is None
    assert world.source.account("1-ann") == ("sso", "ann")
    assert world.source.account("2-bob") is None


def test_a_name_that_changed_hands(world: OpenIdWorld) -> None:
    """The next person of the same name is not who it was, and a person with another name is refused as well."""
    world.log_in()
    world.fake.person["sub"] = "2-another-ann"
    with pytest.raises(RefusedLogin) as caught:
        world.log_in()
    assert str(caught.value) == "The name ann was somebody else's before. Ask an administrator."
    assert "fix: tokenserver people unpin --source sso ann" in caught.value.reason
    world.fake.person |= {"sub": "1-ann", "preferred_username": "anna"}
    with pytest.raises(RefusedLogin) as caught:
        world.log_in()
    assert "sso calls" in caught.value.reason or "the provider calls ann now anna" in caught.value.reason
    assert [one.subject for one in world.people.listed()] == ["ann"]
    before = world.source.find("ann")
    assert world.people.unpin("sso", "ann")
    world.fake.person |= {"sub": "2-another-ann", "preferred_username": "ann"}
    after = world.log_in().identity
    assert before is not None
    assert after.proof != before.proof


@pytest.mark.parametrize(
    "other",
    [
        Users("local", DIRECTORY_ANN),
        Users("local", error=InvalidCredentials("locked")),
        Users("local", error=AccountEnded("disabled")),
    ],
)
def test_the_name_of_another_account(world: OpenIdWorld, other: Users) -> None:
    """A provider makes nobody somebody else, whether that account can log in now or not."""
    with pytest.raises(RefusedLogin) as caught:
        world.log_in(world.make(users=[other]))
    assert "fix: accounts: local" in caught.value.reason
    assert world.people.listed() == []


def test_another_source_that_does_not_answer(world: OpenIdWorld) -> None:
    """Nobody can tell whose name it is."""
    with pytest.raises(BackendUnavailable):
        world.log_in(world.make(users=[Users("ad", error=BackendUnavailable("ad", "down"))]))


def test_accounts(world: OpenIdWorld) -> None:
    """The person is that of the directory, with its groups, and pinned nevertheless."""
    source = world.make(accounts=Users("ad", DIRECTORY_ANN), groups=None)
    found = world.log_in(source).identity
    assert (found.source, found.subject, set(found.groups), found.proof) == ("ad", "ann", {"ops"}, b"p")
    assert found.kind is Kind.OIDC
    assert source.find("ann") is None
    assert source.account("1-ann") == ("ad", "ann")
    world.fake.person["sub"] = "2-another-ann"
    with pytest.raises(RefusedLogin):
        world.log_in(source)


@pytest.mark.parametrize(
    ("accounts", "reason"),
    [
        (Users("ad"), "ad has no user ann"),
        (Users("ad", error=AccountEnded("disabled")), "ad: disabled"),
        (Users("ad", error=InvalidCredentials("locked")), "ad: locked"),
    ],
)
def test_no_account(world: OpenIdWorld, accounts: Users, reason: str) -> None:
    """The directory decides."""
    with pytest.raises(RefusedLogin) as caught:
        world.log_in(world.make(accounts=accounts, groups=None))
    assert caught.value.reason == reason
    assert world.people.listed() == []


def test_a_login_counts_for_a_while(world: OpenIdWorld) -> None:
    """Then the person has to log in again, after which everything works as before."""
    first = world.log_in().identity
    assert first.valid_for == 12 * HOUR
    world.clock.now += 12 * HOUR - 1
    found = world.source.find("ann")
    assert found is not None
    assert found.valid_for == 1
    world.clock.now += 1
    with pytest.raises(LoginTooOld, match=r"log in again: https://auth\.example\.com/login"):
        world.source.find("ann")
    world.fake.now = world.clock.now
    assert world.log_in().identity.proof == first.proof
    assert world.source.find("ann") is not None


def test_storage_down(world: OpenIdWorld) -> None:
    """Who was known is known for the grace; who was not is not, and nobody logs in."""
    world.log_in()
    world.source.find("ann")
    store = world.known.store

    class Down:
        def __getattr__(self, _: str) -> Any:
            raise BackendUnavailable("storage", "down")

    world.known.store = Down()
    assert world.source.find("ann") is not None
    with pytest.raises(BackendUnavailable):
        world.source.find("bob")
    with pytest.raises(BackendUnavailable):
        world.log_in()
    world.known.store = store


class TestRecheck:
    """`recheck`: the provider is asked about people by its refresh token."""

    def test_groups_of_now(self, world: OpenIdWorld) -> None:
        """Asked when the last answer is older, once, and with the newest refresh token."""
        source = world.make(recheck=HOUR)
        assert "offline_access" in world.logins.begin(source, "/account").url
        world.log_in(source)
        world.fake.person["groups"] = ["/devs"]
        world.clock.now += HOUR - 1
        found = source.find("ann")
        assert found is not None
        assert found.groups == {"devs", "web"}
        for number in (1, 2):
            world.clock.now += HOUR
            world.fake.now = world.clock.now
            found = source.find("ann")
            assert found is not None
            assert found.groups == {"devs"}
            assert found.valid_for == 12 * HOUR
            assert source.find("ann") == found
            assert len(world.fake.forms) == 1 + number

    def test_a_provider_that_gives_no_refresh_token(self, world: OpenIdWorld, caplog: pytest.LogCaptureFixture) -> None:
        """The log says once that nobody is asked again; `login_valid` is the end.

        See docs/design/threats.md#threat-203.
        """
        source = world.make(recheck=HOUR)
        world.fake.answer = {"refresh_token": None}
        for _ in range(2):
            world.log_in(source)
        (line,) = [record.getMessage() for record in caplog.records if record.name == "tokenserver.oidc"]
        assert line.startswith("sso: recheck has no effect, because the provider gave no refresh token")
        world.clock.now += 2 * HOUR
        assert source.find("ann") is not None
        assert len(world.fake.forms) == 2
        world.clock.now += 11 * HOUR
        with pytest.raises(LoginTooOld):
            source.find("ann")

    def test_no_warning(self, world: OpenIdWorld, caplog: pytest.LogCaptureFixture) -> None:
        """With a refresh token, or without `recheck`, there is nothing to say."""
        world.log_in(world.make(recheck=HOUR))
        world.fake.answer = {"refresh_token": None}
        world.log_in(world.make())
        assert [record for record in caplog.records if record.name == "tokenserver.oidc"] == []

    def test_a_person_who_is_gone(self, world: OpenIdWorld) -> None:
        """All that was made ends, and the next login is a new beginning."""
        source = world.make(recheck=HOUR)
        before = world.log_in(source).identity
        world.fake.refresh = "refresh-100"
        world.clock.now += HOUR
        for _ in range(2):
            with pytest.raises(AccountEnded):
                source.find("ann")
        assert world.ended == [("sso", "ann", True)]
        world.fake.now = world.clock.now
        after = world.log_in(source).identity
        assert after.proof != before.proof
        assert source.find("ann") is not None

    def test_a_provider_that_is_down(self, world: OpenIdWorld) -> None:
        """The last answer counts up to `login_valid`; then nobody can tell. It is asked once a minute at most."""
        source = world.make(recheck=HOUR)
        world.log_in(source)
        world.fake.status, world.fake.body = 500, b"{}"
        world.clock.now += HOUR
        for _ in range(3):
            assert source.find("ann") is not None
        assert len(world.fake.forms) == 2
        world.clock.now += 60
        assert source.find("ann") is not None
        assert len(world.fake.forms) == 3
        world.clock.now += 11 * HOUR
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                source.find("ann")
        world.fake.status = world.fake.body = None
        world.clock.now += 60
        world.fake.now = world.clock.now
        assert source.find("ann") is not None

    def test_an_answer_without_a_person(self, world: OpenIdWorld) -> None:
        """Providers may leave out the ID token: the person exists. With one that is not right, nobody can tell."""
        source = world.make(recheck=HOUR)
        world.log_in(source)
        world.fake.answer = {"id_token": None, "refresh_token": None}
        world.clock.now += HOUR
        found = source.find("ann")
        assert found is not None
        assert found.groups == {"devs", "web"}
        world.fake.answer = {}
        world.fake.refresh = "refresh-0"  # the one that stayed
        world.clock.now += HOUR
        assert source.find("ann") is not None  # the ID token has expired by the clock of the source
        assert len(world.people.listed()) == 1
        world.clock.now += HOUR
        world.fake.now = world.clock.now
        world.fake.refresh = "refresh-0"
        world.fake.person["preferred_username"] = "anna"
        with pytest.raises(InvalidCredentials, match="user name"):
            source.find("ann")

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"preferred_username": "anna"}, id="another name"),
            pytest.param({"hasgroups": True}, id="groups left out"),
            pytest.param({"groups": "web"}, id="groups that are no list"),
        ],
    )
    def test_a_person_who_is_refused_stays_so(self, world: OpenIdWorld, change: dict[str, Any]) -> None:
        """Until the next login, after which what was made before works again; not just for one request."""
        source = world.make(recheck=HOUR)
        before = world.log_in(source).identity
        person = dict(world.fake.person)
        world.fake.person.update(change)
        world.clock.now += HOUR
        world.fake.now = world.clock.now
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                source.find("ann")
            world.clock.now += 61
        world.fake.person.clear()
        world.fake.person.update(person)
        world.fake.now = world.clock.now
        assert world.log_in(source).identity.proof == before.proof
        assert source.find("ann") is not None

    def test_a_name_that_is_freed_meanwhile(self, world: OpenIdWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        """The person is gone, which is no error of the server."""
        source = world.make(recheck=HOUR)
        world.log_in(source)
        world.clock.now += HOUR
        world.fake.now = world.clock.now
        refresh = source.client.refresh

        def refreshed(token: Secret) -> ProviderTokens:
            world.people.unpin("sso", "ann")
            return refresh(token)

        monkeypatch.setattr(source.client, "refresh", refreshed)
        with pytest.raises(AccountEnded):
            source.find("ann")
        assert source.find("ann") is None

    def test_another_process_asks(self, world: OpenIdWorld) -> None:
        """Two that ask together would end the session at providers that replace the refresh token."""
        source = world.make(recheck=HOUR)
        world.log_in(source)
        world.clock.now += HOUR
        person = world.people.find("sso", "ann")
        assert person is not None
        assert world.people.claim(person) is not None
        assert source.find("ann") is not None
        assert len(world.fake.forms) == 1
