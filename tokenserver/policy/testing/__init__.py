"""Tests in policy files: expectations as values, and running them against a policy set. Pure."""
