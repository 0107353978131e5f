"""Quay: an export of its API, and what its teams, users and robots may pull, push and delete."""
