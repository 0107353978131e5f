"""Metrics: workers count in shared memory, and their supervisor serves the sums to Prometheus on a listener of its own.

`definitions` has the metrics and where each is in that memory, `shared_rows` the memory, `recorder` counts in a worker,
`exposition` formats the sums, `http` serves them.
"""
