"""Logins at OpenID providers by a browser: the pages for the way there and back, and for logouts."""
