"""The fixtures of the htpasswd tests."""

from htpasswd_users import backend, hashes

__all__ = ["backend", "hashes"]
