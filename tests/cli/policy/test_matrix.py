"""`tokenserver policy matrix`: every form of its output, and its limit."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from policy_commands import EVERY_WORD, POLICY, Run, facts, write


def test_matrix_as_csv(run: Run) -> None:
    """A row for each one whom rules name, in a form that every spreadsheet reads."""
    rows = list(csv.reader(io.StringIO(run("matrix", "--format", "csv").stdout)))
    assert rows == [
        ["who", "public/**", "web/**", "web/app", "web/prod/*"],
        ["anonymous", "p", "", "", ""],
        ["authenticated", "p", "", "", ""],
        ["group:web", "p", "pP*", "pP", "p"],
        ["user:bob", "p", "pP", "pP", "pP"],
        ["user:kim", "p", "p*", "p*", ""],
    ]
    chosen = run("matrix", "--format", "csv", "--who", "user:bob", "--repositories", "web/app").stdout
    assert list(csv.reader(io.StringIO(chosen))) == [["who", "web/**", "web/app"], ["user:bob", "pP", "pP"]]


def test_matrix_as_page_table_and_json(run: Run, folder: Path) -> None:
    """The page escapes what it shows; the table has a legend."""
    write(folder / "web.yaml", POLICY.replace("user:kim", "user:<b>&kim"))
    page = run("matrix", "--format", "html").stdout
    assert "<b>" not in page
    cells: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            cells.append(data)

    Reader().feed(page)
    assert "user:<b>&kim" in cells
    assert "p pull, P push" in run("matrix").stdout
    found = facts(run("matrix", "--json"))
    assert found["cells"][found["people"].index("group:web")][1] == {
        "always": ["pull"],
        "partly": ["push"],
        "for_some": [],
    }


def test_matrix_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to see a part."""
    monkeypatch.setattr("tokenserver.cli.policy.matrix.MAX_CELLS", 3)
    result = run("matrix")
    assert (result.exit_code, "--who and --repositories" in result.stderr) == (2, True)


def test_matrix_with_every_word(run: Run, folder: Path) -> None:
    """A column of a rule with captures has the groups that it is for."""
    write(folder / "web.yaml", EVERY_WORD)
    found = facts(run("matrix", "--who", "group:reg-web-rw", "--repositories", "web/**", "--json"))
    assert found["repositories"] == [
        "${team}/** of group:reg-{team}-rw or group:adm-{team}",
        "${team}/secret of group:no-{team}",
        "web/f/**",
    ]
    assert [cell["partly"] for cell in found["cells"][0]] == [["pull", "push"], [], ["push"]]
