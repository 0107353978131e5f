"""Setting metrics up: the labels of the configuration, and workers without a free row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.metrics.setup import add_labels, metrics_board, pushes_of, worker_meter
from tokenserver.metrics.shared_rows import SPARE_ROWS

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: a, also: [b]}, {service: own, keys: own-keys}]
authentication:
  - htpasswd: {file: users}
  - ldap: {name: corp, preset: openldap, url: "ldaps://localhost", base: "dc=a", bind_dn: "cn=a", bind_password: x}
  - workload: {name: ci, preset: gitlab_ci, issuer: "https://gitlab.example.com"}
policies: policies
keys: keys
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two registries, of which one has keys of its own; a file and a directory of users, and a source of workloads."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    return load_settings(tmp_path / "c.yaml", {})


def test_labels_are_those_of_the_configuration(settings: Settings, tmp_path: Path) -> None:
    """Registries by their primary name, all sources, directories alone for circuit breakers, issuers of workloads."""
    layout = metrics_board(settings, workers=2).layout
    assert {service for service, _, _ in layout.exchanges} == {"a", "own", ""}
    assert {source for (source,) in layout.authenticated} == {"htpasswd", "corp", "ci", "anonymous", "robots"}
    assert {source for source, _ in layout.breakers} == {"corp"}
    assert {source for (source,) in layout.issuer_keys} == {source for (source,) in layout.issuer_failures} == {"ci"}
    assert {keys for keys, _ in layout.certificates} == {str(tmp_path / "keys"), str(tmp_path / "own-keys")}


def test_a_row_for_each_worker(settings: Settings) -> None:
    """One for each, and spare ones."""
    assert len(metrics_board(settings, workers=3).rows()) == 3 + SPARE_ROWS


def test_a_worker_without_a_free_row_does_not_count(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves nevertheless, and the log says so."""
    board = metrics_board(settings, workers=1)
    assert worker_meter(settings, board) is not None
    monkeypatch.setattr(board, "claim", lambda: None)
    assert worker_meter(settings, board) is None
    assert caplog.messages == ["metrics: no free row for this worker; its requests are not counted"]


def test_no_memory_is_a_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start ends with the reason."""

    def full(*_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tokenserver.metrics.shared_rows.allocate", full)
    with pytest.raises(LoadError, match="metrics: not enough memory: Cannot allocate memory"):
        metrics_board(settings, workers=1)


def test_too_many_new_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are counted without a label, and the log says so."""
    monkeypatch.setattr("tokenserver.metrics.setup.SPARE_NAMES", (1, 0, 0, 0, 0))
    board = metrics_board(settings, workers=1)
    for more in ("x", "y"):
        registries = [*settings.registries, settings.registries[0].model_copy(update={"service": more})]
        add_labels(settings.model_copy(update={"registries": registries}), board)
    assert caplog.messages == ["metrics: no more room for names; 1 of them have no label until a restart"]
    assert ("x", "GET", "granted") in board.layout.exchanges


def test_registries_that_report_pushes(tmp_path: Path) -> None:
    """Those with notifications, unless pushes are not among their actions."""
    registries = (
        "[{service: quiet}, {service: all, also: [old], notifications: {secret_file: s}},"
        " {service: deletes, notifications: {secret_file: s, actions: [delete]}}]"
    )
    (tmp_path / "c.yaml").write_text(
        CONFIG.replace("[{service: a, also: [b]}, {service: own, keys: own-keys}]", registries)
    )
    assert pushes_of(load_settings(tmp_path / "c.yaml", {})) == {"all"}
