"""Visits to live registries: the requests of a client under one deadline, probes, and what their answers tell."""
