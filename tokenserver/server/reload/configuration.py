"""The configuration file of a running server: notices that it differs from what is in force, and says so.

One thread of the master process watches, so that there is one log line per server. What it finds is posted to the
workers, which show it in `/readyz` and in the metrics.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tokenserver.config.differences import changed_keys, listed
from tokenserver.config.files_read import FilesRead
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.documents.files import read_file
from tokenserver.errors import LoadError
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.reload.parts import FilesPart
from tokenserver.server.reload.watch import PartWatcher

logger = logging.getLogger("tokenserver.configuration")

LOOK_SECONDS = 0.5

MAX_PLACES = 5

State = Literal["in force", "restart", "rejected"]


class ConfigurationNotice(NamedTuple):
    """How the configuration file compares with what is in force; `text` is a sentence, empty if they are the same."""

    state: State
    text: str


IN_FORCE = ConfigurationNotice("in force", "")


def notice_in(bulletin: Bulletin | None) -> ConfigurationNotice:
    """The notice on a bulletin; `IN_FORCE` if there is none."""
    text = "" if bulletin is None else bulletin.read()
    return ConfigurationNotice(**json.loads(text)) if text else IN_FORCE


class ConfigurationWatch:
    """Compares the configuration file with the settings `in_force`, and calls `post` with each new notice.

    `config` is as for `load_settings`. Of files that are only read at the start, such as a TLS certificate, the content
    is compared as well.
    """

    def __init__(self, config: Path | None, in_force: Settings, *, post: Callable[[ConfigurationNotice], None]) -> None:
        self._config = config
        self._in_force = in_force
        self._post = post
        self._name = config_path(config).name
        self._contents = dict(_contents(in_force))
        self._settings = in_force
        self._files = FilesRead(config)
        self._watcher = PartWatcher(FilesPart("configuration", "", self._load, self._read_files))
        self.notice = IN_FORCE
        """The current notice."""

    def watch(self, stop: threading.Event) -> None:
        """Look twice a second until `stop` is set. Blocks."""
        while not stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look at the files once."""
        loaded = self._watcher.look()
        if loaded is not None:
            assert isinstance(loaded.value, Settings)  # noqa: S101 - what `_load` returns
            self._settings = loaded.value
        fault = self._watcher.fault
        if fault is not None:
            self._tell(ConfigurationNotice("rejected", self._rejected()))
        elif loaded is not None:
            self._compare()

    def hangup(self) -> None:
        """SIGHUP: log what it does, and whether there is more to do. Changes need no signal."""
        changed = f"; {self.notice.text}" if self.notice.text else f"; {self._name} is in force"
        logger.info(
            "SIGHUP: changed users, keys and policies are reloaded within two seconds, without a signal%s", changed
        )

    def _load(self, _: bytes | None) -> Settings:
        self._files = FilesRead(self._config)
        return load_settings(self._config)

    def _read_files(self) -> Iterator[Path]:
        yield from self._files.current()
        yield from (file for _, file in _read_at_start(self._settings))

    def _compare(self) -> None:
        keys = [change.key for change in changed_keys(self._in_force, self._settings)]
        contents = dict(_contents(self._settings))
        keys += [
            f"{key} (content)"
            for key in contents
            if key in self._contents and key not in keys and contents[key] != self._contents[key]
        ]
        if not keys:
            self._tell(IN_FORCE)
            return
        text = f"{self._name} has changed ({listed(keys)}); this takes effect at the next restart"
        self._tell(ConfigurationNotice("restart", text))

    def _rejected(self) -> str:
        """The places of the faults; the faults themselves are only in the log, since `/readyz` is public."""
        places = [f"{Path(fault.file).name}:{fault.line}" for fault in self._watcher.faults if fault.line]
        listed_places = ", ".join([*dict.fromkeys(places)][:MAX_PLACES])
        where = f" ({listed_places})" if places else ""
        return (
            f"{self._name} has changed and is faulty{where}, so a restart would fail; the previous configuration stays"
            " in force; see the log, or run: tokenserver check"
        )

    def _tell(self, notice: ConfigurationNotice) -> None:
        if notice == self.notice:
            return
        self.notice = notice
        self._post(notice)
        if notice.state == "restart":
            logger.warning("configuration: %s", notice.text)
        elif notice.state == "in force":
            logger.info("configuration: %s is as in force again", self._name)


def posted_on(bulletin: Bulletin | None) -> Callable[[ConfigurationNotice], None]:
    """Posts each notice on this bulletin, if there is one; see `notice_in`."""

    def post(notice: ConfigurationNotice) -> None:
        if bulletin is not None:
            bulletin.post(json.dumps(notice._asdict()))

    return post


def _read_at_start(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files that only a start reads, with their keys."""
    tls, throttle = settings.server.tls, settings.throttle
    if tls is not None:
        yield "server.tls.certificate", tls.certificate
        yield "server.tls.key", tls.key
    if throttle.redis_password_file is not None:
        yield "throttle.redis_password_file", throttle.redis_password_file
    if throttle.secret_file is not None:
        yield "throttle.secret_file", throttle.secret_file


def _contents(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """A digest of each of these files. A file that cannot be read has none."""
    for key, file in _read_at_start(settings):
        try:
            yield key, hashlib.sha256(read_file(file)).digest()
        except LoadError:
            continue
