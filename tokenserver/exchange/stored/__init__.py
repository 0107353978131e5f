"""Exchanges that change stored credentials: logins that are given a refresh token or a session, and revocation."""
