"""Benchmarks: they print figures with a yardstick from the same run and never fail because a machine is slow."""
