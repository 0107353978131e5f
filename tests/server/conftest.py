"""The fixtures of the server tests."""

from live_policies import settings
from tests_web_server import server_folder

__all__ = ["server_folder", "settings"]
