"""Kubernetes: what nodes run so that pods pull images with their own service-account tokens. Pure."""
