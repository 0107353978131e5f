"""requirements.txt and requirements-build.txt: the versions of constraints.txt with hashes, and no address of an index.

scripts/requirements writes them; see docs/design/threats.md#threat-230.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pinned_packages import PINS, PROJECT, RUNTIME, closure
from script_modules import load_script

ROOT = Path(__file__).parents[1]
SCRIPT = load_script("requirements")
EXTRAS = [Requirement(text) for extra in SCRIPT.EXTRAS for text in PROJECT["project"]["optional-dependencies"][extra]]
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
FILES = ["requirements.txt", "requirements-build.txt"]
A, B = "a" * 64, "b" * 64


@pytest.fixture(scope="module", autouse=True)
def system_authorities() -> None:
    """Those of the system, with which uv and pip verify the index."""


def pinned(name: str) -> dict[str, Requirement]:
    """What a file requires, by its name."""
    found = [Requirement(text) for text in SCRIPT.hashes((ROOT / name).read_text("utf-8"))]
    return {canonicalize_name(one.name): one for one in found}


@pytest.mark.parametrize("name", FILES)
def test_versions_are_those_of_the_constraints(name: str) -> None:
    """Who installs with hashes gets what was tested.

    See docs/design/threats.md#threat-230.
    """
    found = {one: str(wanted.specifier) for one, wanted in pinned(name).items()}
    assert found == {one: f"=={PINS.get(one)}" for one in found}
    assert found


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_has_hashes(name: str) -> None:
    """pip rejects a file whose hash is not here; nothing else is in the file, so that no address comes in unseen.

    See docs/design/threats.md#threat-230.
    """
    found = SCRIPT.hashes((ROOT / name).read_text("utf-8"))
    assert [one for one, files in found.items() if not files] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("requirements.txt", [*RUNTIME, *EXTRAS], id="the image"),
        pytest.param("requirements-build.txt", BUILD, id="the build"),
    ],
)
def test_it_is_complete(name: str, wanted: list[Requirement]) -> None:
    """On this machine, what it requires is what these requirements need, with all that those need in turn."""
    here = {one for one, required in pinned(name).items() if required.marker is None or required.marker.evaluate()}
    assert here == set(closure(wanted))


def test_the_image_has_these_extras() -> None:
    """Each of them is declared, and what the Containerfile says is the same."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(SCRIPT.EXTRAS) <= set(declared)


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example.com/simple",
        "--extra-index-url https://packages.example.com/simple",
        "--find-links /packages",
        "flask @ https://packages.example.com/flask-3.1.3-py3-none-any.whl",
        "-r other.txt",
        "flask==3.1.3",
        "flask>=3 \\",
        f"flask==3.1.3 \\\n    --hash=md5:{A[:32]}",
        f"flask==3.1.3 --hash=sha256:{A}",
        f"    --hash=sha256:{A}",
    ],
)
def test_lines_that_are_refused(line: str) -> None:
    """An index, an address, a version without a hash, a weak hash."""
    with pytest.raises(ValueError, match="neither a requirement nor a hash"):
        SCRIPT.hashes(line)


def test_what_is_read() -> None:
    """Names, versions, markers and hashes."""
    text = f"# by a tool\na.b-c==1.0 ; python_version < '3.12' \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
    assert SCRIPT.hashes(text) == {"a.b-c==1.0 ; python_version < '3.12'": frozenset({A, B})}


@pytest.mark.parametrize(
    ("ours", "index", "found"),
    [
        pytest.param({"a==1": {A}}, {"a==1": {A}}, [], id="equal"),
        pytest.param({"a==1": {A}}, {"a==1": {A, B}}, [], id="a file was added to the version"),
        pytest.param({"a==1": {A, B}}, {"a==1": {A}}, [f"a==1: the index has no file with sha256:{B}"], id="foreign"),
        pytest.param({"a==1": set()}, {"a==1": {A}}, ["a==1: no hash"], id="no hash"),
        pytest.param(
            {"a==1": {A}}, {"a==2": {A}}, ["a==1: not required any more", "a==2: missing"], id="another version"
        ),
    ],
)
def test_differences(ours: dict[str, set[str]], index: dict[str, set[str]], found: list[str]) -> None:
    """A hash that the index does not know is a finding, and so is a version too many or too few."""
    assert SCRIPT.differences(ours, index) == found


def test_wrong_use(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown option writes nothing."""
    monkeypatch.setattr(sys, "argv", ["requirements", "--chek"])
    before = [(ROOT / name).read_bytes() for name in FILES]
    assert SCRIPT.main() == 2
    assert [(ROOT / name).read_bytes() for name in FILES] == before
    assert capsys.readouterr().err == "usage: scripts/requirements [--check]\n"


@pytest.mark.nightly
def test_the_index_knows_every_hash() -> None:
    """Made again from pyproject.toml and constraints.txt, with what the package index says now.

    See docs/design/threats.md#threat-230.
    """
    command = [sys.executable, str(ROOT / "scripts/requirements"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "the index knows every hash\n"), done


@pytest.mark.nightly
def test_pip_accepts_a_known_file_and_no_other(tmp_path: Path) -> None:
    """`--require-hashes`, with a wheel as it is and with one more byte.

    See docs/design/threats.md#threat-230.
    """
    wheels = tmp_path / "wheels"
    text = (ROOT / "requirements-build.txt").read_text("utf-8")
    (one,) = re.findall(r"^pathspec==.*(?:\n    --hash=.*)*", text, re.MULTILINE)
    wanted = tmp_path / "one.txt"
    wanted.write_text(f"{one}\n")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command = [*pip, "download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", wheels]
    subprocess.run([*command, "--requirement", wanted], check=True, timeout=120)
    (wheel,) = wheels.glob("*.whl")
    install = [*pip, "install", "--no-index", "--no-deps", "--require-hashes", "--find-links", wheels]
    install += ["--target", tmp_path / "target", "--requirement", wanted]
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    changed = subprocess.run(install, check=False, capture_output=True, text=True, timeout=120)
    assert changed.returncode == 1
    assert "DO NOT MATCH THE HASHES" in changed.stderr
    wheel.write_bytes(wheel.read_bytes()[:-1])
    subprocess.run(install, check=True, timeout=120)
