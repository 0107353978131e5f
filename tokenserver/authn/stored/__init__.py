"""Stored credentials: access keys, robots' secrets, refresh tokens and sessions, and the owners that they act for."""
