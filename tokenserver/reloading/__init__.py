"""Hot reload of one part at a time: users, keys, policies.

How each is looked at, when a change is loaded, and what is loaded of files that never keep still. `live.py` puts the
parts together and swaps the snapshot.
"""

from __future__ import annotations

KINDS = ("users", "keys", "policies", "shadow_policies")
"""What is watched and loaded without waiting for the others."""
