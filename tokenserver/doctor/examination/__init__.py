"""Examinations: each gathers facts about one side (files, live registry, our server, a token) and runs the checks."""
