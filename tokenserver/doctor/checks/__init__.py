"""Checks: pure functions from facts to findings. No file, socket or clock."""
