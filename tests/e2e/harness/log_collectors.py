"""Real collectors of logs, with the configuration of docs/logs.md at other places."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from harness.journal import Journal
from harness.processes import Daemon, plain_environment
from harness.programs import ROOT, TOOLS, need

PAGE = (ROOT / "docs" / "logs.md").read_text("utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"^<!-- test: (\w+) -->\n```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))

FOLLOWED, ARCHIVE = "/var/log/tokenserver/", "/srv/audit/"
"""Where the page has the server's files, and where collectors put what they have read."""

# Debian's own file sets the folder and includes further ones.
_RSYSLOG = """\
$WorkDirectory {folder}/positions
$IncludeConfig {folder}/tokenserver.conf
*.* {folder}/others
"""


def example(name: str, changes: dict[str, str | Path]) -> str:
    """An example of the page with other texts in it, each of which has to be there."""
    text = BLOCKS[name]
    for old, new in changes.items():
        assert old in text, (name, old)
        text = text.replace(old, str(new))
    return text


class Collector:
    """A collector of logs. It can be started and stopped again and again."""

    def __init__(self, folder: Path, command: list[str | Path], name: str) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        (folder / "positions").mkdir()
        self.archive.mkdir()
        self._daemon = Daemon(name, command, environment=plain_environment(folder), folder=folder)

    def start(self) -> None:
        """Start it; it need not have read anything yet."""
        self._daemon.start(lambda: self._daemon.is_running)

    def stop(self) -> None:
        """Stop it in an orderly way."""
        self._daemon.stop()

    @property
    def log(self) -> str:
        """What it says about itself."""
        return self._daemon.log

    def kept(self) -> list[bytes]:
        """The lines that it has kept so far, without their newline."""
        raise NotImplementedError

    @property
    def verify(self) -> str:
        """The command line that verifies what it has kept."""
        raise NotImplementedError


class Rsyslog(Collector):
    """Debian's rsyslog beside a journald."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        config = folder / "rsyslog.conf"
        program: list[str | Path] = [need("rsyslogd"), "-n", "-f", config, "-i", folder / "pid", "-M", TOOLS]
        super().__init__(folder, [*journal.enter, *program], "rsyslogd")
        config.write_text(_RSYSLOG.format(folder=folder))
        (folder / "tokenserver.conf").write_text(example("rsyslog", {ARCHIVE: f"{self.archive}/"}))

    def kept(self) -> list[bytes]:
        return [line for file in sorted(self.archive.iterdir()) for line in file.read_bytes().splitlines()]

    @property
    def others(self) -> str:
        """What goes on to the other rules of rsyslog."""
        file = self.folder / "others"
        return file.read_text() if file.exists() else ""

    @property
    def verify(self) -> str:
        return f"cat {self.archive}/*.jsonl | tokenserver audit verify -"


class OpenTelemetry(Collector):
    """The OpenTelemetry Collector, which follows the files of a folder; a record of it is one event."""

    def __init__(self, followed: Path, folder: Path) -> None:
        config = folder / "collector.yaml"
        super().__init__(folder, [need("otel-collector"), "--config", config], "otel-collector")
        changes: dict[str, str | Path] = {
            FOLLOWED: f"{followed}/",
            ARCHIVE: f"{self.archive}/",
            "/var/lib/otelcol/positions": folder / "positions",
        }
        silent = "service:\n  telemetry: {metrics: {level: none}}\n"
        config.write_text(example("opentelemetry", changes).replace("service:\n", silent))

    def kept(self) -> list[bytes]:
        file = self.archive / "tokenserver.json"
        data = file.read_bytes() if file.exists() else b""
        batches: list[dict[str, Any]] = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        return [
            str(record["body"]["stringValue"]).encode()
            for batch in batches
            for resource in batch["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]

    @property
    def verify(self) -> str:
        return example("bodies", {ARCHIVE: f"{self.archive}/"})
