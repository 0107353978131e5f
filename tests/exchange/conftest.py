"""The fixtures of the exchange tests."""

from tests_web_server import closed_server, server, server_folder, two_registries

__all__ = ["closed_server", "server", "server_folder", "two_registries"]
