"""What an import writes and prints: a folder that a server starts with, or nothing, and its report."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from site_commands import Run

from tokenserver.cli.importing.output import REPORT_NAME, print_import, write_import
from tokenserver.errors import LoadError
from tokenserver.importers.new_folder import NewFile, text_file
from tokenserver.importers.report import Construct, ImportReport, Verdict

CONFIG = """\
issuer: tokens
server: {listen: "127.0.0.1:5001", url: http://localhost:5001}
registries: [{service: "registry.example.com"}]
anonymous: true
policies: policies
keys: keys
"""
POLICY = 'version: 1\nallow: [{id: a, to: [everyone], repositories: ["**"], role: reader}]\n'
FILES = {"tokenserver.yaml": text_file(CONFIG), "policies/a.yaml": text_file(POLICY)}
LOST = Construct("a.json\x1b", "x\ny", Verdict.NOT_TRANSLATED, "why", "do this", "ann pull x")
REPORT = ImportReport("a.json", (Construct("b", "y", Verdict.EXACT), LOST), ("Copy \x1b it.",))


def test_a_folder_that_starts(run: Run, tmp_path: Path) -> None:
    """With the report, new keys, and nobody else's eyes on these."""
    write_import(tmp_path / "new", FILES, REPORT)
    assert (tmp_path / "new" / REPORT_NAME).read_text() == REPORT.as_markdown()
    assert stat.S_IMODE((tmp_path / "new" / "keys").stat().st_mode) == 0o700
    result = run("check", "--config", tmp_path / "new" / "tokenserver.yaml")
    assert result.exit_code == 0, result.stderr


def test_keys_that_are_there_stay(tmp_path: Path) -> None:
    """Those that were taken over from elsewhere."""
    write_import(tmp_path / "old", FILES, REPORT)
    keys = {
        str(path.relative_to(tmp_path / "old")): NewFile(path.read_bytes(), is_secret=path.suffix == ".key")
        for path in (tmp_path / "old" / "keys").rglob("*")
        if path.is_file() and path.stat().st_size
    }
    write_import(tmp_path / "new", {**FILES, **keys}, REPORT)
    assert {name: (tmp_path / "new" / name).read_bytes() for name in keys} == {
        name: file.content for name, file in keys.items()
    }


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        pytest.param("tokenserver.yaml", "issuer: x\n", "tokenserver.yaml", id="configuration"),
        pytest.param("policies/a.yaml", "version: 2\n", "policies/a.yaml", id="policy"),
    ],
)
def test_a_server_would_not_start(tmp_path: Path, name: str, content: str, fault: str) -> None:
    """Nothing is written, and the fault names the file that would have been."""
    with pytest.raises(LoadError) as refused:
        write_import(tmp_path / "new", {**FILES, name: text_file(content)}, REPORT)
    assert refused.value.faults[0].file == str(tmp_path / "new" / fault)
    assert list(tmp_path.iterdir()) == []


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The counts, what needs a look, and what to do next; without control characters."""
    print_import(Path("new dir"), REPORT, as_json=False)
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines()[:2]] == [["1", "exact"], ["1", "not", "translated"]]
    assert printed.splitlines()[2:] == [
        "",
        r"a.json\x1b: not translated: x\ny",
        "  why",
        "  answered differently: ann pull x",
        "  instead: do this",
        "",
        "Created new dir; the report is new dir/REPORT.md.",
        r"1. Copy \x1b it.",
        "Next: tokenserver check --config 'new dir/tokenserver.yaml'",
    ]


def test_a_long_report(capsys: pytest.CaptureFixture[str]) -> None:
    """The first twenty; the rest is in the file."""
    print_import(Path("new"), ImportReport("a", (LOST,) * 25), as_json=False)
    printed = capsys.readouterr().out
    assert printed.count("do this") == 20
    assert "… and 5 more, in new/REPORT.md." in printed


def test_nothing_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so."""
    print_import(Path("new"), ImportReport("a", ()), as_json=False)
    assert capsys.readouterr().out.splitlines()[0].split() == ["0", "exact"]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All of the report, with the folder."""
    print_import(Path("new"), REPORT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"folder": "new", **REPORT.as_json()}
