"""Metrics: workers count in memory that they share, and the process above them answers Prometheus on its own listener.

`layout` says what is counted and where it stands in that memory, `board` is the memory, `meter` counts in a worker,
`page` spells the sums, `listener` serves them.
"""
