"""`tokenserver keys export` and `keys import`: from the CA to a server, and between servers."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from keys_commands import Run, configure, listed, states

from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.store import load_keys


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
