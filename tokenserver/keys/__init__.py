"""Signing keys, the token CA that vouches for them, and what the world may know of both."""
