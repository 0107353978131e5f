"""Requests of the credential helper to registries and token servers, and how their answers are read."""
