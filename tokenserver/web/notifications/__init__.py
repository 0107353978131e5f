"""What registries send to this server: their notifications of pushes, pulls, mounts and deletes."""
