"""Tests in policy files: expectations as values, and their evaluation against a policy set. Pure."""
