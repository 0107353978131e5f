"""Checks: pure functions from facts to findings. No files, sockets or clocks."""
