"""The site: what pages, the API and logins need of the running server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenserver.config.settings import Settings
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.device_logins import DeviceLogins
from tokenserver.management.actors import Actor
from tokenserver.management.sign_in import SignIn
from tokenserver.policy.playground.playground import Playground
from tokenserver.web.client_address import Address
from tokenserver.web.pages.cookies import Cookies
from tokenserver.web.pages.form_tokens import FormTokens
from tokenserver.web.pages.openid.site import OpenIdSite

if TYPE_CHECKING:
    from tokenserver.management.service import Management
    from tokenserver.storage.people.remembered_answers import RememberedAnswers
    from tokenserver.storage.people.used_forms import UsedForms


class LoginProvider(NamedTuple):
    """Another server where people can log in: a button of the login page. `path` is where it leads."""

    name: str
    title: str
    path: str


@dataclass(frozen=True, slots=True)
class Site:
    """One server's pages for people; made again when its settings change.

    `client_of` is the client's address, see `client_address.finder`; `https_only` raises for a request that came
    without TLS. `admission` is that of token requests, which logins and all that looks people up pass as well.
    `refused` records a login that failed, with the seconds that it took. `now` is in seconds since the epoch.
    """

    settings: Settings
    sign_in: SignIn
    used_forms: UsedForms
    management: Management
    answers: RememberedAnswers
    snapshot: Callable[[], Snapshot]
    refused: Callable[[UnparsedRequest, Exception, float], None]
    cookies: Cookies
    forms: FormTokens
    client_of: Callable[[str, str | None], Address | None]
    https_only: Callable[[Mapping[str, Any], Address | None], None] | None
    admission: AbstractContextManager[None]
    new_id: Callable[[], str]
    now: Callable[[], float]
    playground: Playground
    is_administrator: Callable[[Actor], bool] = lambda _: False
    providers: Sequence[LoginProvider] = ()
    device_logins: DeviceLogins | None = None
    openid: OpenIdSite | None = None

    @property
    def takes_passwords(self) -> bool:
        """Whether the login page asks for a password: not where every source of people is an OpenID provider."""
        return bool(self.settings.user_sources) or not self.providers

    @property
    def prefix(self) -> str:
        """The path of the public URL of pages, in front of the path of every page."""
        return self.settings.server.pages_path
