"""Patterns and conditions as sets: containment, intersection, subsumption, and shortest examples. Pure."""
