"""Policies of zot, the `accessControl` of its configuration: the longest matching pattern decides there."""
