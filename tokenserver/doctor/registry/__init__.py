"""Readers of registries' own files: configuration and trusted certificates of Distribution and zot."""
