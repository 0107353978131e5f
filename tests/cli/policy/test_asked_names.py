"""Image names where a repository is asked for: the registry of the host, what is ignored, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from policy_commands import POLICY, Run, facts, write

from tokenserver.cli import main

DIGEST = "sha256:" + "0123456789abcdef" * 4
TWO = """\
registries:
  - {service: localhost:5000, also: [mirror.example.com]}
  - {service: production, url: 'https://registry.example.com'}
"""


@pytest.fixture
def two(site: Path, folder: Path) -> Path:
    """A configuration of two registries with different policies."""
    text = site.read_text().replace("registries: [{service: registry.example.com}]\n", TWO)
    write(site, text)
    rule = "{{id: in-{0}, to: [everyone], repositories: [{0}/**], role: reader}}"
    for service, name in (("'localhost:5000'", "here"), ("production", "there")):
        write(folder / f"{name}.yaml", f"version: 1\nregistries: [{service}]\nallow: [{rule.format(name)}]\n")
    mirror = '{id: mirror, to: [everyone], repositories: ["docker.io/**"], role: reader}'
    write(folder / "mirror.yaml", f"version: 1\nallow: [{mirror}]\n")
    return site


def ask(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["policy", *arguments, "--config", str(config)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("localhost:5000/here/x", "is read as here/x on registry localhost:5000", id="host"),
        pytest.param(
            "mirror.example.com/here/x:1", "here/x on registry localhost:5000; policies ignore the tag", id="also"
        ),
        pytest.param("registry.example.com/there/x", "is read as there/x on registry production", id="url"),
        pytest.param(f"registry.example.com/there/x@{DIGEST}", "production; policies ignore the digest", id="digest"),
        pytest.param("docker://localhost:5000/here/x:1", "here/x on registry localhost:5000", id="skopeo"),
        pytest.param("https://registry.example.com/v2/there/x/tags/list", "there/x on registry production", id="api"),
        pytest.param(
            f"localhost:5000/here/x:1@{DIGEST}", "policies ignore the tag and the digest", id="tag-and-digest"
        ),
        pytest.param(
            "localhost:5000/docker.io/a/b", "is read as docker.io/a/b on registry localhost:5000", id="mirror"
        ),
    ],
)
def test_an_image_name(two: Path, text: str, said: str) -> None:
    """Names the repository and the registry; standard error says how it was read."""
    for arguments in (["who-can", "pull", text], ["why", "pull", text, "--user", "ann"]):
        result = ask(two, *arguments)
        assert (result.exit_code, said in result.stderr) == (0, True), result.output
        assert result.stderr.startswith(f"{text} is read as ")
    assert ask(two, "who-can", "push", text).exit_code == 1


def test_an_image_name_as_data(two: Path) -> None:
    """With --json, standard error is empty."""
    text = f"registry.example.com/there/x:1@{DIGEST}"
    for arguments in (["who-can", "pull", text], ["why", "pull", text, "--user", "ann"]):
        result = ask(two, *arguments, "--json")
        found = facts(result)
        assert (result.stderr, found["repository"]) == ("", "there/x")
        assert found["image"] == {
            "repository": "there/x",
            "service": "production",
            "host": "registry.example.com",
            "tag": "1",
            "digest": DIGEST,
            "note": f"{text} is read as there/x on registry production; policies ignore the tag and the digest",
        }
    assert "image" not in facts(ask(two, "who-can", "pull", "x", "--service", "production", "--json"))


def test_a_tag_without_a_host(two: Path) -> None:
    """Leaves the registry open."""
    result = ask(two, "who-can", "pull", "there/x:1", "--service", "production")
    assert (result.exit_code, result.stderr) == (0, "there/x:1 is read as there/x; policies ignore the tag\n")
    assert "choose one with --service" in ask(two, "who-can", "pull", "there/x:1").stderr


def test_a_segment_that_looks_like_a_host(two: Path) -> None:
    """Is a segment if rules name it and no registry has that host, as on a registry that mirrors others."""
    result = ask(two, "who-can", "pull", "docker.io/grafana/loki:3", "--service", "production")
    note = "docker.io/grafana/loki:3 is read as docker.io/grafana/loki; policies ignore the tag, because rules name"
    assert (result.exit_code, result.stderr) == (0, f"{note} repositories below docker.io\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["ghcr.io/web/x"],
            "'ghcr.io/web/x': the host ghcr.io is no configured registry; configured: localhost:5000, "
            "production (https://registry.example.com); fix: leave the host out, or set the url of its registry",
            id="unknown",
        ),
        pytest.param(["localhost:5001/web/x"], "the host localhost:5001 is no configured registry", id="port"),
        pytest.param(["Web/x"], "fix: write web/x if it is no host; repositories are lower case", id="capital"),
        pytest.param(["localhost:5000"], "is a registry; add the repository: localhost:5000/NAME", id="no-repository"),
        pytest.param(["localhost:5000/x:"], "'' is no tag", id="tag"),
        pytest.param(
            ["localhost:5000/here/x", "--service", "production"],
            "--service production contradicts 'localhost:5000/here/x', which is on localhost:5000",
            id="contradiction",
        ),
    ],
)
def test_what_is_refused(two: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, with the configured registries or the fix."""
    for command in (["who-can", "pull"], ["why", "--user", "ann", "pull"]):
        result = ask(two, *command, *arguments)
        assert (result.exit_code, said in result.stderr) == (2, True), result.output


def test_several_registries_at_one_host(two: Path) -> None:
    """--service chooses."""
    more = "  - {service: twin, url: 'https://registry.example.com'}\n"
    write(two, two.read_text().replace("authentication:", f"{more}authentication:"))
    name = "registry.example.com/there/x"
    result = ask(two, "who-can", "pull", name)
    assert (result.exit_code, "several registries are at registry.example.com" in result.stderr) == (2, True)
    assert ask(two, "who-can", "pull", name, "--service", "production").exit_code == 0


def test_a_bare_folder_knows_the_registries_that_files_name(run: Run, folder: Path) -> None:
    """Other hosts are left out, which is said."""
    write(folder / "web.yaml", POLICY.replace("version: 1\n", "version: 1\nregistries: [r.example.com]\n"))
    assert "on registry r.example.com" in run("who-can", "pull", "r.example.com/public/x").stderr
    result = run("who-can", "pull", "r.io/public/x")
    assert (result.exit_code, "no registry is known by the host r.io" in result.stderr) == (0, True)


def test_patterns_of_the_matrix(two: Path) -> None:
    """Their host chooses the registry; hosts of two registries cannot be asked for together."""
    result = ask(two, "matrix", "--repositories", "registry.example.com/there/**", "--who", "anonymous")
    assert result.stdout.splitlines()[:2] == ["who        there/**", "anonymous  p"]
    assert result.stderr == "registry.example.com/there/** is read as there/** on registry production\n"
    both = ["--repositories", "localhost:5000/here/**", "--repositories", "registry.example.com/there/**"]
    assert "the names are of several registries: localhost:5000, production" in ask(two, "matrix", *both).stderr


def test_resources_of_a_registry_stay(two: Path) -> None:
    """They are no image names."""
    result = ask(two, "who-can", "*", "registry:catalog", "--service", "production")
    assert (result.exit_code, result.output) == (1, "nobody can * registry:catalog\n")
