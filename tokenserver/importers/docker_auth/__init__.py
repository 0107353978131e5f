"""Exact model of docker_auth 1.14: its configuration and its decisions, the yardstick of a migration."""
