"""Measurements: they print figures beside a yardstick of the same run and never fail on a slow day."""
