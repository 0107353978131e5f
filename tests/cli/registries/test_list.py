"""`tokenserver registries list`: each registry with what its tokens say."""

from __future__ import annotations

import json

from registries_commands import Site


def test_list_shows_what_tokens_say(site: Site) -> None:
    """One line each, aligned; in JSON with every value."""
    result = site.run("registries", "list")
    assert result.exit_code == 0
    heads, plain, zot = result.stdout.splitlines()
    assert heads.split() == ["SERVICE", "ALSO", "COMPAT", "SIGNED", "WITH", "TOKENS", "LIVE", "ISSUER", "KEYS"]
    assert plain.split("  ")[0] == "plain"
    for part in ("bridged", "universal", "ES256", "900 s, push 3600 s", "auth.example.com", "of all"):
        assert part in plain
    for part in ("zot", "RS256", "900 s", "zot.example.com", str(site.folder / "zot-keys")):
        assert part in zot
    assert json.loads(site.run("registries", "list", "--json").stdout) == [
        {
            "service": "plain",
            "also": ["bridged"],
            "issuer": "auth.example.com",
            "compat": "universal",
            "algorithm": "ES256",
            "grant": "asked",
            "token_lifetime": {"default": 900, "push": 3600},
            "keys": str(site.folder / "keys"),
            "url": None,
        },
        {
            "service": "zot",
            "also": [],
            "issuer": "zot.example.com",
            "compat": "zot",
            "algorithm": "RS256",
            "grant": "asked",
            "token_lifetime": {"default": 900},
            "keys": str(site.folder / "zot-keys"),
            "url": None,
        },
    ]


def test_list_works_without_keys(site: Site) -> None:
    """It is about the configuration; what is wrong with keys is for `check`."""
    (site.folder / "zot-keys" / "ring.json").unlink()
    result = site.run("registries", "list")
    assert result.exit_code == 0
    assert " ?  " in result.stdout
    assert "To see why: tokenserver registries check" in result.stderr
