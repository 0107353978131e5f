"""Translation of a docker_auth installation: first-match entries as order-free rules, settings and key material."""
