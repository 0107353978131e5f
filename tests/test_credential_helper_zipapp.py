"""scripts/credential-helper-zipapp: one file that runs anywhere, and is the same wherever it is made."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from script_modules import SCRIPTS, load_script

from tokenserver import __version__

SCRIPT = SCRIPTS / "credential-helper-zipapp"


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, outside of any checkout."""
    path = tmp_path_factory.mktemp("zipapp") / "docker-credential-tokenserver"
    subprocess.run([sys.executable, SCRIPT, path], check=True)
    return path


def test_it_runs_alone(zipapp: Path) -> None:
    """By its own first line, with no package and nothing of the environment."""
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(zipapp.parent)}
    for command in ([zipapp], [sys.executable, "-I", "-S", zipapp]):
        done = subprocess.run([*command, "version"], capture_output=True, env=environment, cwd="/", check=True)
        assert done.stdout.decode() == f"docker-credential-tokenserver v{__version__}\n"


def test_it_has_all_that_it_imports(zipapp: Path) -> None:
    """Every module of it can be imported from it alone."""
    with zipfile.ZipFile(zipapp) as zipped:
        names = zipped.namelist()
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in names
        if name.startswith("tokenserver/")
    ]
    lines = [
        "import sys, importlib",
        f"sys.path.insert(0, {str(zipapp)!r})",
        f"[importlib.import_module(n) for n in {modules}]",
    ]
    subprocess.run([sys.executable, "-I", "-S", "-c", "\n".join(lines)], check=True, cwd="/")
    assert {name.split("/")[0] for name in names} == {"__main__.py", "LICENSE", "tokenserver"}
    assert "tokenserver/credential_helper/program.py" in names


def test_an_old_python(zipapp: Path) -> None:
    """Is told one line, and the program does not begin."""
    lines = ["import sys, runpy", "sys.version_info = (3, 10, 9, 'final', 0)", f"runpy.run_path({str(zipapp)!r})"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"docker-credential-tokenserver needs Python 3.11 or newer\n")


def test_it_is_reproducible(zipapp: Path) -> None:
    """The same bytes in another time zone, under another umask."""
    before = os.umask(0o077)
    try:
        other = zipapp.parent / "other"
        subprocess.run([sys.executable, SCRIPT, other], check=True, env={**os.environ, "TZ": "Asia/Tokyo"})
    finally:
        os.umask(before)
    assert other.read_bytes() == zipapp.read_bytes()
    assert other.stat().st_mode & 0o777 == 0o755
    with zipfile.ZipFile(BytesIO(load_script("credential-helper-zipapp").archive())) as zipped:
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_wrong_use() -> None:
    """One line, exit code 2."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"usage: scripts/credential-helper-zipapp OUT\n")
