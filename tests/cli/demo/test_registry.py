"""The registry of a demo: which program is found, and the configuration that it gets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from site_commands import Run

from tokenserver.cli.demo.registry import RegistryProgram, find_registry, port_of, prepare
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm


@pytest.fixture
def settings(made: Path) -> Settings:
    """The settings of a new site."""
    return load_settings(made / "tokenserver.yaml", {})


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that programs are looked for in."""
    folder = tmp_path / "programs"
    folder.mkdir()
    which = shutil.which

    def which_there(name: str, path: str | None = None) -> str | None:
        return which(name, path=str(folder))

    monkeypatch.setattr(shutil, "which", which_there)
    return folder


def _install(folder: Path, name: str) -> str:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_distribution_comes_first(programs: Path) -> None:
    """`registry`, then Debian's package, then zot; a given one before all."""
    assert find_registry() is None
    zot = _install(programs, "zot")
    assert find_registry() == RegistryProgram(zot)
    debian = _install(programs, "docker-registry")
    assert find_registry() == RegistryProgram(debian)
    distribution = _install(programs, "registry")
    assert find_registry() == RegistryProgram(distribution)
    assert find_registry("zot") == RegistryProgram(zot)
    assert find_registry("other") is None


def test_what_each_program_needs() -> None:
    """zot has tokens of its own kind, and older versions only verify RSA."""
    distribution, zot = RegistryProgram("/usr/bin/docker-registry"), RegistryProgram("/opt/zot-linux-amd64")
    assert (distribution.compat, distribution.algorithm) == ("universal", Algorithm.ES256)
    assert (zot.compat, zot.algorithm) == ("zot", Algorithm.RS256)


def test_distribution_is_configured(settings: Settings, tmp_path: Path) -> None:
    """Images in the folder, the address of the service on loopback, and the printed section with its file."""
    folder = tmp_path / "a: b"
    config = prepare(RegistryProgram("/usr/bin/registry"), settings, folder)
    read = yaml.safe_load(config.read_text())
    assert read["storage"] == {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}}
    assert read["http"] == {"addr": "127.0.0.1:5000"}
    bundle = Path(read["auth"]["token"]["rootcertbundle"])
    assert (bundle.parent, bundle.is_file()) == (folder, True)
    assert read["auth"]["token"]["service"] == "localhost:5000"


def test_zot_is_configured(run: Run, made: Path, tmp_path: Path) -> None:
    """As JSON, for a registry with `compat: zot`."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text().replace("compat: universal", "compat: zot"))
    written = prepare(RegistryProgram("/usr/bin/zot"), load_settings(config, {}), tmp_path / "zot")
    read = json.loads(written.read_text())
    assert (read["http"]["address"], read["http"]["port"]) == ("127.0.0.1", "5000")
    assert read["http"]["auth"]["bearer"]["realm"] == "http://localhost:5001/token"
    assert Path(read["http"]["auth"]["bearer"]["cert"]).is_file()


def test_another_program_than_at_the_first_start(settings: Settings, tmp_path: Path) -> None:
    """Its tokens would not fit: a fault with both ways out."""
    folder = tmp_path / "my demo"
    with pytest.raises(LoadError) as caught:
        prepare(RegistryProgram("/usr/bin/zot"), settings, folder)
    expected = (
        "has compat: universal for localhost:5000, whose tokens zot rejects;"
        f" fix: set compat: zot, or start over in another folder: tokenserver demo '{folder}-zot'"
    )
    assert caught.value.faults[0].message == expected


@pytest.mark.parametrize(
    "service", ["registry.example.com", "localhost", "localhost:0", "localhost:65536", "localhost:x", "other:5000"]
)
def test_a_service_elsewhere(settings: Settings, service: str) -> None:
    """No registry on this machine can have that name."""
    elsewhere = settings.registries[0].model_copy(update={"service": service})
    with pytest.raises(LoadError, match="is not of the form localhost:PORT"):
        port_of(elsewhere)


def test_the_port_of_the_service(settings: Settings) -> None:
    """It is part of the name by which clients call the registry."""
    assert port_of(settings.registries[0]) == 5000
