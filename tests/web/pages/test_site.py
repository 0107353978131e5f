"""What the pages know of a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from openid_site import openid_site

from tokenserver.web.pages.compose import site_of


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        pytest.param({"oidc", "workload"}, False, id="a provider"),
        pytest.param({"oidc", "htpasswd"}, True, id="a provider and a file"),
        pytest.param({"htpasswd"}, True, id="a file"),
        pytest.param({"workload"}, True, id="nobody"),
    ],
)
def test_passwords(kinds: set[str], expected: bool, server_folder: Path, tmp_path: Path) -> None:
    """The login page asks for one unless all people come from providers; without people, it is as before."""
    with openid_site(server_folder, tmp_path / "site") as found:
        made = site_of(found.site.parts)
        kept = tuple(one for one in made.settings.authentication if kinds & one.model_fields_set)
        settings = made.settings.model_copy(update={"authentication": kept})
        providers = made.providers if "oidc" in kinds else ()
        assert replace(made, settings=settings, providers=providers).takes_passwords is expected
