"""The life of stored credentials in two workers, against a model: what is made, used, rotated, ended, and by whom.

Whatever happens in whatever order, a use succeeds if and only if the model says so for the credential at some moment of
the last two seconds, and for the account of its owner at some moment of them: that is how long a worker may take to
learn of a change of either (docs/design/threats.md#threat-178).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from credential_model import DISABLED, GONE, LOCKED, OK, OWNERS, Account, Life, Model
from followed_storage import Copy, Site, followed_storage, presented
from held_credentials import used
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from slow_properties import BY_DAY, slow_examples
from stored_credentials import DAY, PLAIN, STATE_KEYS

from tokenserver.access_keys import AccessKey
from tokenserver.authn.authenticator import KeyUses
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.authn.stored.backend import StoredCredentials
from tokenserver.authn.stored.endings import Endings
from tokenserver.authn.stored.new_networks import NewNetworks
from tokenserver.authn.stored.owners import Owners
from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import AccountEnded, InvalidCredentials
from tokenserver.identity import Identity, Kind
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.server.stored.logins import StoredLogins
from tokenserver.storage.credential import LAG_SECONDS
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore, NoSuchCredential, TooManyCredentials

KEY, REFRESH = AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH
HOME = ip_address("192.0.2.1")
AT_MOST = 3

WINDOW = 2.0
LOOK = 1.0
"""A worker looks for changes at least this often."""

MINUTE = 60.0
"""Chores are due once a minute; a longer wait goes by in steps of this many seconds."""

PAUSES = st.sampled_from([0.0, 0.2, 0.9, 2.5, 2.5, 70.0, 700.0, 1.5 * DAY])
WORKERS = st.sampled_from([0, 1, None])
"""What follows each change: a pause, after which all keys are used at one of the workers, or not."""


class Source:
    """The user source of all workers."""

    name = "local"

    def __init__(self) -> None:
        self.accounts = Model().accounts

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        account = self.accounts[subject]
        if account.state == GONE:
            return None
        if account.state == DISABLED:
            raise AccountEnded(f"{subject} is disabled")
        if account.state == LOCKED:
            raise InvalidCredentials(f"{subject} is locked")
        return Identity(subject, Kind.PASSWORD, self.name, proof=account.proof)


class LiveWorker:
    """A worker: its copy of the credentials, and the authentication by them."""

    def __init__(self, site: Site, source: Source) -> None:
        self.site = site
        self.copy: Copy = site.copy()
        store = CredentialStore(site.database, STATE_KEYS, now=site.clock, applied=self.copy.index.apply)
        self.authenticator = StoredCredentials(
            self.copy.index,
            Owners([source], lambda _: b"", DeclaredRobots({})),
            Endings(StoredLogins(store).end),
            NewNetworks(lambda *_: None),
            monotonic=site.monotonic,
        )
        self.uses: KeyUses = BoundedCache(99)
        self.look()

    def look(self) -> None:
        """Look for changes."""
        assert self.copy.look()
        self.looked = self.site.monotonic()

    def works(self, key: AccessKey, name: str) -> bool:
        """Use a key as a client does."""
        try:
            identity = used(self.authenticator, presented(key, name), HOME, self.site.clock(), self.uses)
        except InvalidCredentials:
            return False
        assert identity.owner == name
        return True

    def stop(self) -> None:
        """End as a worker does that is asked to."""
        self.copy.chores.write_uses()


class CredentialLife(RuleBasedStateMachine):
    """Two workers on one database, and commands beside them."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="life-"))
        self.site = self.stack.enter_context(followed_storage(Path(folder)))
        self.source = Source()
        self.workers = [LiveWorker(self.site, self.source) for _ in range(2)]
        self.model = Model()
        self.past: list[tuple[float, Model]] = [(self.now, self.model)]
        self.made: list[AccessKey] = []

    @property
    def now(self) -> float:
        """The moment, in seconds since the epoch."""
        return self.site.clock()

    # --- what happens ------------------------------------------------------------------------------------------------

    @initialize(target=keys)
    def begin(self) -> MultipleResults[AccessKey]:
        """A key of ann, and a refresh token of ben."""
        self.issue_one("ann", KEY, 30 * DAY, 60)
        self.issue_one("ben", REFRESH, 30 * DAY, None)
        return multiple(*self.made)

    @rule(
        target=keys,
        owner=st.sampled_from(OWNERS),
        form=st.sampled_from([KEY, REFRESH]),
        seconds=st.sampled_from([1, 3, 90, 30 * DAY]),
        idle=st.sampled_from([None, 60, 600, DAY]),
        pause=PAUSES,
        at=WORKERS,
    )
    def issue(
        self, owner: str, form: AccessKeyForm, seconds: int, idle: int | None, pause: float, at: int | None
    ) -> MultipleResults[AccessKey]:
        """A command makes a key, or a login a refresh token."""
        return self.then(self.issue_one(owner, form, seconds, idle), pause, at)

    @rule(
        target=keys,
        key=keys,
        seconds=st.sampled_from([3, 90, DAY]),
        overlap=st.sampled_from([0, 1, 60]),
        pause=PAUSES,
        at=WORKERS,
    )
    def rotate(
        self, key: AccessKey, seconds: int, overlap: int, pause: float, at: int | None
    ) -> MultipleResults[AccessKey]:
        """By a command: the old one lives on for the overlap, and only one successor is live."""
        life, now = self.model.lives[key.id], int(self.now)
        is_live = not life.ended and life.ends > now
        has_successor = any(
            one.replaces == key.id and not one.ended and one.ends > now for one in self.model.lives.values()
        )
        if not is_live or has_successor:
            with pytest.raises(TooManyCredentials if is_live else NoSuchCredential):
                self.site.store.rotate(key.id, ends=now + seconds, overlap=overlap, by="ops")
            return self.then(None, pause, at)
        made, _ = self.site.store.rotate(key.id, ends=now + seconds, overlap=overlap, by="ops")
        successor = replace(life, ends=now + seconds, last=now, replaces=key.id)
        self.change((made.id, successor), (key.id, replace(life, ends=min(life.ends, now + overlap))))
        return self.then(made, pause, at)

    @rule(key=keys, pause=PAUSES, at=WORKERS)
    def end(self, key: AccessKey, pause: float, at: int | None) -> None:
        """By a command."""
        life = self.model.lives[key.id]
        ended = self.site.store.end(Selection(ids=frozenset({key.id})), by="ops", reason="lost")
        assert ended == ([] if life.ended else [key.id])
        self.change((key.id, replace(life, ended=True)))
        self.then(None, pause, at)

    @rule(
        owner=st.sampled_from(OWNERS),
        state=st.sampled_from([OK, OK, LOCKED, DISABLED, GONE]),
        number=st.integers(0, 1),
        pause=PAUSES,
        at=WORKERS,
    )
    def set_account(self, owner: str, state: str, number: int, pause: float, at: int | None) -> None:
        """An account is enabled, locked, disabled or deleted, perhaps with another password."""
        self.account(owner, Account(state, b"p%d" % number))
        self.then(None, pause, at)

    @rule(key=keys, at=st.integers(0, 1))
    def use(self, key: AccessKey, at: int) -> None:
        """At one of the workers: it succeeds if and only if it should have at a moment of the last two seconds."""
        before = self.model.lives[key.id]
        has_worked = self.workers[at].works(key, before.owner)
        assert has_worked in self.verdicts(key.id)
        if has_worked:
            self.change((key.id, before.used(self.now)))
        elif not before.ended:
            self.learn_ending(key.id)

    @rule(number=st.integers(0, 1), pause=PAUSES, at=WORKERS)
    def restart(self, number: int, pause: float, at: int | None) -> None:
        """A worker ends, and another one takes its place."""
        self.workers[number].stop()
        self.workers[number] = LiveWorker(self.site, self.source)
        self.then(None, pause, at)

    def issue_one(self, owner: str, form: AccessKeyForm, seconds: int, idle: int | None) -> AccessKey | None:
        """The limit refuses a key, and makes room for a refresh token."""
        now, proof = int(self.now), self.model.accounts[owner].proof if form is REFRESH else None
        wanted = replace(PLAIN, form=form, owner=owner, ends=now + seconds, idle=idle, proof=proof)
        live = {one for one, life in self.model.lives.items() if self.counts(life, wanted.owner, form)}
        if form is KEY and len(live) >= AT_MOST:
            with pytest.raises(TooManyCredentials):
                self.site.store.create(wanted, at_most=AT_MOST)
            return None
        if form is KEY:
            key, _ = self.site.store.create(wanted, at_most=AT_MOST)
        else:
            key, _, displaced = self.site.store.create_in_place(wanted, at_most=AT_MOST, by="server", reason="limit")
            assert (len(displaced), set(displaced) - live) == (max(0, len(live) + 1 - AT_MOST), set())
            self.change(*((one, replace(self.model.lives[one], ended=True)) for one in displaced))
        self.change((key.id, Life(form, owner, proof, wanted.ends, idle, now)))
        self.made.append(key)
        return key

    def then(self, made: AccessKey | None, pause: float, at: int | None) -> MultipleResults[AccessKey]:
        """What follows a change. A secret that is wrong is never right, and ends nothing."""
        if made is not None and made not in self.made:
            self.made.append(made)
        self.wait(pause)
        for key in self.made if at is not None else ():
            text = key.text.reveal()
            wrong = key._replace(text=Secret(text[:20] + ("0" if text[20] != "0" else "1") + text[21:]))
            assert not self.workers[at or 0].works(wrong, self.model.lives[key.id].owner)
            self.use(key, at or 0)
        return multiple() if made is None else multiple(made)

    def wait(self, seconds: float) -> None:
        """Time goes by, and workers do what is due: looks, and the chores of each minute."""
        skipped = max(0.0, seconds - 3 * MINUTE)
        steps = [skipped] if skipped else []
        rest = seconds - skipped
        while rest > 0:
            steps.append(min(rest, MINUTE))
            rest -= steps[-1]
        for step in steps:
            self.site.clock.now += step
            self.site.monotonic.now += step
            for worker in self.workers:
                if self.site.monotonic() - worker.looked >= LOOK:
                    worker.look()
                worker.copy.chores.run()

    # --- the model ---------------------------------------------------------------------------------------------------

    def counts(self, life: Life, owner: str, form: AccessKeyForm) -> bool:
        """Whether it counts for the limit of this owner."""
        return (life.owner, life.form) == (owner, form) and not life.ended and life.ends > int(self.now)

    def change(self, *changed: tuple[str, Life]) -> None:
        """Some credentials are different from now on."""
        self.become(replace(self.model, lives={**self.model.lives, **dict(changed)}))

    def account(self, owner: str, account: Account) -> None:
        """An account is different from now on."""
        self.become(replace(self.model, accounts={**self.model.accounts, owner: account}))
        self.source.accounts = self.model.accounts

    def become(self, model: Model) -> None:
        """The model is this one from now on."""
        self.model = model
        self.past.append((self.now, model))

    def window(self) -> Iterator[tuple[float, Model]]:
        """The models of the last two seconds, each at the first and the last of its moments."""
        begin = self.now - WINDOW
        for number, (since, model) in enumerate(self.past):
            until = self.past[number + 1][0] if number + 1 < len(self.past) else self.now
            if until >= begin:
                yield max(since, begin), model
                yield until, model

    def verdicts(self, identifier: str) -> set[bool]:
        """What a use may do now. A worker learns of changes of credentials and of accounts each in its own time."""
        seen = list(self.window())
        accounts = {model.accounts[self.model.lives[identifier].owner] for _, model in seen}
        return {
            verdict
            for moment, model in seen
            for account in accounts
            for verdict in model.verdict(identifier, moment, account)
        }

    def learn_ending(self, identifier: str) -> None:
        """A refused use ends a refresh token whose owner is no good, and surely if that was so all the time."""
        seen = [model for _, model in self.window() if identifier in model.lives]
        over = [model.lives[identifier].is_over(model.accounts[model.lives[identifier].owner]) for model in seen]
        if not any(over):
            return
        is_sure = all(over) and all(model.lives[identifier].surely_passes_gate(self.now) for model in seen)
        (listed,) = self.site.store.listed(Selection(ids=frozenset({identifier})))
        assert listed.ended is not None or not is_sure
        if listed.ended is not None:
            self.change((identifier, replace(self.model.lives[identifier], ended=True)))

    def teardown(self) -> None:
        """Close the database."""
        self.stack.close()


@pytest.fixture
def life() -> Iterator[CredentialLife]:
    """One whose steps a test takes itself, found by nights; `begin` has been taken."""
    machine = CredentialLife()
    machine.begin()
    yield machine
    machine.teardown()


def test_a_worker_that_has_just_started_knows_the_last_uses(life: CredentialLife) -> None:
    """It refuses no key that was made long ago, and used a moment ago (docs/design/threats.md#threat-241)."""
    key = life.made[0]
    for _ in range(8):
        life.wait(50.0)
        life.use(key, 0)
    life.restart(1, 0.0, None)
    assert life.verdicts(key.id) == {True}
    life.use(key, 1)


def test_an_account_that_comes_back_within_the_second(life: CredentialLife) -> None:
    """Its refresh token was ended through another worker; this one learns that within two seconds."""
    life.set_account("ben", LOCKED, 0, 2.5, None)
    life.set_account("ben", GONE, 0, 0.2, 1)
    life.set_account("ben", OK, 0, 0.0, None)
    token = life.made[1]
    assert life.workers[0].works(token, "ben")
    assert life.verdicts(token.id) == {True, False}
    life.wait(2.5)
    assert life.verdicts(token.id) == {False}
    for number in (0, 1):
        life.use(token, number)


def test_a_late_use_is_known_to_others_later(life: CredentialLife) -> None:
    """It succeeds at one worker, since it might be in time; another one knows of it within `LAG_SECONDS`, and goes by
    what it knows until then."""
    token = life.issue_one("ann", KEY, 30 * DAY, 600)
    assert token is not None
    life.use(token, 0)
    life.wait(700.0)
    assert life.verdicts(token.id) == {True, False}
    assert life.workers[1].works(token, "ann")
    life.change((token.id, life.model.lives[token.id].used(life.now)))
    life.wait(70.0)
    assert life.verdicts(token.id) == {True, False}
    life.use(token, 0)
    life.wait(LAG_SECONDS)
    assert life.verdicts(token.id) == {True}
    life.use(token, 0)


def test_the_life_of_credentials() -> None:
    """See the head of this file."""
    examples = slow_examples(share=12, most=100)
    steps = 25 if settings.get_current_profile_name() in BY_DAY else 80
    run_state_machine_as_test(CredentialLife, settings=settings(examples, stateful_step_count=steps))
