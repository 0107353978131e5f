"""Hot reload of the configuration file: the master process watches and checks it, and orders workers to follow.

One thread of the master process decides, so that all workers have the same settings, and a change has one log line.
What waits for a restart, or was rejected, is posted to the workers, which show it in `/readyz` and in the metrics.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tokenserver.config.changes.differences import changed_keys, listed
from tokenserver.config.changes.effect import ChangeEffect, effect_of
from tokenserver.config.changes.files_read import FilesRead
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.documents.files import read_file
from tokenserver.errors import Fault, LoadError
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


class Orders(NamedTuple):
    """The settings that are in force, or about to be: each change of them has a higher number."""

    number: int
    settings: Settings


RENEWED = frozenset({"server.tls.certificate", "server.tls.key"})
"""Files whose changed contents take effect without a restart. See `process/certificate_renewal.py`."""


class ConfigurationWatch:
    """Puts a changed configuration file in force in a running server that started with `settings`.

    `config` is as for `load_settings`. A change is checked as at a start: `check` gets the settings in force and those
    of the file. Then `order` gets the settings that the workers shall have, and returns their number; without it,
    everything waits for a restart. `post` gets each new notice. Of files that are not reloaded with their part, changed
    contents are noticed: workers take a new TLS certificate by themselves, the others wait for a restart. For
    `max_directories` see `effect_of`.
    """

    def __init__(
        self,
        config: Path | None,
        settings: Settings,
        *,
        check: Callable[[Settings, Settings], list[Fault]],
        order: Callable[[Settings], int] | None,
        post: Callable[[ConfigurationNotice], None],
        max_directories: int,
    ) -> None:
        self._config = config
        self._started = settings
        self._settings = settings
        self._check = check
        self._order = order
        self._post = post
        self._max_directories = max_directories
        self._name = config_path(config).name
        self._contents = dict(_contents(settings))
        self._files = FilesRead(config)
        self._faulty_keys: list[str] = []
        self._watcher = PartWatcher(FilesPart("configuration", "", self._load, self._read_files))
        self.orders = Orders(0 if order is None else order(settings), settings)
        """What the workers have, or will have in a moment. A worker that is forked has it from the start."""
        self.notice = IN_FORCE
        """The current notice."""

    def watch(self, stop: threading.Event) -> None:
        """Look twice a second until `stop` is set. Blocks."""
        while not stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look at the files once."""
        loaded = self._watcher.look()
        fault = self._watcher.fault
        if fault is not None:
            self._tell(ConfigurationNotice("rejected", self._rejected()))
        elif loaded is not None:
            assert isinstance(loaded.value, ChangeEffect)  # noqa: S101 - what `_load` returns
            self._apply(loaded.value)

    def hangup(self) -> None:
        """SIGHUP: log what it does, and whether there is more to do. Changes need no signal."""
        changed = self.notice.text or f"{self._name} is in force"
        logger.info("SIGHUP: changed files go live within two seconds, without a signal; %s", changed)

    def _load(self, _: bytes | None) -> ChangeEffect:
        self._files = FilesRead(self._config)
        self._faulty_keys = []
        settings = load_settings(self._config)
        is_changed = settings != self.orders.settings or dict(_contents(settings)) != self._contents
        faults = self._check(self.orders.settings, settings) if is_changed else []
        effect = effect_of(settings, self._started, self.orders.settings, max_directories=self._max_directories)
        if faults:
            if settings == self._settings:
                self._faulty_keys = _keys_of(faults, settings)
            raise LoadError(faults)
        self._settings = settings
        return effect if self._order is not None else ChangeEffect(self._started, changed_keys(self._started, settings))

    def _read_files(self) -> Iterator[Path]:
        yield from self._files.current()
        yield from (file for _, file in _read_at_start(self._settings))

    def _apply(self, effect: ChangeEffect) -> None:
        applied = [change.key for change in changed_keys(self.orders.settings, effect.in_force)]
        if applied and self._order is not None:
            # In this order: a worker that is forked in between is given the previous ones, and reads the new ones.
            self.orders = Orders(self._order(effect.in_force), effect.in_force)
            logger.info("configuration: reloaded %s: %s", self._name, listed(applied))
        waiting = [change.key for change in effect.waiting]
        contents = dict(_contents(self._settings))
        waiting += [
            f"{key} (content)"
            for key in contents
            if key in self._contents and key not in waiting and contents[key] != self._contents[key]
            if self._order is None or key not in RENEWED
        ]
        if not waiting:
            self._tell(IN_FORCE)
            return
        text = f"{self._name} has changed ({listed(waiting)}); this takes effect at the next restart"
        self._tell(ConfigurationNotice("restart", text))

    def _rejected(self) -> str:
        """The places of the faults; the faults themselves are only in the log, since `/readyz` is public.

        A certificate whose key has not been replaced yet is no fault of the configuration file.
        """
        advice = "see the log, or run: tokenserver check"
        if self._faulty_keys:
            return (
                f"the file of {' and of '.join(self._faulty_keys)} has changed and is faulty, so a restart would fail;"
                f" the previous content stays in force; {advice}"
            )
        places = [f"{Path(fault.file).name}:{fault.line}" for fault in self._watcher.faults if fault.line]
        listed_places = ", ".join([*dict.fromkeys(places)][:MAX_PLACES])
        where = f" ({listed_places})" if places else ""
        return (
            f"{self._name} has changed and is faulty{where}, so a restart would fail; the previous configuration stays"
            f" in force; {advice}"
        )

    def _tell(self, notice: ConfigurationNotice) -> None:
        if notice == self.notice:
            return
        self.notice = notice
        self._post(notice)
        if notice.state == "restart":
            logger.warning("configuration: %s", notice.text)
        elif notice.state == "in force":
            logger.info("configuration: %s is in force", self._name)


def posted_on(bulletin: Bulletin | None) -> Callable[[ConfigurationNotice], None]:
    """Posts each notice on this bulletin, if there is one; see `notice_in`."""

    def post(notice: ConfigurationNotice) -> None:
        if bulletin is not None:
            bulletin.post(json.dumps(notice._asdict()))

    return post


def _read_at_start(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files that only a start reads, or workers by themselves, with their keys."""
    tls, throttle = settings.server.tls, settings.throttle
    if tls is not None:
        yield "server.tls.certificate", tls.certificate
        yield "server.tls.key", tls.key
    if throttle.redis_password_file is not None:
        yield "throttle.redis_password_file", throttle.redis_password_file
    if throttle.secret_file is not None:
        yield "throttle.secret_file", throttle.secret_file


def _keys_of(faults: list[Fault], settings: Settings) -> list[str]:
    """The keys of these files that have all of the faults; none if something else has one."""
    keys = {str(file): key for key, file in _read_at_start(settings)}
    files = dict.fromkeys(fault.file for fault in faults)
    return [keys[file] for file in files] if files.keys() <= keys.keys() else []


def _contents(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """A digest of each of these files. A file that cannot be read has none."""
    for key, file in _read_at_start(settings):
        try:
            yield key, hashlib.sha256(read_file(file)).digest()
        except LoadError:
            continue
