"""What user sources report, checked: an identity must be that of a person, and its namespace nobody else's."""

from __future__ import annotations

from collections.abc import Iterable

from tokenserver.authn.authenticator import NamespaceOwner
from tokenserver.authn.usernames import is_machine_name
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import PEOPLE, Identity
from tokenserver.scopes import is_path_component


def reject_shared(identity: Identity, earlier: Iterable[NamespaceOwner]) -> None:
    """Reject a user whose namespace is that of a user of an `earlier` source.

    Raises:
        InvalidCredentials: it is.
        BackendUnavailable: one of the sources cannot tell.
    """
    namespace = identity.user_value
    for source in earlier if is_path_component(namespace) else ():
        owner = source.owner_of(namespace)
        if owner is not None:
            raise InvalidCredentials(f"the namespace {namespace!r} is that of {owner!r} in {source.name}")


def require_person(identity: object, backend: str) -> Identity:
    """The identity, if it is one of a person. Takes `object`, because annotations are not enforced at run time.

    Raises:
        BackendUnavailable: the backend broke its contract.
    """
    if not isinstance(identity, Identity):
        raise BackendUnavailable(backend, "returned something other than an identity")
    if identity.is_anonymous or not identity.subject.strip():
        raise BackendUnavailable(backend, "returned an identity without a subject")
    if is_machine_name(identity.subject):
        raise BackendUnavailable(backend, "returned an identity with the subject of a machine")
    if identity.kind not in PEOPLE:
        raise BackendUnavailable(backend, "returned the identity of a machine")
    # Policies keep what a workload is among the groups of a client, under names with a NUL.
    if any("\0" in group for group in identity.groups):
        raise BackendUnavailable(backend, "returned a group whose name has a NUL character")
    return identity
