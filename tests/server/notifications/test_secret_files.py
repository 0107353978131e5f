"""Secrets of notifications: what a file may hold, how they change, and that nothing but they is accepted."""

from __future__ import annotations

from pathlib import Path

import canaries
import pytest

from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.notifications.secret_files import LOOK_SECONDS, MAX_SECRET, SecretFile, reporters, secrets_in

OLD, NEW = "0123456789abcdef0123456789abcdef-old", "0123456789abcdef0123456789abcdef-new"
for _secret in (OLD, NEW):
    canaries.know(_secret)


def written(file: Path, text: str) -> Path:
    """A private file with this text."""
    file.write_text(text)
    file.chmod(0o600)
    return file


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param(OLD, 1, id="one"),
        pytest.param(f"{OLD}\n", 1, id="with a line end"),
        pytest.param(f"{NEW}\r\n{OLD}\r\n", 2, id="two"),
        pytest.param("x" * MAX_SECRET, 1, id="the longest"),
    ],
)
def test_usable_files(tmp_path: Path, text: str, count: int) -> None:
    """A secret a line."""
    assert len(secrets_in(written(tmp_path / "secret", text))) == count


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\n", id="an empty line"),
        pytest.param("x" * 31, id="short"),
        pytest.param("x" * (MAX_SECRET + 1), id="long"),
        pytest.param(f"{OLD}\n\n", id="an empty line behind"),
        pytest.param(f"{OLD}\n{NEW}\n{OLD}\n", id="three"),
        pytest.param(f"{OLD} {NEW}", id="a blank"),
        pytest.param(f"{OLD}\t", id="a tab"),
        pytest.param(f"{OLD}é", id="not ASCII"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str) -> None:
    """Refused with the fix, and without a word of the content."""
    with pytest.raises(LoadError) as caught:
        secrets_in(written(tmp_path / "secret", text))
    (fault,) = caught.value.faults
    assert "holds no secret of notifications" in str(fault)
    assert "fix: openssl rand -hex 32 > " in str(fault)


def test_a_file_for_everybody(tmp_path: Path) -> None:
    """Refused as any other file of secrets."""
    file = written(tmp_path / "secret", OLD)
    file.chmod(0o644)
    with pytest.raises(LoadError, match="can be read by others"):
        SecretFile(file, monotonic=Clock())


def test_what_is_accepted(tmp_path: Path) -> None:
    """Either of two secrets, and nothing that is only like one."""
    file = SecretFile(written(tmp_path / "secret", f"{NEW}\n{OLD}\n"), monotonic=Clock())
    tried = [OLD, NEW, OLD[:-1], f"{OLD}x", OLD.upper(), "", f"{NEW}\n{OLD}", "\ud800"]
    assert [file.accepts(one) for one in tried] == [True, True, False, False, False, False, False, False]


def test_a_secret_changes_while_the_server_runs(tmp_path: Path) -> None:
    """Within a second of the first use; until then, and without a change, the file is not read."""
    path, clock = written(tmp_path / "secret", f"{OLD}\n"), Clock()
    file = SecretFile(path, monotonic=clock)
    written(path, f"{NEW}\n{OLD}\n")
    assert not file.accepts(NEW)
    clock.now += LOOK_SECONDS
    assert file.accepts(NEW)
    assert file.accepts(OLD)
    written(path, f"{NEW}\n")
    clock.now += LOOK_SECONDS
    assert not file.accepts(OLD)


def test_a_faulty_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The previous secrets stay in force; the log says so once, and nothing of the content."""
    path, clock = written(tmp_path / "secret", f"{OLD}\n"), Clock()
    file = SecretFile(path, monotonic=clock)
    path.unlink()
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert file.accepts(OLD)
    written(path, "short")
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert file.accepts(OLD)
    assert [record.message.partition(": ")[2].partition(":")[0] for record in caplog.records] == [
        "the previous ones stay in force",
        "the previous ones stay in force",
    ]
    assert "short" not in caplog.text


def test_every_fault_of_every_registry(tmp_path: Path) -> None:
    """Reported together; a registry that reports is known by each of its names."""
    config = tmp_path / "tokenserver.yaml"
    config.write_text(
        "issuer: a\nserver: {url: http://localhost:1}\nanonymous: true\npolicies: p\nkeys: k\nregistries:\n"
        "  - {service: one, also: [uno], notifications: {secret_file: one.secret}}\n"
        "  - {service: two, notifications: {secret_file: two.secret, actions: [push], blobs: true}}\n"
        "  - {service: three}\n"
    )
    settings = load_settings(config, {})
    with pytest.raises(LoadError) as caught:
        reporters(settings, monotonic=Clock())
    assert [Path(fault.file).name for fault in caught.value.faults] == ["one.secret", "two.secret"]
    for name in ("one", "two"):
        written(tmp_path / f"{name}.secret", OLD)
    found = reporters(settings, monotonic=Clock())
    assert {name: reporter.service for name, reporter in found.items()} == {"one": "one", "uno": "one", "two": "two"}
    assert found["one"].actions == {"push", "pull", "mount", "delete"}
    assert found["two"].actions == {"push"}
    assert (found["one"].has_blobs, found["two"].has_blobs) == (False, True)
