"""The fixtures of the exchange tests."""

from audit_trails import clock, pipe
from tests_web_server import closed_server, server, server_folder, two_registries

__all__ = ["clock", "closed_server", "pipe", "server", "server_folder", "two_registries"]
