"""What operators and registries look at: the front page, health and readiness, and the public keys."""
