"""Policies of the past, found by their digest: in commits of a repository, and in the snapshots that servers keep."""
