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
from tokenserver.web.pages.rendering.assets import assets_blueprint
from tokenserver.web.pages.site import Site


def blueprints(site: Site) -> list[Blueprint]:
    """The blueprints of everything that people and programs manage by, for these settings."""
    return [
        assets_blueprint(),
        login_blueprint(),
        *([] if site.openid is None else [oidc_blueprint()]),
        api_blueprint(site),
        account_blueprint(),
        keys_blueprint(),
        robots_blueprint(),
        admin_blueprint(),
    ]
