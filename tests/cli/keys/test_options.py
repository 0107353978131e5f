"""`keys … --service NAME`: the keys of one registry, where it has its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries:
  - {service: registry.example.com}
  - {service: vault.example.com, also: [vault], keys: vault-keys, compat: distribution3}
anonymous: true
policies: policies
keys: {folder: keys, rotate_every: 30d}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two registries, one with keys of its own; both have their first keys."""
    file = tmp_path / "tokenserver.yaml"
    file.write_text(CONFIG)
    assert keys(file, "init").exit_code == 0
    return file


def keys(config: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", command, "--config", str(config), *arguments])


def ids(config: Path, *arguments: str) -> list[tuple[str, str]]:
    found = json.loads(keys(config, "list", "--json", *arguments).output)["keys"]
    return [(key["id"], key["state"]) for key in found]


def test_each_has_its_own(config: Path) -> None:
    """Without a name the keys of the whole server; by each of a registry's names those that sign for it."""
    everybody, vault = ids(config), ids(config, "--service", "vault.example.com")
    assert everybody == ids(config, "--service", "registry.example.com")
    assert vault == ids(config, "--service", "vault")
    assert everybody != vault


def test_the_list_tells_of_the_others(config: Path, tmp_path: Path) -> None:
    """Whoever lists the keys of the whole server learns that there are more, and how to see them."""
    told = f"separate keys in {tmp_path / 'vault-keys'}: tokenserver keys list --service vault.example.com\n"
    assert keys(config, "list").output.endswith(told)
    assert "separate keys" not in keys(config, "list", "--service", "vault").output


def test_rotating_one_leaves_the_other_alone(config: Path) -> None:
    """The new key is made in the registry's folder, and the plan speaks of that registry alone."""
    before = ids(config)
    result = keys(config, "rotate", "--service", "vault")
    assert result.exit_code == 0, result.output
    assert [state for _, state in ids(config, "--service", "vault")] == ["active", "next"]
    assert ids(config) == before
    assert "vault.example.com" in result.output
    assert "registry.example.com" not in result.output


def test_a_key_goes_from_one_folder_to_another(config: Path, tmp_path: Path) -> None:
    """Made for elsewhere and brought in, both for the registry that is named."""
    file = tmp_path / "moved.pem"
    assert keys(config, "rotate", "--service", "vault", "--to", str(file)).exit_code == 0
    assert [state for _, state in ids(config, "--service", "vault")] == ["active"]
    wrong = keys(config, "import", str(file))
    assert wrong.exit_code == 2, wrong.output  # another token CA signed it
    right = keys(config, "import", str(file), "--service", "vault")
    assert right.exit_code == 0, right.output
    assert [state for _, state in ids(config, "--service", "vault")] == ["active", "next"]


def test_an_unknown_registry(config: Path) -> None:
    """Wrong use, with the names that there are."""
    result = keys(config, "list", "--service", "other")
    assert result.exit_code == 2
    assert "no registry is named 'other'; configured: registry.example.com, vault.example.com, vault" in result.output


STRONG = CONFIG.replace("keys: vault-keys,", "keys: vault-keys, algorithm: ES384,")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(["rotate", "--now"], id="rotated"),
        pytest.param(["rotate", "--emergency"], id="dropped"),
        pytest.param(["rotate", "--emergency", "lost"], id="dropped, its file lost"),
    ],
)
def test_new_keys_sign_as_the_registry_wants(config: Path, tmp_path: Path, change: list[str]) -> None:
    """Whatever becomes of the old key, even where it cannot be read any more, the new one has the registry's
    algorithm, so that the server loads it."""
    config.write_text(STRONG.replace("vault-keys", "strong-keys"))
    assert keys(config, "init").exit_code == 0
    if "lost" in change:
        next((tmp_path / "strong-keys" / "signing").glob("*.key")).unlink()
    result = keys(config, *[word for word in change if word != "lost"], "--service", "vault")
    assert result.exit_code == 0, result.output
    found = json.loads(keys(config, "list", "--json", "--service", "vault").output)["keys"]
    assert {key["algorithm"] for key in found} == {"ES384"}


def test_a_key_for_elsewhere_signs_as_the_registry_wants(config: Path, tmp_path: Path) -> None:
    """Made where the CA is, brought to where the registry's keys are."""
    config.write_text(STRONG.replace("vault-keys", "strong-keys"))
    keys(config, "init")
    assert "(ES384)" in keys(config, "rotate", "--service", "vault", "--to", str(tmp_path / "new.pem")).output
    assert keys(config, "import", str(tmp_path / "new.pem"), "--service", "vault").exit_code == 0


def test_another_algorithm_than_the_registry_wants(config: Path) -> None:
    """It would be refused at the next load, so it is refused here, and nothing is made."""
    config.write_text(STRONG.replace("vault-keys", "strong-keys"))
    keys(config, "init")
    result = keys(config, "rotate", "--service", "vault", "--algorithm", "RS256")
    assert result.exit_code == 2
    assert "registry vault.example.com: has algorithm: ES384; fix: change that setting too" in result.output
    assert [state for _, state in ids(config, "--service", "vault")] == ["active"]
