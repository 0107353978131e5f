"""Our side: the facts about settings and keys, for each registry with the keys that sign for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.our_side import our_sides
from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys

NOW = datetime.now(UTC)
CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com/sub"}
registries:
  - {service: one, url: "https://one.example.com", compat: distribution3, token_lifetime: 5m}
  - {service: two, also: [zwei], keys: own-keys, issuer: team.example.com}
authentication: []
anonymous: true
policies: policies
keys: keys
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two registries, one of which has keys of its own."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    init_keys(tmp_path / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=NOW)
    init_keys(tmp_path / "own-keys", issuer="team.example.com", algorithm=Algorithm.RS256, now=NOW)
    return load_settings(tmp_path / "c.yaml", {})


def test_the_server_s_side(settings: Settings, tmp_path: Path) -> None:
    """Addresses, registries and keys, as a registry has to be configured for them."""
    ours = our_sides(settings, tmp_path / "c.yaml", NOW).general.ours
    assert (ours.config, ours.url) == (str(tmp_path / "c.yaml"), "https://auth.example.com/sub")
    assert ours.realm == "https://auth.example.com/sub/token"
    # By a name: without one, the answer has the keys of `two` as well, which `one` must not trust.
    assert ours.jwks_url == "https://auth.example.com/sub/.well-known/jwks.json?service=one"
    assert [(one.service, one.issuer, one.compat, one.lifetime, one.url) for one in ours.registries] == [
        ("one", "auth.example.com", "distribution3", 300, "https://one.example.com"),
        ("two", "team.example.com", "universal", 900, None),
    ]
    assert [key.algorithm for key in ours.keys] == ["ES256"]
    assert ours.retired == ()


def test_keys_of_a_registry_s_own(settings: Settings) -> None:
    """They are compared for it under each of its names, and fetched by its name."""
    sides = our_sides(settings, None, NOW)
    assert set(sides.own) == {"one", "two", "zwei"}
    assert sides.own["one"] is sides.general
    assert sides.own["two"] is sides.own["zwei"]
    own = sides.own["two"]
    assert {key.algorithm for key in own.ours.keys} == {"RS256"}
    assert own.ours.jwks_url.endswith("/jwks.json?service=two")
    assert own.ring is not sides.general.ring
    assert own.ours.ca.names != sides.general.ours.ca.names


def test_the_side_of_a_registry(settings: Settings) -> None:
    """Without one it is the server's."""
    sides = our_sides(settings, None, NOW)
    one, two = sides.general.ours.registries
    assert (sides.of(None), sides.of(one)) == (sides.general, sides.general)
    assert sides.of(two) is sides.own["two"]
    assert sides.of(replace(two, service="zwei")) is sides.own["two"]


def test_every_fault_of_every_folder(settings: Settings, tmp_path: Path) -> None:
    """Reported together."""
    for folder in ("keys", "own-keys"):
        (tmp_path / folder / "ring.json").unlink()
    with pytest.raises(LoadError) as caught:
        our_sides(settings, None, NOW)
    assert sorted(Path(fault.file).parent.name for fault in caught.value.faults) == ["keys", "own-keys"]


def test_one_set_of_keys_needs_no_name(settings: Settings) -> None:
    """The addresses are the shortest where they give no other keys."""
    alone = settings.model_copy(update={"registries": settings.registries[:1]})
    ours = our_sides(alone, None, NOW).general.ours
    assert (ours.query, ours.ca_url) == ("", "https://auth.example.com/sub/ca.pem")
