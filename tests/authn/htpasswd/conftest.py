"""The fixtures of the htpasswd tests."""

from htpasswd_users import backend

__all__ = ["backend"]
