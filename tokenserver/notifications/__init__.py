"""Notifications of registries: what they report about pushes, pulls, mounts and deletes, as events of the audit trail.

It reads what was sent, and knows neither HTTP nor the secret of a registry. Pure.
"""
