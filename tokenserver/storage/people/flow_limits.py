"""Limits of logins on devices: how many are in progress, for how long, and how often a device may ask."""

from __future__ import annotations

LIFETIME_SECONDS = 600
"""For how long the codes are valid."""

MAX_LIVE = 10_000
"""Logins in progress in all. A guess of a user code hits one of them once in 2.5 million tries."""

MAX_PER_PLACE = 20
"""Logins in progress of one address, or of one IPv6 network of a customer."""

PAUSE_SECONDS = 5
"""How long a device waits between two questions, and by how much longer after it did not (RFC 8628, section 3.5)."""

MAX_PAUSE = 60
"""The pause grows no more, so that a device that never waits does not write for each question."""

TOLERANCE = 1
"""Seconds by which a device may be early: moments are stored as whole seconds, and networks are not even."""

NOTED_PER_SECOND = 100
"""Questions that a process notes in the database; it takes more for punctual, so that they delay no other change."""

KEPT_SECONDS = 600
"""For how long the row of an expired login is kept, so that its device learns why it has to begin again."""
