"""The helper's ports, as they are in a real process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tokenserver.credential_helper import outside as module
from tokenserver.credential_helper.outside import outside
from tokenserver.credential_helper.settings import HelperSettings
from tokenserver.credential_helper.store.credential_file import CredentialFile


def job_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What is read from a projected token."""
    monkeypatch.setenv("TOKENSERVER_ID_TOKEN_FILE", str(path))
    return outside(CredentialFile("/nonexistent"), HelperSettings()).job.read_token_file()


def test_a_projected_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also through a link, which is what the kubelet makes; what is no file is none, and is not waited for."""
    (tmp_path / "..data").write_text("token")
    (tmp_path / "token").symlink_to("..data")
    assert job_with(tmp_path / "token", monkeypatch) == "token"
    assert job_with(tmp_path / "absent", monkeypatch) is None
    assert job_with(tmp_path, monkeypatch) is None
    os.mkfifo(tmp_path / "fifo")
    assert job_with(tmp_path / "fifo", monkeypatch) == ""
    (tmp_path / "long").write_bytes(b"\xff" * 100_000)
    assert len(job_with(tmp_path / "long", monkeypatch) or "") == 8194


@pytest.mark.parametrize(
    ("variable", "system"),
    [("GITHUB_ACTIONS", "github"), ("GITLAB_CI", "gitlab"), ("KUBERNETES_SERVICE_HOST", "kubernetes"), ("X", "")],
)
def test_where_it_runs(variable: str, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables of each system."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "true")
    assert outside(CredentialFile("/nonexistent"), HelperSettings()).job.system == system


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that docker trusts for the registry, and the one of the settings."""
    trusted: list[list[str]] = []

    class Recorder:
        def __init__(self, files: list[str]) -> None:
            trusted.append(files)

        def fetch(self) -> None:
            """Nothing is asked here."""

    monkeypatch.setattr(module, "Web", Recorder)
    monkeypatch.setattr(module, "_CERTIFICATES", (str(tmp_path),))
    (tmp_path / "registry:5000").mkdir()
    (tmp_path / "registry:5000" / "ca.crt").touch()
    settings = HelperSettings()
    settings.ca_file = "/ca.pem"
    outside(CredentialFile("/nonexistent"), settings, "registry:5000", "other")
    assert trusted == [["/ca.pem", str(tmp_path / "registry:5000" / "ca.crt")]]


def test_nobody_to_talk_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal there is nobody; with one, lines are written to it."""
    reader, writer = os.pipe()
    found = outside(CredentialFile("/nonexistent"), HelperSettings())
    monkeypatch.setattr(module, "terminal", lambda: None)
    assert found.terminal() is None
    monkeypatch.setattr(module, "terminal", lambda: writer)
    tell = found.terminal()
    assert tell is not None
    tell("hello")
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)
    os.close(writer)
