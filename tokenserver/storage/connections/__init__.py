"""Connections to the database: limits of time, group commit, what errors mean, and the file of SQLite."""
