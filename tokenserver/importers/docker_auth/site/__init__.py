"""What is not a rule: the settings, users and key of a docker_auth installation, and the traps of the whole."""
