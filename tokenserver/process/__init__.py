"""The master process, its workers, and what a process needs of the system: limits, output, log format, listener."""
