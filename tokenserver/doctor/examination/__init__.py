"""Examinations: each gathers facts about one side (files, live registry, our server, a token) for the checks."""
