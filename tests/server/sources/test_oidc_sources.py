"""OpenID providers of a server: their files, and that people are looked up where they belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.errors import LoadError
from tokenserver.server.sources.oidc_sources import files_of_provider, provider_client, watched_provider

URL = "https://auth.example.com"


def settings(**more: Any) -> OidcSettings:
    """A provider with these settings more."""
    usual = {"name": "sso", "preset": "dex", "issuer": "https://sso.example.com", "client_id": "ts"}
    return OidcSettings.model_validate(usual | more)


def secret_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    """A file with a client secret."""
    file = folder / "secret"
    file.write_text(content)
    file.chmod(mode)
    return file


def test_a_secret(tmp_path: Path) -> None:
    """One line, whose end is not part of it; it is read again when the file changes, as the CAs are."""
    file = secret_file(tmp_path, "s3cret\n")
    found = settings(client_secret_file=file)
    client = provider_client(found, URL)
    assert client.provider.redirect_uri == f"{URL}/login/callback/sso"
    assert files_of_provider(found) == (file,)
    part = watched_provider(found, URL)
    assert (part.kind, part.name) == ("oidc", "sso")
    assert files_of_provider(settings()) == ()
    assert provider_client(settings(), URL).provider.client_id == "ts"


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [("", 0o600, "holds no client secret"), ("a\nb\n", 0o600, "holds no client secret"), ("x", 0o644, "by others")],
)
def test_an_unusable_secret(tmp_path: Path, content: str, mode: int, problem: str) -> None:
    """All faults together, with those of the CA file."""
    file = secret_file(tmp_path, content, mode)
    with pytest.raises(LoadError) as caught:
        provider_client(settings(client_secret_file=file, ca_file=tmp_path / "missing.pem"), URL)
    first, second = sorted(map(str, caught.value.faults))
    assert "missing.pem" in first
    assert problem in second
