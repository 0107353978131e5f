"""`tokenserver keys`: each command with what it prints, what it refuses, and what it ends with."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from tokenserver.cli import main
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.store import load_keys

Run = Callable[..., Result]

CONFIG = """\
issuer: auth.example.com
server: {{url: "https://auth.example.com"}}
registries: {registries}
anonymous: true
policies: policies
keys: {keys}
"""
PINNED = "[{service: one}, {service: two, compat: distribution2}, {service: three, compat: jwks}]"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `tokenserver keys …` in a folder with a configuration."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["keys", *map(str, arguments)])

    return run


def configure(folder: Path, keys: str = "keys", registries: str = "[{service: one}]") -> None:
    text = CONFIG.format(keys=keys, registries=registries)
    (folder / "tokenserver.yaml").write_text(text)


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """The folder of keys that `keys init` made."""
    assert run("init").exit_code == 0
    return tmp_path / "keys"


def listed(run: Run) -> dict[str, Any]:
    result = run("list", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def states(run: Run) -> list[str]:
    return [key["state"] for key in listed(run)["keys"]]


def age(folder: Path, by: timedelta) -> None:
    """Let every state have begun that much earlier."""
    path = folder / "ring.json"
    content = json.loads(path.read_text())
    for key in content["keys"]:
        key["since"] = (datetime.fromisoformat(key["since"]) - by).isoformat()
    path.write_text(json.dumps(content))


def test_the_first_certificate_fits_the_rotation(run: Run, tmp_path: Path) -> None:
    """With rotation a certificate ends soon after its key was to sign."""
    configure(tmp_path, keys="{rotate_every: 30d}")
    run("init")
    [key] = listed(run)["keys"]
    left = datetime.fromisoformat(key["not_after"]) - datetime.now(UTC)
    assert timedelta(days=119) < left < timedelta(days=121)


def test_list(run: Run, made: Path) -> None:
    """A row for each key: its state, since when, until when, and what comes next."""
    run("rotate")
    age(made, timedelta(hours=2))
    run("rotate")
    [active, retired] = listed(run)["keys"]
    result = run("list")
    [_, first, second, ca] = result.stdout.splitlines()
    assert [active["state"], retired["state"]] == ["active", "retired"]
    assert first.split()[:3] == [active["id"], "active", "ES256"]
    assert second.split()[:3] == [retired["id"], "retired", "ES256"]
    assert "signs until: tokenserver keys rotate" in first
    assert "removed at " in second
    assert ca.endswith("; its key is here")


def test_list_says_when_a_key_is_replaced(run: Run, made: Path, tmp_path: Path) -> None:
    """With rotation, by its date; and what waits to sign, from when on."""
    configure(tmp_path, keys="{rotate_every: 30d}")
    run("rotate")
    [active, following] = run("list").stdout.splitlines()[1:3]
    assert f"replaced at {datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}" in active
    assert "signs from " in following
    assert listed(run)["keys"][0]["rotate_at"].startswith(f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")


def test_list_tells_what_an_interrupted_change_left(run: Run, made: Path) -> None:
    """Files that the ring does not name, with what removes them."""
    orphan = made / "signing" / "2027-01-31-00000000.key"
    orphan.write_text("x")
    result = run("list")
    assert f"{orphan} belongs to no key of the ring; fix: rm {orphan}, unless you need it" in result.stderr
    assert listed(run)["warnings"] != []


def test_list_of_no_keys(run: Run) -> None:
    """What makes some is told."""
    result = run("list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "create the keys with: tokenserver keys init" in result.stderr


def test_rotate_makes_a_key_and_says_when_it_signs(run: Run, made: Path) -> None:
    """Under universal there is nothing to distribute; a second call before the time is refused, and changes nothing."""
    first = run("rotate")
    assert first.exit_code == 0
    assert "and published it as next." in first.stdout
    assert "Nothing to distribute and nothing to restart" in first.stdout
    assert states(run) == ["active", "next"]
    second = run("rotate")
    assert (second.exit_code, second.stdout) == (1, "")
    assert "may sign from " in second.stderr
    assert states(run) == ["active", "next"]


def test_rotate_switches_when_it_is_time(run: Run, made: Path) -> None:
    """What the plan says is what is done, and the old key stays published."""
    run("rotate")
    age(made, timedelta(hours=1))
    new = listed(run)["keys"][1]["id"]
    result = run("rotate")
    assert result.exit_code == 0
    assert f"The key {new} signs from now on." in result.stdout
    assert "stays published until" in result.stdout
    assert listed(run)["keys"][0]["id"] == new
    assert states(run) == ["active", "retired"]


@pytest.mark.parametrize("is_prepared", [False, True])
def test_rotate_now(run: Run, made: Path, is_prepared: bool) -> None:
    """Told so, it does not wait."""
    if is_prepared:
        run("rotate")
    assert run("rotate", "--now").exit_code == 0
    assert states(run) == ["active", "retired"]


def test_rotate_of_an_expired_key(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where registries refuse everything already, the new key signs at once."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # a clock that is ahead, for one module
            return datetime.now(tz) + timedelta(days=900)

    monkeypatch.setattr("tokenserver.cli.keys.rotate.datetime", Later)
    assert "The active certificate has expired; switch immediately" in run("rotate", "--plan").stdout
    assert run("rotate").exit_code == 0
    assert load_keys(made, now=Later.now(UTC)).active.not_after > Later.now(UTC)


def test_the_plan_for_registries_that_pin_keys(run: Run, made: Path, tmp_path: Path) -> None:
    """What to distribute first, what to restart, when to switch; a day later if nothing else is set."""
    configure(tmp_path, registries=PINNED)
    result = run("rotate")
    numbered = [line for line in result.stdout.splitlines() if line[0].isdigit()]
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d %H:%M}"
    assert [line[:2] for line in numbered] == ["1.", "2.", "3.", "4.", "5."]
    assert "Distribute to two (distribution2)" in numbered[0]
    assert "tokenserver registry-config two --for distribution2 --write DIR" in numbered[0]
    assert "tokenserver registry-config three --for distribution3 --write DIR" in numbered[1]
    assert numbered[2].startswith("3. Restart two, three: ")
    assert numbered[3].startswith(f"4. Switch, not before {tomorrow}")
    assert "After another 1 h 5 min" in numbered[4]
    age(made, timedelta(hours=23))
    assert run("rotate").exit_code == 1
    age(made, timedelta(hours=1))
    assert run("rotate").exit_code == 0
    assert states(run) == ["active", "retired"]


def test_a_plan_changes_nothing(run: Run, made: Path) -> None:
    """It begins with the command that makes the key, and is the same as JSON."""
    before = (made / "ring.json").read_bytes()
    told = [line.partition(". ")[2] for line in run("rotate", "--plan").stdout.splitlines()]
    facts = json.loads(run("rotate", "--plan", "--json").stdout)
    assert told[0] == "Create and publish the next key: tokenserver keys rotate"
    assert (facts["done"], facts["switch_at"], len(facts["plan"])) == (None, None, len(told))
    assert (made / "ring.json").read_bytes() == before


def test_rotate_as_json(run: Run, made: Path) -> None:
    """What was done to which key, which one signs, and from when on the other may."""
    facts = json.loads(run("rotate", "--json").stdout)
    [active, following] = listed(run)["keys"]
    assert facts["done"] == {"step": "prepare", "key": following["id"]}
    assert (facts["active"], facts["switch_at"]) == (active["id"], following["switch_at"])


def test_emergency(run: Run, made: Path, tmp_path: Path) -> None:
    """The active key is gone at once, and it is said what registries make of it, those that pin keys and the others."""
    configure(tmp_path, registries=PINNED)
    old = listed(run)["keys"][0]["id"]
    result = run("rotate", "--emergency")
    [new] = [key["id"] for key in listed(run)["keys"]]
    assert result.exit_code == 0
    assert f"Dropped the key {old}; the key {new} signs from now on." in result.stdout
    assert "1. Install the new file of keys at two, three and restart them" in result.stdout
    assert "2. one: registries that trust the token CA cannot learn that a key was dropped" in result.stdout
    facts = json.loads(run("rotate", "--emergency", "--json").stdout)
    assert (facts["done"], len(facts["plan"])) == ({"step": "emergency", "key": new}, 2)


def test_emergency_of_another_key(run: Run, made: Path) -> None:
    """The key that leaked may be a retired one; the active one goes on."""
    run("rotate", "--now")
    [active, retired] = [key["id"] for key in listed(run)["keys"]]
    assert run("rotate", "--emergency", "--key", retired).exit_code == 0
    assert [key["id"] for key in listed(run)["keys"]] == [active]
    unknown = run("rotate", "--emergency", "--key", "ghost")
    assert (unknown.exit_code, "no key here has the id ghost" in unknown.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--plan", "--now"], "exclude each other", id="plan and now"),
        pytest.param(["--emergency", "--to", "x"], "exclude each other", id="emergency elsewhere"),
        pytest.param(["--key", "x"], "--key needs --emergency", id="a key without an emergency"),
        pytest.param(["--algorithm", "EdDSA"], "registry two: Distribution 2 cannot verify EdDSA", id="algorithm"),
    ],
)
def test_wrong_use_of_rotate(run: Run, made: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    """Exit code 2, the reason, and nothing is changed."""
    configure(tmp_path, registries=PINNED)
    result = run("rotate", *arguments)
    assert (result.exit_code, told in result.stderr) == (2, True)
    assert states(run) == ["active"]


def test_another_algorithm(run: Run, made: Path) -> None:
    """A rotation is also how to change it."""
    run("rotate", "--algorithm", "RS256", "--now")
    assert [key["algorithm"] for key in listed(run)["keys"]] == ["RS256", "ES256"]


def test_retire(run: Run, made: Path) -> None:
    """A next key at once; a retired one when its tokens are over, or when told so; the active one never."""
    run("rotate")
    [active, following] = [key["id"] for key in listed(run)["keys"]]
    assert run("retire", active).exit_code == 1
    assert run("retire", following).stdout == f"Dropped the key {following}.\n"
    run("rotate", "--now")
    early = run("retire", active)
    assert (early.exit_code, "are valid until" in early.stderr) == (1, True)
    assert run("retire", active, "--now").exit_code == 0
    assert states(run) == ["active"]


# --- export and import -----------------------------------------------------------------------------------------------


def test_export_of_what_registries_trust(run: Run, made: Path, tmp_path: Path) -> None:
    """To standard output or to a file; every published key, and nothing secret."""
    run("rotate")
    ring = load_keys(made, now=datetime.now(UTC))
    ca, certificates, jwks = (run("export", what).stdout for what in ("ca", "certificates", "jwks"))
    assert ca == ring.ca_certificate_pem
    assert len(x509.load_pem_x509_certificates(certificates.encode())) == 2
    assert jwks == jwk_set(ring)
    assert run("export", "jwks", "--to", "j.json").exit_code == 0
    assert ((tmp_path / "j.json").read_text(), stat.S_IMODE((tmp_path / "j.json").stat().st_mode)) == (jwks, 0o644)
    assert "PRIVATE" not in ca + certificates + jwks


def test_a_key_goes_from_where_the_ca_is_to_the_server(run: Run, made: Path, tmp_path: Path) -> None:
    """The whole way: made at the CA, carried, taken by a server that has no CA key, and signing there."""
    away = tmp_path / "away"
    away.mkdir(mode=0o700)
    (made / "token-ca.key").rename(away / "token-ca.key")
    (away / "token-ca.pem").write_bytes((made / "token-ca.pem").read_bytes())
    refused = run("rotate")
    assert (refused.exit_code, "keys rotate --to FILE` where it is kept" in refused.stderr) == (2, True)
    configure(tmp_path, keys="away")
    told = run("rotate", "--to", "new.pem")
    assert (told.exit_code, "keys import new.pem" in told.stdout) == (0, True)
    assert stat.S_IMODE((tmp_path / "new.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in away.iterdir()) == ["token-ca.key", "token-ca.pem"]
    configure(tmp_path)
    taken = run("import", "new.pem")
    assert (taken.exit_code, "is published as next. Delete new.pem." in taken.stdout) == (0, True)
    assert run("import", "new.pem").exit_code == 1
    assert run("rotate", "--now").exit_code == 0
    assert states(run) == ["active", "retired"]


def test_the_first_key_of_a_server_without_a_ca(run: Run, made: Path, tmp_path: Path) -> None:
    """Its certificate to trust and one imported key are all that it needs."""
    run("rotate", "--to", "new.pem")
    server = tmp_path / "server"
    server.mkdir(mode=0o700)
    (server / "token-ca.pem").write_bytes((made / "token-ca.pem").read_bytes())
    configure(tmp_path, keys="server")
    result = run("import", "new.pem")
    assert (result.exit_code, result.stdout.endswith("signs from now on. Delete new.pem.\n")) == (0, True)
    assert run("list").stdout.endswith("; its key is not here\n")


def test_a_key_is_exported_and_imported(run: Run, made: Path, tmp_path: Path) -> None:
    """The next one if there is one, else the active one, else which was named."""
    active = listed(run)["keys"][0]["id"]
    assert f"Wrote the key {active} to one.pem" in run("export", "key", "--to", "one.pem").stdout
    run("rotate")
    following = listed(run)["keys"][1]["id"]
    assert f"Wrote the key {following} to two.pem" in run("export", "key", "--to", "two.pem").stdout
    assert run("export", "key", "--key", active, "--to", "three.pem").exit_code == 0
    assert (tmp_path / "three.pem").read_bytes() == (tmp_path / "one.pem").read_bytes()
    run("retire", following)
    assert run("import", "two.pem").exit_code == 0
    assert [key["id"] for key in listed(run)["keys"]] == [active, following]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["export", "key"], "a private key is not printed; fix: add --to FILE", id="printed"),
        pytest.param(
            ["export", "key", "--to", "taken"], "taken: exists; a key never overwrites a file", id="overwritten"
        ),
        pytest.param(
            ["rotate", "--to", "taken"], "taken: exists; a key never overwrites a file", id="made over a file"
        ),
        pytest.param(["export", "key", "--key", "ghost", "--to", "x"], "the ring has no key ghost", id="unknown"),
        pytest.param(["export", "ca", "--key", "x"], "--key goes with `export key` only", id="a key of the CA"),
        pytest.param(["import", "taken"], "must contain one private key and one certificate", id="no pair"),
        pytest.param(["import", "absent"], "cannot be read: No such file or directory", id="no file"),
        pytest.param(["export", "key", "--to", "no/x"], "cannot be written: No such file or directory", id="no folder"),
        pytest.param(
            ["export", "ca", "--to", "no/x"], "cannot be written: No such file or directory", id="no folder, CA"
        ),
        pytest.param(["rotate", "--to", "no/x"], "cannot be written: No such file or directory", id="no folder, new"),
    ],
)
def test_wrong_use_of_export_and_import(run: Run, made: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    """Exit code 2 and the reason; what stands there stays, and no key gets out."""
    (tmp_path / "taken").write_text("precious")
    (tmp_path / "taken").chmod(0o600)
    result = run(*arguments)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
    assert (tmp_path / "taken").read_text() == "precious"
    assert "PRIVATE" not in result.output
