"""The fixtures of the metrics tests."""

from tests_web_server import server_folder

__all__ = ["server_folder"]
