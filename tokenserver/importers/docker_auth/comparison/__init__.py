"""The proof of a migration: the same requests asked of docker_auth's entries and of the new policies, side by side."""
