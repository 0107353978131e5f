"""The identity of a client that acts for somebody by a credential."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from held_credentials import stored
from some_ceilings import ceiling

from tokenserver.authn.stored.owners import with_credential
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Identity, Kind

OWNER = Identity(
    "ann",
    Kind.OIDC,
    "corp",
    frozenset({"web"}),
    {"mail": "ann@example.com"},
    ceiling(("own/**", "pull")),
    stale=True,
    lost=("S-1",),
    namespace="ann-smith",
    valid_for=7.0,
    credential="before",
    claims=frozenset({("a", "b")}),
    owner="before",
    via="before",
    services=frozenset({"before"}),
    proof=b"p",
    verified=3,
    issued=4,
)


def test_the_owner_of_this_test_has_everything() -> None:
    """A field that is added to identities has to be added here, and so to what is checked below."""
    plain = Identity("", Kind.PASSWORD)
    assert [one.name for one in fields(Identity) if getattr(OWNER, one.name) == getattr(plain, one.name)] == []


@pytest.mark.parametrize(
    ("form", "owner", "via", "kind"),
    [
        (AccessKeyForm.PERSONAL, "ann", "key", Kind.KEY),
        (AccessKeyForm.REFRESH, "ann", "refresh", Kind.OIDC),
        (AccessKeyForm.ROBOT, "robot:ci", "key", Kind.OIDC),
    ],
)
def test_all_but_the_limits_is_that_of_the_owner(form: AccessKeyForm, owner: str, via: str, kind: Kind) -> None:
    """The ceiling and the registries are those of the credential, also where the owner has others."""
    credential = replace(stored(form, owner, services=frozenset({"registry"})), id="x" * 12)
    expected = replace(
        OWNER, kind=kind, ceiling=None, credential="x" * 12, owner=owner, via=via, services=credential.services
    )
    found = with_credential(OWNER, credential, via)
    assert {one.name: getattr(found, one.name) for one in fields(Identity)} == {
        one.name: getattr(expected, one.name) for one in fields(Identity)
    }
