"""Signing keys and the token CA: creation, validation, rotation, and their public form (JWKS)."""
