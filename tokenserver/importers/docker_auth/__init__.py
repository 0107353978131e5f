"""docker_auth 1.14: its configuration and its decisions, exactly; the yardstick for what a migration must preserve."""
