"""What becomes of the spans of a trace, in one word, for metrics."""

from __future__ import annotations

EXPORTED, QUEUE_FULL, NOT_TAKEN = "exported", "queue_full", "not_taken"
"""The collector took them; too many were waiting; or the collector did not take them."""

SPAN_RESULTS = (EXPORTED, QUEUE_FULL, NOT_TAKEN)
