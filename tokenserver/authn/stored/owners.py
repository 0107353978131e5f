"""The owners of stored credentials: found in the user sources, among the declared robots, or among the workloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest

from tokenserver.authn.authenticator import Guard, KnownUsers, NamespaceOwner, WorkloadAuthenticator, is_current
from tokenserver.authn.reported import reject_shared, require_person
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.authn.stored.known_revision import NOT_LOADED_YET
from tokenserver.errors import AccountEnded, BackendUnavailable, InvalidCredentials
from tokenserver.identity import ROBOT_PREFIX, Identity, Kind, Sort
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.storage.credential import StoredCredential

MAX_SESSIONS = 4096
"""Sessions of workloads whose identities are kept; each has some kilobytes of claims."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Where owners are found. A reload of users or policies replaces the whole.

    `sources` are the user sources in the order of the configuration, `stamp` changes with the entries of a name in
    their files, and `namespaces` are the sources again, if any of them maps names. `guard` caches what the sources say;
    without one, they are asked at each use.
    """

    sources: Sequence[KnownUsers]
    stamp: Callable[[str], bytes]
    robots: DeclaredRobots
    workloads: WorkloadAuthenticator | None = None
    namespaces: Sequence[NamespaceOwner] = ()
    guard: Guard | None = None
    _sessions: BoundedCache[str, tuple[StoredCredential, Identity]] = field(
        default_factory=lambda: BoundedCache(MAX_SESSIONS), init=False, repr=False, compare=False
    )

    def owner(self, credential: StoredCredential) -> Identity:
        """The owner of a credential as of now: the same object while nothing changes, for all credentials of a user.

        Raises:
            AccountEnded: the user is gone, disabled, expired, or has another password than the proof says.
            InvalidCredentials: the owner could not log in now, or is not declared.
            BackendUnavailable: the user source cannot tell.
        """
        if credential.sort is Sort.USER:
            return self.person(credential.source, credential.owner, credential.proof)
        if credential.sort is Sort.ROBOT:
            return self.robots.robot(credential.owner.removeprefix(ROBOT_PREFIX))
        return self._workload(credential)

    def person(self, source: str, subject: str, proof: bytes | None = None) -> Identity:
        """A person of this user source as of now; with `proof`, only as long as the password is the one of then.

        Raises:
            AccountEnded, InvalidCredentials, BackendUnavailable: as `owner`.
        """
        if self.guard is None:
            return self._found(source, subject, proof)
        expected = b"-" if proof is None else b"%d:%b" % (len(proof), proof)
        stamp = expected + self.stamp(subject)
        return self.guard.look_up(f"{source}\0{subject}", stamp, lambda: self._found(source, subject, proof))

    def named(self, name: str) -> Identity | None:
        """The person of this name as of now, in the first user source that has one; None if no source has.

        Raises:
            InvalidCredentials: the person could not log in now.
            BackendUnavailable: a user source cannot tell.
        """
        for number, source in enumerate(self.sources):
            known = source.find(name)
            if known is not None:
                identity = require_person(known, source.name)
                reject_shared(identity, self.namespaces[:number])
                return identity
        return None

    def _found(self, wanted: str, subject: str, proof: bytes | None) -> Identity:
        for number, source in enumerate(self.sources):
            if source.name != wanted:
                # As at a login: the first source that knows a name decides whose it is.
                if _knows(source, subject):
                    raise InvalidCredentials(f"{subject} is now a user of {source.name}, before {wanted}")
                continue
            try:
                identity = _person_in(source, subject, proof)
            except AccountEnded as error:
                # The new account, or a new password, may be in the file already: what was made with it must not end.
                raise error if is_current(source) else BackendUnavailable(wanted, NOT_LOADED_YET) from error
            reject_shared(identity, self.namespaces[:number])
            return identity
        raise InvalidCredentials(f"there is no user source {wanted} now, which vouched for {subject}")

    def _workload(self, credential: StoredCredential) -> Identity:
        if self.workloads is None:
            raise InvalidCredentials("no issuer of tokens is configured")
        known = self._sessions.get(credential.id)
        if known is None or known[0] is not credential:
            claims = frozenset[tuple[str, str]]() if credential.claims is None else credential.claims
            known = (credential, Identity(credential.owner, Kind.WORKLOAD, credential.source, claims=claims))
            self._sessions.put(credential.id, known)
        self.workloads.require_declared(known[1])
        return known[1]


def _person_in(source: KnownUsers, subject: str, proof: bytes | None) -> Identity:
    known = source.find(subject)
    identity = None if known is None else require_person(known, source.name)
    if identity is None or identity.subject != subject:
        raise AccountEnded(f"{source.name} has no user {subject} any more")
    _require_proof(proof, identity)
    return identity


def _knows(source: KnownUsers, subject: str) -> bool:
    try:
        return source.find(subject) is not None
    except InvalidCredentials:
        return True


def _require_proof(proof: bytes | None, owner: Identity) -> None:
    """Check that the owner's password is the one that was used when the credential was made.

    An empty proof proves nothing, so one that takes its place is a change, too.
    """
    if proof is None or compare_digest(proof, owner.proof):
        return
    if not owner.proof:
        raise InvalidCredentials(f"{owner.source} does not say any more when the password was changed")
    raise AccountEnded("the password was changed")


def with_credential(owner: Identity, credential: StoredCredential, via: str) -> Identity:
    """The identity of a client that acts for the owner by this credential, within its limits.

    A refresh token keeps the kind of the login that made it; a personal key is a kind of its own.
    """
    # Field by field, since `replace` takes twice as long.
    return Identity(
        owner.subject,
        Kind.KEY if via == "key" and credential.sort is Sort.USER else owner.kind,
        owner.source,
        owner.groups,
        owner.attributes,
        credential.ceiling,
        owner.stale,
        owner.lost,
        owner.namespace,
        owner.valid_for,
        credential.id,
        owner.claims,
        credential.owner,
        via,
        credential.services,
        owner.proof,
        owner.verified,
        owner.issued,
    )
