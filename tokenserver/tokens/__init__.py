"""From what was granted to a signed token."""
