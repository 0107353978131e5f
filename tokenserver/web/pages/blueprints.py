"""All pages of a site."""

from __future__ import annotations

from flask import Blueprint

from tokenserver.web.api.blueprint import api_blueprint
from tokenserver.web.pages.account.admin import admin_blueprint
from tokenserver.web.pages.account.keys import keys_blueprint
from tokenserver.web.pages.account.overview import account_blueprint
from tokenserver.web.pages.account.robots import robots_blueprint
from tokenserver.web.pages.login import login_blueprint
from tokenserver.web.pages.openid.pages import oidc_blueprint
from tokenserver.web.pages.policies.access import access_blueprint
from tokenserver.web.pages.policies.overviews import overviews_blueprint
from tokenserver.web.pages.policies.playground import playground_blueprint
from tokenserver.web.pages.rendering.assets import assets_blueprint
from tokenserver.web.pages.site import Site
from tokenserver.web.pages.terminal.device import device_blueprint


def blueprints(site: Site) -> list[Blueprint]:
    """The blueprints of everything that people and programs manage by, for these settings."""
    return [
        assets_blueprint(),
        login_blueprint(),
        *([] if site.device_logins is None else [device_blueprint()]),
        *([] if site.openid is None else [oidc_blueprint()]),
        api_blueprint(site),
        access_blueprint(),
        overviews_blueprint(),
        playground_blueprint(),
        account_blueprint(),
        keys_blueprint(),
        robots_blueprint(),
        admin_blueprint(),
    ]
