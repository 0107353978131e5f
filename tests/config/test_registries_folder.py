"""A folder of registries: one file each, and every fault at its own file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
anonymous: true
policies: policies
keys: keys
registries: registries/
"""


GIVE = "give one of the two a separate folder with keys:"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration that names an empty folder."""
    (tmp_path / "registries").mkdir(mode=0o755)
    (tmp_path / "tokenserver.yaml").write_text(CONFIG)
    return tmp_path


def _write(site: Path, **files: str) -> None:
    for name, text in files.items():
        (site / "registries" / f"{name}.yaml").write_text(text)


def _load(site: Path, environment: dict[str, str] | None = None) -> Settings:
    return load_settings(site / "tokenserver.yaml", environment or {})


def _outcome(site: Path) -> Settings | LoadError:
    try:
        return _load(site)
    except LoadError as error:
        return error


def _faults(site: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(LoadError) as caught:
        _load(site, environment)
    return [str(fault).replace(f"{site}/", "") for fault in caught.value.faults]


def test_fifty_files_are_fifty_registries(site: Path) -> None:
    """In the order of their names, each as an entry of the list would be."""
    _write(site, **{f"r{index:02}": f"service: r{index}.example.com\ntoken_lifetime: 5m\n" for index in range(50)})
    registries = _load(site).registries
    assert [registry.service for registry in registries] == [f"r{index}.example.com" for index in range(50)]
    assert {registry.token_lifetime.default for registry in registries} == {300}


def test_paths_are_relative_to_their_file(site: Path) -> None:
    """As everywhere."""
    _write(site, a="service: a\nkeys: ../a-keys\n", b="service: b\nkeys: /b-keys\n")
    assert [registry.keys for registry in _load(site).registries] == [site / "registries/../a-keys", Path("/b-keys")]


def test_other_files_are_passed_over(site: Path) -> None:
    """Hidden ones, notes and folders; capitals in a suffix are no reason to leave a registry out."""
    _write(site, a="service: a\n")
    (site / "registries" / "B.YML").write_text("service: b\n")
    (site / "registries" / "README.md").write_text("# Who owns what\n")
    (site / "registries" / ".a.yaml.swp").write_text("service: c\n")
    (site / "registries" / "keys").mkdir()
    assert [registry.service for registry in _load(site).registries] == ["b", "a"]


def test_every_fault_of_every_file_at_once(site: Path) -> None:
    """Each with its file and line, along with those of the configuration; missing entries are not reported again."""
    _write(
        site,
        a="service: a\ncompat: docker\n",
        b="servce: b\n",
        c="- service: c\n",
        d="service: [\n",
        e="service: e\nalso: [e2]\n\ntoken_lifetime: {push: 2h}\n",
    )
    (site / "tokenserver.yaml").write_text(CONFIG.replace("anonymous: true", "anonymous: yes"))
    found = _faults(site)
    assert [fault.partition(": ")[0] for fault in found] == [
        "registries/a.yaml:2",
        "registries/b.yaml:1",
        "registries/b.yaml:1",
        "registries/c.yaml:1",
        "registries/d.yaml:2",
        "registries/e.yaml:4",
        "tokenserver.yaml:3",
    ]
    assert "did you mean 'service'?" in found[1] + found[2]
    assert "must be one registry: a mapping that begins with service: NAME" in found[3]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"a": "service: x\n", "b": "compat: zot\nservice: x\n"},
            ["registries/b.yaml:2: service: the service 'x' is also in a.yaml"],
            id="service",
        ),
        pytest.param(
            {"a": "service: x\nalso: [y]\n", "b": "service: z\nalso:\n  - w\n  - y\n"},
            ["registries/b.yaml:4: also[1]: the service 'y' is also in a.yaml"],
            id="also",
        ),
        pytest.param(
            {"a": "service: x\nalso:\n  - x\n"},
            ["registries/a.yaml:1: the service 'x' is used twice; each entry needs its own"],
            id="twice-in-one",
        ),
        pytest.param(
            {"a": "service: x\nalgorithm: ES256\n", "b": "service: y\nalgorithm: RS256\n"},
            ["registries/b.yaml:2: algorithm: x signs with ES256 and shares its keys; " + GIVE],
            id="two-algorithms",
        ),
    ],
)
def test_files_that_do_not_go_together(site: Path, files: dict[str, str], expected: list[str]) -> None:
    """Reported at the later file; for a repeated name, the message names the other file."""
    _write(site, **files)
    assert _faults(site) == expected


def test_a_folder_that_is_not_there(site: Path) -> None:
    """Reported where it is named, with both kinds of value that are allowed there."""
    (site / "tokenserver.yaml").write_text(CONFIG.replace("registries/", "nowhere/"))
    (fault,) = _faults(site)
    assert fault.startswith(
        "tokenserver.yaml:6: registries: must be a list of registries, or the folder of their files"
    )
    assert "nowhere: cannot be read as a folder: No such file or directory" in fault


def test_an_empty_folder(site: Path) -> None:
    """Nothing would ever be signed."""
    (fault,) = _faults(site)
    assert "registries: contains no registry file (*.yaml)" in fault


def test_a_folder_that_others_can_change(site: Path) -> None:
    """Whoever can add a file can make this server sign for a registry of theirs."""
    _write(site, a="service: a\n")
    (site / "registries").chmod(0o777)
    (fault,) = _faults(site)
    assert "can be changed by others" in fault


@pytest.mark.parametrize("given", ['"a\\0b"', "~nobody-of-that-name/x", '""'])
def test_what_is_no_folder(site: Path, given: str) -> None:
    """A load error, never a crash."""
    (site / "tokenserver.yaml").write_text(CONFIG.replace("registries/", given))
    (fault,) = _faults(site)
    assert fault.startswith("tokenserver.yaml:6: registries: must be a list of registries, or the folder")


def test_the_environment_names_a_folder(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the working folder, overriding the file; faults are reported at the variable."""
    _write(site, a="service: a\n")
    (site / "tokenserver.yaml").write_text(CONFIG.replace("registries/", "[{service: b}]"))
    monkeypatch.chdir(site / "registries")
    environment = {"TOKENSERVER_REGISTRIES": "../registries"}
    assert [registry.service for registry in _load(site, environment).registries] == ["a"]
    (fault,) = _faults(site, {"TOKENSERVER_REGISTRIES": "nowhere"})
    assert fault.startswith("environment variable TOKENSERVER_REGISTRIES: must be a list of registries, or the folder")


def test_single_entries_are_set_in_the_list_form_alone(site: Path) -> None:
    """A file has its own name, so a number means nothing here."""
    _write(site, a="service: a\n")
    (fault,) = _faults(site, {"TOKENSERVER_REGISTRIES_0_COMPAT": "zot"})
    assert fault == "environment variable TOKENSERVER_REGISTRIES_0_COMPAT: the file has no list here"


@settings(
    deadline=None,
    max_examples=min(settings().max_examples, 5_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(max_size=60), st.sampled_from(["", "service: a\n", "service: a\nalso: [b]\n"]))
def test_any_text_is_settings_or_a_load_error(site: Path, text: str, before: str) -> None:
    """For any content of a file, nothing else is raised, and every fault names that file."""
    (site / "registries" / "a.yaml").write_text(before + text, encoding="utf-8", errors="replace")
    file = str(site / "registries" / "a.yaml")
    outcome = _outcome(site)
    places = {fault.file for fault in outcome.faults} if isinstance(outcome, LoadError) else {file}
    assert places == {file}
