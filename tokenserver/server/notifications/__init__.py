"""Notifications of registries: the secrets by which they report, and which reports are in the audit trail already."""
