"""Patterns of docker_auth as finite unions of shapes, and names of repositories as patterns of this server. Pure."""
