"""A server with a policy folder of the test's own, and the part of it that reloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests_web_server import POLICY, make_server

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.policy.model import PolicySet
from tokenserver.server.compose import watched_parts
from tokenserver.server.reload.watch import ReloadablePart
from tokenserver.server.running import RunningServer

MARKED = POLICY + "...\n"


@pytest.fixture
def settings(server_folder: Path, tmp_path: Path) -> Settings:
    """The session's users and keys, with a policy folder of the test's own."""
    make_server(server_folder)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(MARKED)
    loaded = load_settings(server_folder / "tokenserver-True-1.yaml", {})
    return loaded.model_copy(update={"policies": tmp_path / "policies"})


def policies_of(settings: Settings) -> Callable[[], PolicySet]:
    """Loads the policies again and again, as a running server does, whatever the looks of the files."""
    (part,) = [part for part in watched_parts(settings) if part.kind == "policies"]
    return lambda: cast(PolicySet, part.load(None))


def part_of(parts: RunningServer, kind: str) -> ReloadablePart:
    """The part of this kind."""
    (watch,) = [watch for watch in parts.live._watches if watch.part.kind == kind]
    return watch.part
