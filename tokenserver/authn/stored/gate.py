"""The gate of stored credentials: whether one may be used here and now, whatever its owner may. Pure.

Everything is seen at each use, before any cache; other processes tell their uses a while later, so an idle credential
ends `LAG_SECONDS` later than it could. A caller that gets here has proved possession, so the messages say what is
wrong; nothing in them is about the owner.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tokenserver.authn.robots.declared import NEUTRAL_NAMES
from tokenserver.authn.stored.ports import Address, VerifiedKey
from tokenserver.authn.usernames import canonical
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import UnknownRefreshToken, UnusableAccessKey
from tokenserver.identity import ROBOT_PREFIX, Sort
from tokenserver.storage.credential import LAG_SECONDS, StoredCredential

NOUNS = {
    AccessKeyForm.PERSONAL: "access key",
    AccessKeyForm.ROBOT: "access key",
    AccessKeyForm.REFRESH: "stored login",
    AccessKeyForm.SESSION: "session",
}
"""What clients and audit events call a credential of each form."""

VIA = {
    AccessKeyForm.PERSONAL: "key",
    AccessKeyForm.ROBOT: "key",
    AccessKeyForm.REFRESH: "refresh",
    AccessKeyForm.SESSION: "session",
}
"""The value of `via` in identities and audit events."""

_NEW_KEY = "use a newer one"


def is_open(held: VerifiedKey, client: Address | None, now: float) -> bool:
    """Whether the credential may be used by a client with this address, if the user name is right."""
    credential = held.credential
    return (
        held.ended is None
        and now < credential.ends
        and (credential.idle is None or now < idle_end(held) + LAG_SECONDS)
        and (not credential.networks or credential.allows(client))
    )


def check(held: VerifiedKey, name: str, client: Address | None, now: float) -> None:
    """Check the credential for a client with this user name and address; `now` is in seconds since the epoch.

    Raises:
        UnusableAccessKey: it has ended or expired, was not used for too long, or is not for this name or address.
    """
    credential = held.credential
    is_named = name == credential.owner or name in NEUTRAL_NAMES or fits(credential, name)
    if is_named and is_open(held, client, now):
        return
    raise _problem(held, name, client, now)


def idle_end(held: VerifiedKey) -> float:
    """The first moment at which the credential is unused for too long, as far as its uses are known here."""
    credential, used = held.credential, held.used
    begin = credential.created if used is None else used
    return float("inf") if credential.idle is None else begin + credential.idle


def fits(credential: StoredCredential, name: str) -> bool:
    """Whether a typed user name is that of the owner: in any spelling, for a robot with `robot/` or without."""
    typed = canonical(name)
    if credential.sort is Sort.ROBOT:
        robot = canonical(credential.owner.removeprefix(ROBOT_PREFIX))
        return typed in (robot, f"robot/{robot}")
    return typed == canonical(credential.owner)


def fix_for(form: AccessKeyForm) -> str:
    """What the holder of a credential can do that is no good any more."""
    return UnknownRefreshToken.fix if form is AccessKeyForm.REFRESH else _NEW_KEY


def spell_moment(moment: float) -> str:
    """Seconds since the epoch, for people."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _problem(held: VerifiedKey, name: str, client: Address | None, now: float) -> UnusableAccessKey:
    credential = held.credential
    noun, fix = NOUNS[credential.form], fix_for(credential.form)
    what = f"{noun} {credential.id} of {credential.owner}"
    if held.ended is not None:
        return UnusableAccessKey(f"{what} has ended: {held.ended}", f"the {noun} has been ended; fix: {fix}")
    if now >= credential.ends:
        end = spell_moment(credential.ends)
        return UnusableAccessKey(f"{what} expired on {end}", f"the {noun} expired on {end}; fix: {fix}")
    if now >= idle_end(held) + LAG_SECONDS:
        end = spell_moment(idle_end(held))
        reason = f"{what} was not used for too long, since it had to be used before {end}"
        return UnusableAccessKey(reason, f"the {noun} was not used for too long and ended on {end}; fix: {fix}")
    if name not in NEUTRAL_NAMES and not fits(credential, name):
        reason = f"account differs from {credential.owner} of {noun} {credential.id}"
        return UnusableAccessKey(reason, f"the {noun} has another user name; fix: use token as the user name")
    where = "an unknown address" if client is None else str(client)
    public = f"the {noun} is not valid from {where}; fix: use it in its networks"
    return UnusableAccessKey(f"{what} is not valid from {where}", public)
